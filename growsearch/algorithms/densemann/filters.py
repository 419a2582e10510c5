"""The record of every filter of the growing layer, and its judgement (DensEMANN section 3.1.2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np


@dataclass
class FilterHistory:
    """Queues of one layer, an entry per filter (DensEMANN section 3.1.2, footnote 1).

    Attributes:
        strengths: latest connection strengths, oldest first.
        slopes: latest slopes of them, oldest first.
        reference: strengths last let in; recorded again and again while frozen.
    """

    strengths: list[list[float]] = field(default_factory=list)
    slopes: list[list[float]] = field(default_factory=list)
    reference: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, filters: int) -> "FilterHistory":
        """Empty queues for the filters of a new layer."""
        history = cls()
        history.extend(filters)
        return history

    def record(self, kcs: list[float], *, smoothing: int, window: int, frozen: bool) -> None:
        """Append one epoch's strengths, or the reference again if frozen, and the slopes they give.

        Args:
            kcs: strength of every filter now.
            smoothing: length of the queue of strengths; the slope is (last - first) / (smoothing - 1).
            window: length of the queue of slopes.
            frozen: whether recovery has outlasted the last improvement stage.
        """
        if not frozen:
            self.reference = list(kcs)
        for strengths, slopes, value in zip(self.strengths, self.slopes, self.reference, strict=True):
            strengths.append(value)
            del strengths[:-smoothing]
            if len(strengths) == smoothing:
                slopes.append((strengths[-1] - strengths[0]) / (smoothing - 1))
                del slopes[:-window]

    def settled(self, *, window: int, threshold: float) -> list[int]:
        """Filters whose slopes fill their queue with mean and population deviation within the threshold."""
        return [
            index
            for index, slopes in enumerate(self.slopes)
            if len(slopes) == window and abs(np.mean(slopes)) <= threshold and np.std(slopes) <= threshold
        ]

    def latest(self, index: int) -> float:
        """The filter's newest strength."""
        return self.strengths[index][-1]

    def mean(self, index: int) -> float:
        """Mean of the filter's kept strengths."""
        return float(np.mean(self.strengths[index]))

    def extend(self, count: int) -> None:
        """Add empty queues behind the others."""
        self.strengths += [[] for _ in range(count)]
        self.slopes += [[] for _ in range(count)]

    def keep(self, filters: list[int]) -> None:
        """Forget all filters but these."""
        self.strengths = [self.strengths[i] for i in filters]
        self.slopes = [self.slopes[i] for i in filters]
        self.reference = [self.reference[i] for i in filters]


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
