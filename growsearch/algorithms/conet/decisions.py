"""From a trial's measurements to the next trial's sizes, as pure functions (CONet sections 2.2 and 3, algorithm 2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from growsearch.algorithms.conet.config import ConetConfig

Record = dict[str, list[float]]
"""One epoch's metrics: ``rank_in``, ``gain_out`` ...; every list has an entry for each convolution."""

Side = Literal["in", "out"]


@dataclass(frozen=True)
class Term:
    """One term of an average: a side of a convolution, or of several that count as one.

    Attributes:
        side: whether the convolutions read (``in``) or write (``out``) the variable's channels.
        layers: positions among the network's four-dimensional parameters.
    """

    side: Side
    layers: tuple[int, ...]


@dataclass(frozen=True)
class Variable:
    """A channel count that the network's structure leaves free.

    Attributes:
        name: the first tensor that writes it.
        size: channels.
        terms: whose ranks say how it should move.
    """

    name: str
    size: int
    terms: tuple[Term, ...]


Sides = Mapping[Side, Sequence[float]]
"""A quantity of every layer (in the order of parameters), seen from its input and from its output."""


def average(variable: Variable, values: Sides, rule: str = "members") -> float:
    """Mean of ``values`` over a variable's terms.

    With ``members`` (the authors' code) a term is the side of the layer that touches the variable; with ``layers``
    (the paper's equation 3) it is the mean of both sides of that layer.
    """
    return sum(_term(term, values, rule) for term in variable.terms) / len(variable.terms)


def _term(term: Term, values: Sides, rule: str) -> float:
    sides: tuple[Side, ...] = (term.side,) if rule == "members" else ("in", "out")
    return sum(values[side][layer] for side in sides for layer in term.layers) / (len(sides) * len(term.layers))


PATIENCE = 4
TOLERANCE = 0.005
SLOPE_EPSILON = 1e-4
"""The authors' guard against a plateau at epoch 0."""


def plateau_epoch(curve: Sequence[float], rule: str = "argmax") -> int:
    """Index of the epoch at which a rank curve has reached its plateau.

    ``argmax``: the first maximum (the authors' code, from which the published numbers come). ``patience``: the
    first epoch that none of the next four exceeds by more than 0.005, else the last.
    """
    if rule == "argmax":
        return max(range(len(curve)), key=lambda epoch: curve[epoch])
    for epoch, value in enumerate(curve):
        ahead = curve[epoch + 1 : epoch + 1 + PATIENCE]
        if len(ahead) == PATIENCE and all(later <= value + TOLERANCE for later in ahead):
            return epoch
    return len(curve) - 1


def rank_slope(curve: Sequence[float], rule: str = "argmax") -> float:
    """Rank average slope S from the curve's first epoch to its plateau, per epoch; 0 for a falling or flat curve."""
    plateau = plateau_epoch(curve, rule)
    return (curve[plateau] - curve[0]) / (plateau + SLOPE_EPSILON)


@dataclass
class ChannelSize:
    """One channel variable: its size, its last action (None before any; 0 is frozen), and its factor."""

    size: int
    action: int | None = None
    factor: float = 0.2

    @property
    def frozen(self) -> bool:
        """Whether it has converged and stays."""
        return self.action == 0


Sizes = dict[str, ChannelSize]
"""By variable, in the order of the network."""


def numbers(sizes: Sizes) -> dict[str, int]:
    """Sizes alone."""
    return {name: one.size for name, one in sizes.items()}


def updated(
    sizes: Mapping[str, ChannelSize], slopes: Mapping[str, float], conditions: Mapping[str, float], config: ConetConfig
) -> dict[str, ChannelSize]:
    """Move every variable after a trial; the argument stays as it is.

    Args:
        sizes: variables by name, in the order of the network.
        slopes: rank average slope S by name.
        conditions: mean mapping condition kappa at the trial's last epoch by name.
        config: thresholds, and where paper and code differ.
    """
    moved: dict[str, ChannelSize] = {}
    shared = next(iter(sizes.values())).factor if sizes else config.phi
    for name, old in sizes.items():
        if config.factor_scope == "shared":
            old = replace(old, factor=shared)
        moved[name] = _moved(old, slopes[name], conditions[name], config)
        shared = moved[name].factor
    if config.factor_scope == "shared":
        moved = {name: replace(one, factor=shared) for name, one in moved.items()}
    return moved


def _moved(old: ChannelSize, slope: float, condition: float, config: ConetConfig) -> ChannelSize:
    if old.frozen:
        return old
    action = -1 if _shrinks(old.size, slope, condition, config) else 1
    factor = old.factor
    if old.action is not None and action != old.action:
        if factor < config.gamma:
            action = 0
        factor /= 2
    size = _rounded(old.size * (1 + action * factor), config.rounding)
    return ChannelSize(min(max(size, config.c_min), config.c_max), action, factor)


def _shrinks(size: int, slope: float, condition: float, config: ConetConfig) -> bool:
    if config.shrink_test == "paper":
        return slope < config.delta or condition > config.mu
    return ((slope < config.delta or condition >= config.mu) and size > config.c_min) or size > config.c_max


def _rounded(value: float, rounding: str) -> int:
    return 2 * round(value / 2) if rounding == "even" else int(value)


def rounded(record: Record) -> Record:
    """A record short enough to be told every epoch."""
    return {key: [round(value, 6) for value in values] for key, values in record.items()}


def sides(record: Record, quantity: str) -> Sides:
    """One quantity of a record, by side."""
    names: tuple[Side, Side] = ("in", "out")
    return {side: record[f"{quantity}_{side}"] for side in names}


