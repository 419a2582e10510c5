"""How channel counts move between two trials: a pure function (CONet algorithm 2)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from growsearch.training.stateful import state


@dataclass(frozen=True)
class UpdateRule:
    """Thresholds of the update, and where paper and code differ.

    Attributes:
        delta: slopes below it shrink.
        phi: share by which sizes change at first.
        gamma: a variable (or the search) has converged once a change of direction finds its factor under it.
        mu: conditions from here on shrink.
        c_min: least size; a low slope does not shrink below it.
        c_max: greatest size.
        scope: ``private``, a factor for each variable (code), or ``shared``, one for all (paper's listing).
        test: ``code``: condition >= mu, nothing shrinks at c_min, what exceeds c_max does; ``paper``: condition
            > mu and no exceptions.
        rounding: new sizes to the nearest ``even`` number (code), or ``floor`` (down to any integer; paper).
    """

    delta: float = 0.0075
    phi: float = 0.2
    gamma: float = 0.01
    mu: float = 10.0
    c_min: int = 16
    c_max: int = 256
    scope: Literal["private", "shared"] = "private"
    test: Literal["code", "paper"] = "code"
    rounding: Literal["even", "floor"] = "even"


@state
class ChannelSize:
    """One channel variable: its size, its last action (None before any; 0 is frozen), and its factor."""

    size: int
    action: int | None = None
    factor: float = 0.2

    @property
    def frozen(self) -> bool:
        """Whether it has converged and stays."""
        return self.action == 0


def updated(
    sizes: Mapping[str, ChannelSize], slopes: Mapping[str, float], conditions: Mapping[str, float], rule: UpdateRule
) -> dict[str, ChannelSize]:
    """Move every variable after a trial; the argument stays as it is.

    Args:
        sizes: variables by name, in the order of the network.
        slopes: rank average slope S by name.
        conditions: mean mapping condition kappa at the trial's last epoch by name.
        rule: thresholds.
    """
    moved: dict[str, ChannelSize] = {}
    shared = next(iter(sizes.values())).factor if sizes else rule.phi
    for name, old in sizes.items():
        if rule.scope == "shared":
            old = replace(old, factor=shared)
        moved[name] = _moved(old, slopes[name], conditions[name], rule)
        shared = moved[name].factor
    if rule.scope == "shared":
        moved = {name: replace(one, factor=shared) for name, one in moved.items()}
    return moved


def _moved(old: ChannelSize, slope: float, condition: float, rule: UpdateRule) -> ChannelSize:
    if old.frozen:
        return old
    action = -1 if _shrinks(old.size, slope, condition, rule) else 1
    factor = old.factor
    if old.action is not None and action != old.action:
        if factor < rule.gamma:
            action = 0
        factor /= 2
    size = _rounded(old.size * (1 + action * factor), rule.rounding)
    return ChannelSize(min(max(size, rule.c_min), rule.c_max), action, factor)


def _shrinks(size: int, slope: float, condition: float, rule: UpdateRule) -> bool:
    if rule.test == "paper":
        return slope < rule.delta or condition > rule.mu
    return ((slope < rule.delta or condition >= rule.mu) and size > rule.c_min) or size > rule.c_max


def _rounded(value: float, rounding: str) -> int:
    return 2 * round(value / 2) if rounding == "even" else int(value)
