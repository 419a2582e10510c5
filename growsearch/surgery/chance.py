"""Whether chance decides what a network runs: layers that are skipped, chosen or shuffled at random."""

import random
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor, nn

ALIKE = 8
"""A network that chance leads is run until so many runs in a row have brought nothing that was not seen before."""
MOST = 32
"""And at most so often more."""
_GENERATORS = (random.Random, np.random.Generator, np.random.RandomState)


class Ways:
    """The ways that a network takes in runs of one mode; to iterate says how many there must be.

    One run suffices unless chance may decide what runs: Python's or numpy's streams moved, a module holds a generator
    of theirs, or the code read what torch drew as a number. Ways are told apart by which operator, with which of the
    network's tensors, follows on which.

    Args:
        modules: those of the network that runs, its random streams seeded by the caller.

    Attributes:
        read: whether the code read a draw as a number; noted by the caller before it goes on.
        runs: number of runs so far but for the first.
        parted: whether some of those took another way than others.
    """

    def __init__(self, modules: Collection[nn.Module]) -> None:
        self._tensors = {
            id(each) for module in modules for each in (*module._parameters.values(), *module._buffers.values())
        }
        kinds = {type(value) for module in modules for value in vars(module).values()}
        self._held = any(issubclass(kind, _GENERATORS) for kind in kinds)
        self._seen: set[Any] = set()
        self._last: Any = None
        self.read = self.parted = self._noting = False
        self.runs = 0

    def __iter__(self) -> Iterator[None]:
        before = _streams()
        yield
        self._noting = self._held or self.read or _streams() != before
        alike = 0
        while self._noting and self.runs < MOST and alike < ALIKE:
            self.runs, self._last, known = self.runs + 1, None, len(self._seen)
            yield
            alike = alike + 1 if len(self._seen) == known else 0
            self.parted = self.parted or (self.runs > 1 and not alike)

    def note(self, func: Any, inputs: list[Tensor]) -> None:
        """An operator that ran, and the tensors that it took."""
        if not self._noting:
            return
        step = (func, *(id(each) for each in inputs if id(each) in self._tensors))
        self._seen.add((self._last, step))
        self._last = step


def skewed(share: Any, turn: int) -> Any:
    """What uniform draws between 0 and 1 become in one of several runs: themselves or, every other time, near an end.

    So rare events (a layer that is skipped once in a hundred runs) come about in few runs.
    """
    if not turn % 2:
        return share
    low, near = share**8, ((share * 4096) % 1 < 0.5) * 1.0
    return near * low + (1 - near) * (1 - low)


@contextmanager
def skewed_streams(turn: int) -> Iterator[None]:
    """Skew uniform draws that code takes from the modules ``random`` and ``numpy.random`` by their names there."""
    if not turn % 2:
        yield
        return

    def skewing(draw: Callable[..., Any]) -> Callable[..., Any]:
        return lambda *args, **kwargs: skewed(draw(*args, **kwargs), turn)

    held: list[tuple[Any, str]] = [
        (random, "random"),
        *((np.random, name) for name in ("rand", "random", "random_sample")),
    ]
    kept = [getattr(module, name) for module, name in held]
    for (module, name), draw in zip(held, kept, strict=True):
        setattr(module, name, skewing(draw))
    try:
        yield
    finally:
        for (module, name), draw in zip(held, kept, strict=True):
            setattr(module, name, draw)


def _streams() -> Any:
    """Where the streams of Python and numpy stand."""
    kind, keys, *rest = np.random.get_state(legacy=True)
    return random.getstate(), kind, keys.tobytes(), rest  # type: ignore[union-attr]
