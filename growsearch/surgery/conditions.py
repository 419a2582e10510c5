"""Conditions on widths: what a network's code computes from sizes and compares.

A branch on a number of channels is seen by no operator, and a random size may miss it. So sizes, and what is computed
from them, remember their formula while the network is traced, and each comparison is noted. The proof then
looks for sizes at which it turns out otherwise.
"""

import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

Comparison: TypeAlias = tuple[Callable[[Any, Any], Any], Any, Any]
_noted: ContextVar[list[Comparison] | None] = ContextVar("comparisons of sizes", default=None)


@contextmanager
def noted(comparisons: list[Comparison]) -> Iterator[None]:
    """Add what the code compares to a list; meanwhile functions of ``math`` remember the formulas of what they give."""
    token = _noted.set(comparisons)
    for name, function in _OF_MATH.items():
        setattr(math, name, _remembering(function))
    try:
        yield
    finally:
        _noted.reset(token)
        for name, function in _OF_MATH.items():
            setattr(math, name, function)


_OF_MATH = {name: getattr(math, name) for name in ("exp", "gcd", "isqrt", "lcm", "log", "log10", "log2", "sqrt")}
"""Read once, so that traces in several threads put back Python's own functions and not each other's."""
_CURVED = {"exp", "isqrt", "log", "log10", "log2", "pow", "sqrt"}


def _remembering(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*numbers: Any) -> Any:
        value = function(*map(plain, numbers))
        if not 1 <= len(numbers) <= 2 or not any(isinstance(each, _Formula) for each in numbers):
            return value
        made: Any = (Computed if isinstance(value, int) else _Quotient)(value)
        made.formula = (function if len(numbers) == 2 else _of_first(function), numbers[0], numbers[-1])
        return made

    return called


@cache
def _of_first(function: Callable[..., Any]) -> Callable[..., Any]:
    def of_first(number: Any, _: Any) -> Any:
        return function(number)

    of_first.__name__ = function.__name__
    return of_first


def _computing(name: str, turned: bool = False) -> Any:
    operate = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        pair = (other, self) if turned else (self, other)
        if not isinstance(other, (int, float)):
            return NotImplemented
        value = operate(*map(plain, pair))
        if not isinstance(value, (int, float)):
            return value
        made: Any = (Computed if isinstance(value, int) else _Quotient)(value)
        made.formula = (operate, *pair)
        return made

    return method


def _comparing(name: str) -> Any:
    operate = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        comparisons = _noted.get()
        if comparisons is not None and isinstance(other, (int, float)):
            comparisons.append((operate, self, other))
        return operate(self.plain, plain(other))

    return method


def _rounding(operate: Callable[..., Any]) -> Any:
    rounded = _of_first(operate)

    def method(self: Any, *digits: Any) -> Any:
        if digits:
            self.leave()
            return operate(self.plain, *digits)
        value = operate(self.plain)
        made: Any = (Computed if isinstance(value, int) else _Quotient)(value)
        made.formula = (rounded, self, 0)
        return made

    return method


_negative = _of_first(operator.neg)
UNSEEN = (64, 128, 256, 512)
"""Numbers of channels that are tried where a size goes where nobody sees what it is compared with."""


