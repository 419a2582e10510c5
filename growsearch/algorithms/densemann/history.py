"""What is remembered of every filter of the growing layer: its recent connection strengths and their slopes."""

from dataclasses import field

import numpy as np

from growsearch.training.stateful import state


@state
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
