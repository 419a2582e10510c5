"""Sizes that remember the channels, or the attribute of a module, that they count."""

import math
import operator
from collections.abc import Container
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from growsearch.surgery.remembering import Computed, Remembering, of_first, plain

Vector: TypeAlias = np.ndarray
"""One label (int64) for each entry of a dimension."""


def same(first: Vector, second: Vector) -> bool:
    """Whether two vectors have the same labels in one order: of so few, ``np.array_equal`` mostly prepares itself."""
    return len(first) == len(second) and first.tobytes() == second.tobytes()


def tiled(vector: Vector, count: int) -> Vector:
    """A vector so many times, one or more, in a row; as ``np.tile``, in a third of its time."""
    return np.concatenate([vector] * count)


def one_share(vector: Vector, count: int) -> Vector | None:
    """Places of one of so many shares with the same labels, in whatever order they lie; None if there are none."""
    if len(vector) % count:
        return None
    length = len(vector) // count
    if same(tiled(vector[:length], count), vector):
        return np.arange(length)
    _, kinds, counts = np.unique(vector, return_inverse=True, return_counts=True)
    if (counts % count).any():
        return None
    order = np.argsort(kinds, kind="stable")
    turn = np.empty(len(vector), int)  # of each entry among those of its label
    turn[order] = np.arange(len(vector)) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.flatnonzero(turn < (counts // count)[kinds])


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
        if type(other) is int and self.times % other == 0:
            return Width.make(self.plain // other, self.vector, self.attribute, self.parts, self.times // other)
        return Width.make(self.plain // other, self.vector, self.attribute, self.parts * plain(other), self.times)

    def __mul__(self, other: Any) -> Any:
        if type(other) is not int or other <= 0:
            return super().__mul__(other)
        return Width.make(self.plain * other, self.vector, self.attribute, self.parts, self.times * other)

    __rmul__ = __mul__


_ROUNDING = tuple(map(of_first, (round, math.floor, math.ceil, math.trunc)))


def share_of(number: Any) -> Width | None:
    """A size that a number is a multiple or a part of without a rest, by its formula; None if there is none.

    ``c / 4`` is such a part of ``c``, as ``c // 4`` is, and so are ``0.25 * c`` and what rounding makes of these.
    """
    if isinstance(number, Width):
        return number
    operate, first, second = getattr(number, "formula", None) or (None, 0, 0)
    if operate in _ROUNDING:
        return share_of(first) if plain(first) == plain(number) else None
    if operate is operator.add and (_is_none(first) or _is_none(second)):
        return share_of(second if _is_none(first) else first)
    if operate in (operator.add, operator.sub):
        return _together(share_of(first), share_of(second), 1 if operate is operator.add else -1)
    if operate is operator.mul and isinstance(second, Remembering):
        first, second = second, first
    if operate not in (operator.mul, operator.truediv) or isinstance(second, Remembering) or not 0 < second < math.inf:
        return None
    size, factor = share_of(first), Fraction(second)
    times, parts = (factor if operate is operator.mul else 1 / factor).as_integer_ratio()
    found = size * times // parts if size is not None else None
    return found if isinstance(found, Width) else None


def _is_none(number: Any) -> bool:
    """Whether the code multiplies a size by zero, as where the first of several parts begins."""
    operate, *factors = getattr(number, "formula", None) or (None,)
    return operate is operator.mul and any(type(each) is int and not each for each in factors)


def _together(first: Width | None, second: Width | None, sign: int) -> Width | None:
    """The sum, or the difference, of two parts of the same channels."""
    if first is None or second is None or first.vector is None or first.vector is not second.vector:
        return None
    times, parts = (Fraction(first.times, first.parts) + sign * Fraction(second.times, second.parts)).as_integer_ratio()
    return Width.make(len(first.vector) * times // parts, first.vector, None, parts, times) if times > 0 else None


def factors_of(number: Any) -> list[Width]:
    """The sizes that a number is the product of, beside plain numbers; none if it is computed otherwise."""
    if isinstance(number, Width):
        return [number] if number.parts == number.times == 1 else []
    operate, first, second = getattr(number, "formula", None) or (None, None, None)
    if operate is operator.pow and type(second) is int:
        return factors_of(first) * second
    if operate is not operator.mul:
        return []
    pair = [factors_of(each) for each in (first, second)]
    known = [type(each) is int or bool(found) for each, found in zip((first, second), pair, strict=True)]
    return [*pair[0], *pair[1]] if all(known) else []


def factor_counting(product: Any, classes: Vector, known: Container[Any]) -> Width | None:
    """The only size in a product that counts the different channels which its entries are of, if there is one.

    A size that comes twice is none, but the side of a map; among several it is the one attribute that is known.
    """
    count, factors = len(np.unique(classes)), factors_of(product)
    keys = [(id(each.vector), each.attribute) for each in factors]
    found = [each for each, key in zip(factors, keys, strict=True) if each.plain == count and keys.count(key) == 1]
    if len(found) > 1:
        found = [each for each in found if each.attribute in known]
    return found[0] if len(found) == 1 else None
