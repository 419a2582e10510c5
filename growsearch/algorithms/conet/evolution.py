"""From a trial's measurements to the next trial's sizes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from growsearch.algorithms.conet.config import ConetConfig
from growsearch.algorithms.conet.measure import Record, sides
from growsearch.algorithms.conet.slope import plateau_epoch, rank_slope
from growsearch.algorithms.conet.update import ChannelSize, UpdateRule, updated
from growsearch.algorithms.conet.variables import Variable, average, curves


@dataclass(frozen=True)
class Trial:
    """What a trial showed of every variable, by name."""

    curves: dict[str, list[float]]
    plateaus: dict[str, int]
    slopes: dict[str, float]
    conditions: dict[str, float]


def update_rule(config: ConetConfig) -> UpdateRule:
    """The thresholds and variants that the options name."""
    return UpdateRule(
        delta=config.delta,
        phi=config.phi,
        gamma=config.gamma,
        mu=config.mu,
        c_min=config.c_min,
        c_max=config.c_max,
        scope=config.factor_scope,  # type: ignore[arg-type]
        test=config.shrink_test,  # type: ignore[arg-type]
        rounding=config.rounding,  # type: ignore[arg-type]
    )


def summarised(variables: Sequence[Variable], history: Sequence[Record], config: ConetConfig) -> Trial:
    """Average the records of a trial's epochs over the variables' members: slopes, and the last conditions."""
    rule, plateau = config.rank_average, config.plateau
    ranks = [sides(record, "rank") for record in history]
    last = sides(history[-1], "condition")
    curve = {v.name: curves(v, ranks, rule) for v in variables}  # type: ignore[arg-type]
    return Trial(
        curve,
        {name: plateau_epoch(values, plateau) for name, values in curve.items()},  # type: ignore[arg-type]
        {name: rank_slope(values, plateau) for name, values in curve.items()},  # type: ignore[arg-type]
        {v.name: average(v, last, rule) for v in variables},  # type: ignore[arg-type]
    )


def next_sizes(sizes: Mapping[str, ChannelSize], trial: Trial, config: ConetConfig) -> dict[str, ChannelSize]:
    """Apply the update rule to every variable."""
    return updated(sizes, trial.slopes, trial.conditions, update_rule(config))


def converged(before: Mapping[str, ChannelSize], after: Mapping[str, ChannelSize], config: ConetConfig) -> bool:
    """Whether the search ends before its last trial."""
    frozen = [one.frozen for one in after.values()]
    if config.stop == "search" and any(frozen):
        return True
    return (
        config.early_end
        and all(frozen)
        and {n: c.size for n, c in before.items()} == {n: c.size for n, c in after.items()}
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
