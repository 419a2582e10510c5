"""Learning rates as pure functions of the epoch."""

import math
from dataclasses import dataclass
from typing import Protocol

from growsearch.options import LARGEST_NUMBER


class Schedule(Protocol):
    """The rate in force while epoch ``epoch`` (0-based) of ``epochs`` is trained."""

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the learning rate of an epoch."""


def stepped(lr: float, factor: float, times: int) -> float:
    """A rate multiplied so many times, up to the largest number of a rate's tensor."""
    try:
        return min(lr * factor**times, LARGEST_NUMBER)
    except OverflowError:
        return LARGEST_NUMBER if lr else 0.0


@dataclass(frozen=True)
class Constant:
    """One rate throughout."""

    lr: float

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the rate."""
        return self.lr


@dataclass(frozen=True)
class Fractions:
    """Multiply by ``factor`` once each fraction of the epochs has passed (He et al. 2016)."""

    lr: float
    at: tuple[float, ...] = (0.5, 0.75)
    factor: float = 0.1

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the rate; the drop for fraction f comes with epoch ``int(f * epochs)``."""
        return stepped(self.lr, self.factor, sum(epoch >= int(f * epochs) for f in self.at))


@dataclass(frozen=True)
class Milestones:
    """Multiply by ``factor`` at stated epochs."""

    lr: float
    at: tuple[int, ...]
    factor: float = 0.1

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the rate; the drop for milestone m comes with epoch m."""
        return stepped(self.lr, self.factor, sum(epoch >= m for m in self.at))


@dataclass(frozen=True)
class Every:
    """Multiply by ``factor`` every ``step`` epochs."""

    lr: float
    step: int
    factor: float = 0.5

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the rate."""
        return stepped(self.lr, self.factor, epoch // self.step)


@dataclass(frozen=True)
class Restarts:
    """Half a cosine from ``lr`` towards ``lr_min`` that starts anew at each of the epochs ``at`` (SGDR)."""

    lr: float
    lr_min: float
    at: tuple[int, ...]

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the rate; the last half cosine reaches to the end."""
        first = max((start for start in self.at if start <= epoch), default=0)
        after = min((start for start in self.at if start > epoch), default=epochs)
        return Cosine(self.lr, self.lr_min).rate(epoch - first, after - first)


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from ``lr`` towards ``lr_min``; with ``period`` set, restarted every so many epochs.

    Loshchilov & Hutter 2017. ``lr_min`` itself would be reached one epoch after the last.
    """

    lr: float
    lr_min: float = 0.0
    period: int | None = None

    def rate(self, epoch: int, epochs: int) -> float:
        """Return the rate."""
        length = self.period or epochs
        position = epoch % length if self.period else epoch
        return self.lr_min + (self.lr - self.lr_min) * (1 + math.cos(math.pi * position / length)) / 2