@dataclass(frozen=True)
class Trial:
    """Measurements of a trial for every variable, by name."""

    curves: dict[str, list[float]]
    plateaus: dict[str, int]
    slopes: dict[str, float]
    conditions: dict[str, float]


def summarised(variables: Sequence[Variable], history: Sequence[Record], config: ConetConfig) -> Trial:
    """Average the records of a trial's epochs over the variables' members: slopes, and the last conditions."""
    rule, plateau = config.rank_average, config.plateau
    ranks = [sides(record, "rank") for record in history]
    last = sides(history[-1], "condition")
    curve = {v.name: [average(v, rank, rule) for rank in ranks] for v in variables}
    return Trial(
        curve,
        {name: plateau_epoch(values, plateau) for name, values in curve.items()},
        {name: rank_slope(values, plateau) for name, values in curve.items()},
        {v.name: average(v, last, rule) for v in variables},
    )


def fitting_size(size: int, pieces: int) -> int:
    """The greatest size up to ``size`` that a variable of so many equal pieces side by side can have."""
    return max(pieces, size - size % pieces)


def first_sizes(variables: Sequence[Variable], pieces: Mapping[str, int], config: ConetConfig) -> Sizes:
    """Every variable at ``start_channels``, or at the size that it has."""
    wanted = {v.name: config.start_channels or v.size for v in variables}
    return {name: ChannelSize(fitting_size(size, pieces[name]), None, config.phi) for name, size in wanted.items()}


def next_sizes(sizes: Sizes, trial: Trial, config: ConetConfig, pieces: Mapping[str, int]) -> Sizes:
    """The sizes that the update rule moves every variable to, made of whole pieces."""
    moved = updated(sizes, trial.slopes, trial.conditions, config)
    return {name: replace(one, size=fitting_size(one.size, pieces[name])) for name, one in moved.items()}


def may_move(one: ChannelSize, config: ConetConfig, pieces: int) -> bool:
    """Whether any later trial can change a size: factors only fall, so what rounding undoes now it always undoes.

    Args:
        one: the variable.
        config: thresholds.
        pieces: equal parts that its size is made of; see :func:`fitting_size`.
    """
    if one.frozen:
        return False
    again = 1 if one.action is None else one.action
    steps = (again * one.factor, -again * one.factor / (1 if one.action is None else 2))
    sizes = (min(max(_rounded(one.size * (1 + step), config.rounding), config.c_min), config.c_max) for step in steps)
    return any(fitting_size(size, pieces) != one.size for size in sizes)


def converged(
    before: Mapping[str, ChannelSize],
    after: Mapping[str, ChannelSize],
    config: ConetConfig,
    pieces: Mapping[str, int] | None = None,
) -> bool:
    """Whether the search ends before its last trial: nothing moved, and nothing can move any more.

    Args:
        before: sizes of the trial.
        after: sizes of the next one.
        config: ``stop`` and ``early_end``.
        pieces: by variable, see :func:`fitting_size`; None for 1 each.
    """
    if config.stop == "search" and any(one.frozen for one in after.values()):
        return True
    if not config.early_end or any(before[name].size != one.size for name, one in after.items()):
        return False
    return not any(may_move(one, config, pieces[name] if pieces else 1) for name, one in after.items())


def blindness(trial: Trial) -> str:
    """A remark for a first trial whose ranks say nothing of half of the sizes or more; empty for any other."""
    flat = [name for name, slope in trial.slopes.items() if slope == 0]
    if 2 * len(flat) < len(trial.slopes):
        return ""
    zero = sum(not any(trial.curves[name]) for name in flat)
    return (
        f"the ranks say nothing of {len(flat)} of {len(trial.slopes)} sizes: their slopes are 0 ({zero} curves are 0"
        " throughout, the others never rise), so that they shrink whatever algo.delta is. Use more steps in a trial"
        " (algo.search.epochs, a smaller algo.search.batch_size), wider networks (algo.start_channels) or weights that"
        " go on from trial to trial (algo.inherit=true)"
    )


def trial_record(trial: Trial, before: Mapping[str, ChannelSize], after: Mapping[str, ChannelSize]) -> dict[str, Any]:
    """All of a trial's decisions by variable: the size it was trained with, and what came of it."""
    return {
        name: {
            "size": before[name].size,
            "curve": [round(value, 6) for value in trial.curves[name]],
            "plateau": trial.plateaus[name],
            "slope": trial.slopes[name],
            "condition": trial.conditions[name],
            "action": after[name].action,
            "factor": after[name].factor,
            "next": after[name].size,
        }
        for name in before
    }


def slope_quartiles(record: Mapping[str, Any]) -> list[float]:
    """Quartiles of the slopes in a :func:`trial_record`: thresholds worth a try lie between them."""
    slopes = sorted(one["slope"] for one in record.values())
    return [slopes[round(part * (len(slopes) - 1))] for part in (0.25, 0.5, 0.75)]


def final_spec(spec: dict[str, Any], config: ConetConfig, image_side: int) -> dict[str, Any]:
    """The found network's spec, with auxiliary head and drop path where the family has them and they are wanted."""
    wanted = {
        "auxiliary": config.final_auxiliary and config.final.aux_weight > 0,
        "drop_path": config.final.drop_path > 0,
    }
    changes = {key: value for key, value in wanted.items() if key in spec}
    return {**spec, **changes, "image_size": image_side} if changes else spec


def without_head(spec: dict[str, Any]) -> dict[str, Any]:
    """The same network without its auxiliary head, as the paper counts parameters."""
    return {**spec, "auxiliary": False} if "auxiliary" in spec else spec
