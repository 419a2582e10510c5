"""Settled, useful and useless filters (DensEMANN section 3.1.2, equations 2 and 3)."""

from collections.abc import Sequence
from dataclasses import dataclass

from growsearch.algorithms.densemann.history import FilterHistory


@dataclass(frozen=True)
class Thresholds:
    """Connection strengths at and above which a settled filter is useful, at and below which it is useless."""

    useful: float
    useless: float


@dataclass(frozen=True)
class Categories:
    """Filters by index; a filter may be useful and useless at once when all strengths agree."""

    settled: list[int]
    useful: list[int]
    useless: list[int]


def thresholds(settled_kcs: Sequence[float], uft_auto: float, ult_auto: float) -> Thresholds:
    """Place both thresholds between least and greatest strength of the settled filters (equations 2 and 3)."""
    low, high = min(settled_kcs), max(settled_kcs)
    return Thresholds(useful=low + uft_auto * (high - low), useless=low + ult_auto * (high - low))


def has_quorum(settled: Sequence[int], born_with: int) -> bool:
    """Whether half as many filters have settled as the layer was born with; below that no filter is judged."""
    return len(settled) >= 0.5 * born_with


def categorise(history: FilterHistory, settled: list[int], limits: Thresholds | None, born_with: int) -> Categories:
    """Judge the settled filters by the mean of their kept strengths; both limits are inclusive.

    Args:
        history: the layer's queues, this epoch recorded.
        settled: its settled filters.
        limits: thresholds in force; None before there are any.
        born_with: filters the layer started with.
    """
    if limits is None or not has_quorum(settled, born_with):
        return Categories(settled, [], [])
    means = {index: history.mean(index) for index in settled}
    return Categories(
        settled,
        useful=[i for i in settled if means[i] >= limits.useful],
        useless=[i for i in settled if means[i] <= limits.useless],
    )
