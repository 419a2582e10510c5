"""Sizes that remember the channels, or the attribute of a module, that they count."""

from typing import Any, TypeAlias

import numpy as np

from growsearch.surgery.remembering import Computed, plain

Vector: TypeAlias = np.ndarray
"""One label (int64) for each entry of a dimension."""


def same(first: Vector, second: Vector) -> bool:
    """Whether two vectors have the same labels in one order: of so few, ``np.array_equal`` mostly prepares itself."""
    return len(first) == len(second) and first.tobytes() == second.tobytes()


def tiled(vector: Vector, count: int) -> Vector:
    """A vector so many times, one or more, in a row; as ``np.tile``, in a third of its time."""
    return np.concatenate([vector] * count)


class Width(Computed):
    """A size that remembers where it comes from: labelled entries, or an attribute of a module.

    Attributes:
        vector: the labels that it counts, if any.
        attribute: (path of the module, name, index in a tuple or None) if it was read off a module.
        parts: it is one of that many equal parts of the vector or the attribute.
        times: it is that many of these parts.
    """

    vector: Vector | None = None
    attribute: tuple[str, str, int | None] | None = None
    parts: int = 1
    times: int = 1

    @staticmethod
    def make(
        size: int,
        vector: Vector | None = None,
        attribute: tuple[str, str, int | None] | None = None,
        parts: int = 1,
        times: int = 1,
    ) -> "Width":
        """A size with its origin."""
        width = Width(size)
        width.vector, width.attribute, width.parts, width.times = vector, attribute, parts, times
        return width

    def __floordiv__(self, other: Any) -> Any:
        if not isinstance(other, int) or other <= 0 or self.plain % other:
            return super().__floordiv__(other)
        return Width.make(self.plain // other, self.vector, self.attribute, self.parts * plain(other), self.times)

    def __mul__(self, other: Any) -> Any:
        if type(other) is not int or other <= 0:
            return super().__mul__(other)
        return Width.make(self.plain * other, self.vector, self.attribute, self.parts, self.times * other)

    __rmul__ = __mul__
