"""An evenly spread sample of a stream of lines."""

from collections.abc import Callable
from typing import Any, Generic

from growsearch.run_folder.lines import E, Line

_Bucket = tuple[tuple[float, Line[Any]], tuple[float, Line[Any]]]
"""Of some neighbours, the one where the key is lowest and the one where it is highest, each with its key."""


def _merged(left: _Bucket, right: _Bucket) -> _Bucket:
    low = right[0] if right[0][0] < left[0][0] else left[0]
    return low, right[1] if right[1][0] > left[1][0] else left[1]


class Sample(Generic[E]):
    """An evenly spread sample of a stream, in memory that does not grow with it.

    Args:
        most: lines kept; when there are more, neighbours are merged two by two.
        key: of neighbours, those where it is lowest and highest stay; without it, the first.
    """

    def __init__(self, most: int, key: Callable[[E], float] | None = None) -> None:
        self.count = self.num_bytes = 0
        self._most, self._key = most, key
        self._stride = 1
        self._kept: list[_Bucket] = []
        self._last: Line[E] | None = None

    def add(self, line: Line[E], num_bytes: int) -> None:
        """Take the next line of the stream, which was so long in the file."""
        if self.count % self._stride == 0 and len(self._kept) == self._most:
            self.halve()
        value = 0.0 if self._key is None else self._key(line.event)
        if self.count % self._stride == 0:
            self._kept.append(((value, line), (value, line)))
            self.num_bytes += num_bytes
        elif self._key is not None:
            low, high = self._kept[-1]
            if value < low[0] or value > high[0]:
                self._kept[-1] = _merged(self._kept[-1], ((value, line), (value, line)))
        self.count, self._last = self.count + 1, line

    def halve(self) -> None:
        """Merge neighbours."""
        pairs = zip(self._kept[::2], [*self._kept[1::2], None][: len(self._kept[::2])], strict=True)
        self._kept = [left if right is None or self._key is None else _merged(left, right) for left, right in pairs]
        self._stride, self.num_bytes = 2 * self._stride, self.num_bytes // 2

    def lines(self) -> list[Line[E]]:
        """The lines that are kept, in order, with the last one of the stream."""
        kept = [line for bucket in self._kept for _, line in bucket]
        kept += [self._last] if self._last is not None else []
        return sorted({line.place: line for line in kept}.values(), key=lambda line: line.place)
