"""The six morphisms of a conv candidate and the limits they keep to (PR-DARTS III-A, Table II)."""

from collections.abc import Callable
from dataclasses import dataclass

from growsearch.networks.darts.candidate import Candidate, conv

UNLIMITED = 999


@dataclass(frozen=True)
class MorphLimits:
    """The candidates that a candidate may become.

    Attributes:
        kernel: smallest and largest side of the window.
        dilation: largest dilation.
        depth: largest number of inner expansions.
        width: largest multiple of one expansion.
        total: largest sum of the multiples (authors' code; same effect as ``width`` for DR).
        pointwise_dilation: allow a 1 x 1 window with dilation 2. Table II's totals for DR and UR count
            such candidates although its caption excludes them.
    """

    kernel: tuple[int, int]
    dilation: int = 2
    depth: int = UNLIMITED
    width: int = UNLIMITED
    total: int = UNLIMITED
    pointwise_dilation: bool = False


SETTINGS: dict[str, MorphLimits] = {
    "DL": MorphLimits((3, 7), depth=1, width=1, total=1),
    "DR": MorphLimits((1, 7), depth=1, width=5, total=5),
    "UR": MorphLimits((1, 7)),
}
"""Table II: DARTS-like, restricted depth, unrestricted."""


def children(parent: Candidate, limits: MorphLimits) -> dict[str, Candidate]:
    """Every candidate that one morphism makes of ``parent``, by the morphism's name; each is equally likely."""
    if not parent.is_conv:
        return {}
    made = {name: morph(parent, limits) for name, morph in MORPHISMS.items()}
    return {name: child for name, child in made.items() if child is not None}


def reachable(start: Candidate, limits: MorphLimits, steps: int) -> list[set[Candidate]]:
    """Candidates that at most 0, 1, ... ``steps`` morphisms make of ``start``."""
    known = [{start}]
    for _ in range(steps):
        known.append(known[-1] | {child for parent in known[-1] for child in children(parent, limits).values()})
    return known


def _kernel_up(c: Candidate, limits: MorphLimits) -> Candidate | None:
    return conv(c.kernel + 2, c.dilation, c.expansions) if c.kernel + 2 <= limits.kernel[1] else None


def _kernel_down(c: Candidate, limits: MorphLimits) -> Candidate | None:
    pointless = c.kernel - 2 == 1 and c.dilation >= 2 and not limits.pointwise_dilation
    return conv(c.kernel - 2, c.dilation, c.expansions) if c.kernel - 2 >= limits.kernel[0] and not pointless else None


def _dilation_up(c: Candidate, limits: MorphLimits) -> Candidate | None:
    pointless = c.kernel == 1 and not limits.pointwise_dilation
    return conv(c.kernel, c.dilation + 1, c.expansions) if c.dilation < limits.dilation and not pointless else None


def _dilation_down(c: Candidate, limits: MorphLimits) -> Candidate | None:
    return conv(c.kernel, c.dilation - 1, c.expansions) if c.dilation > 1 else None


def _insert(c: Candidate, limits: MorphLimits) -> Candidate | None:
    room = len(c.expansions) < limits.depth and sum(c.expansions) < limits.total
    return conv(c.kernel, c.dilation, (*c.expansions, 1)) if room else None


def _widen(c: Candidate, limits: MorphLimits) -> Candidate | None:
    if not c.expansions or min(c.expansions) >= limits.width or sum(c.expansions) >= limits.total:
        return None
    at = c.expansions.index(min(c.expansions))
    wider = tuple(m + (i == at) for i, m in enumerate(c.expansions))
    return conv(c.kernel, c.dilation, wider)


MORPHISMS: dict[str, Callable[[Candidate, MorphLimits], Candidate | None]] = {
    "kernel_up": _kernel_up,
    "kernel_down": _kernel_down,
    "dilation_up": _dilation_up,
    "dilation_down": _dilation_down,
    "insert": _insert,
    "widen": _widen,
}


def morphism_between(parent: Candidate, child: Candidate) -> str:
    """Name of the morphism that leads from ``parent`` to ``child``.

    Raises:
        ValueError: if none does.
    """
    for name, made in children(parent, MorphLimits((1, UNLIMITED), UNLIMITED, pointwise_dilation=True)).items():
        if made == child:
            return name
    raise ValueError(f"no morphism leads from {parent.label} to {child.label}")