class _Formula:
    """A number with the operator and the two numbers that it was computed from, if any."""

    formula: Comparison | None = None
    plain: Any

    __add__, __radd__ = _computing("add"), _computing("add", turned=True)
    __sub__, __rsub__ = _computing("sub"), _computing("sub", turned=True)
    __mul__, __rmul__ = _computing("mul"), _computing("mul", turned=True)
    __mod__, __rmod__ = _computing("mod"), _computing("mod", turned=True)
    __pow__, __rpow__ = _computing("pow"), _computing("pow", turned=True)
    __floordiv__, __rfloordiv__ = _computing("floordiv"), _computing("floordiv", turned=True)
    __truediv__, __rtruediv__ = _computing("truediv"), _computing("truediv", turned=True)
    __and__, __rand__ = _computing("and_"), _computing("and_", turned=True)
    __or__, __ror__ = _computing("or_"), _computing("or_", turned=True)
    __xor__, __rxor__ = _computing("xor"), _computing("xor", turned=True)
    __lshift__, __rlshift__ = _computing("lshift"), _computing("lshift", turned=True)
    __rshift__, __rrshift__ = _computing("rshift"), _computing("rshift", turned=True)
    __round__, __floor__ = _rounding(round), _rounding(math.floor)
    __ceil__, __trunc__ = _rounding(math.ceil), _rounding(math.trunc)
    __abs__, __neg__ = _rounding(abs), _rounding(operator.neg)
    __eq__, __ne__ = _comparing("eq"), _comparing("ne")
    __lt__, __le__ = _comparing("lt"), _comparing("le")
    __gt__, __ge__ = _comparing("gt"), _comparing("ge")

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __hash__(self) -> int:
        self.leave()  # the key of a table
        return hash(self.plain)

    def __int__(self) -> int:
        self.leave()
        return int(self.plain)

    def __float__(self) -> float:
        self.leave()  # such as that of math.sqrt
        return float(self.plain)

    def __repr__(self) -> str:
        self.leave()
        return repr(self.plain)

    def __format__(self, spec: str) -> str:
        self.leave()
        return format(self.plain, spec)

    def leave(self) -> None:
        """Note that the number is used where its formula is lost, and may be compared with any other there."""
        if _noted.get() is not None:
            for number in (2 * self.plain, *UNSEEN):
                self.__eq__(number)

    def __bool__(self) -> bool:
        return bool(self != 0)


class Computed(_Formula, int):
    """A whole number computed from sizes."""

    @property
    def plain(self) -> int:
        """The number alone."""
        return int.__int__(self)

    def bit_length(self) -> int:
        """As of the number alone."""
        self.leave()
        return self.plain.bit_length()


class _Quotient(_Formula, float):
    @property
    def plain(self) -> float:
        return float.__float__(self)


def opposite(number: Any) -> Any:
    """What a number is the negative of, by its formula; None if it is none of that kind."""
    operate, of, _ = getattr(number, "formula", None) or (None, None, None)
    return of if operate is _negative else None


def plain(number: Any) -> Any:
    """A number without its formula, if it has one."""
    return getattr(number, "plain", number)


@dataclass(frozen=True)
class Size:
    """A width as groups make it up: each group's channels times a number, and entries of fixed number."""

    repeats: tuple[tuple[int, int], ...]
    fixed: int
    parts: int
    times: int


Formula: TypeAlias = Any
"""A number, a :class:`Size`, or (operator, formula, formula)."""


@dataclass(frozen=True)
class Condition:
    """A comparison of formulas of the sizes of groups.

    Attributes:
        formula: (comparison, formula, formula).
        groups: the groups that are in it.
        constants: the numbers in it.
        curved: whether a root, a power or a logarithm is in it, so that sizes far from the numbers may matter.
    """

    formula: Formula
    groups: frozenset[int]
    constants: tuple[float, ...]
    curved: bool

    @staticmethod
    def of(formula: Formula) -> "Condition":
        """A condition and what is in it."""
        groups: set[int] = set()
        constants: list[float] = []
        curved = False
        waiting = [formula]
        while waiting:
            match waiting.pop():
                case (operate, left, right):
                    curved = curved or operate.__name__ in _CURVED
                    waiting += [left, right]
                case Size() as size:
                    groups |= {group for group, _ in size.repeats}
                case number:
                    constants.append(number)
        return Condition(formula, frozenset(groups), tuple(constants), curved)

    def holds(self, sizes: Sequence[int] | Mapping[int, int]) -> bool:
        """Whether it is true of groups with these numbers of channels."""
        try:
            return bool(_value(self.formula, sizes))
        except (ArithmeticError, ValueError):
            return False


def _value(formula: Formula, sizes: Sequence[int] | Mapping[int, int]) -> Any:
    match formula:
        case (operate, left, right):
            return operate(_value(left, sizes), _value(right, sizes))
        case Size():
            total = formula.fixed + sum(sizes[group] * repeat for group, repeat in formula.repeats)
            return total // formula.parts * formula.times
        case _:
            return formula
