"""Numbers that remember their formula: what a network's code computes from sizes, and compares.

A branch on a number of channels is seen by no operator, and a random size may miss it. So each number computed from
sizes knows its operator and its operands, and each comparison is noted while :mod:`.comparisons` listens.
"""

import math
import operator
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Comparison: TypeAlias = tuple[Callable[[Any, Any], Any], Any, Any]


class Notes(NamedTuple):
    """What is compared, the numbers that a size may be compared with where nobody sees it, and what ``int`` took in.

    The latter by the plain numbers that it gave, which lose their formula.
    """

    comparisons: list[Comparison]
    numbers: tuple[int, ...]
    taken: dict[int, Any]


listening: ContextVar[Notes | None] = ContextVar("comparisons of sizes", default=None)


def note(comparison: Comparison) -> None:
    """Add a comparison to those that are listened to, if any are."""
    notes = listening.get()
    if notes is not None:
        notes.comparisons.append(comparison)


@cache
def of_first(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of one number as one of two, as formulas have them."""

    def of_pair(number: Any, _: Any) -> Any:
        return function(number)

    of_pair.__name__ = function.__name__
    return of_pair


def _computing(name: str, turned: bool = False) -> Any:
    operate = getattr(operator, name)

    def method(self: Any, other: Any, *modulus: Any) -> Any:
        pair = (other, self) if turned else (self, other)
        if modulus:
            self.leave()
            return pow(*map(plain, (*pair, *modulus)))
        if not isinstance(other, (int, float)):
            self.leave()  # such as the length of a list
            return NotImplemented
        value = operate(*map(plain, pair))
        if not isinstance(value, (int, float)):
            return value
        return computed(value, (operate, *pair))

    return method


def _comparing(name: str) -> Any:
    operate = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        if isinstance(other, (int, float)):
            note((operate, self, other))
        return operate(self.plain, plain(other))

    return method


def _rounding(operate: Callable[..., Any]) -> Any:
    rounded = of_first(operate)

    def method(self: Any, *digits: Any) -> Any:
        if digits:
            self.leave()
            return operate(self.plain, *digits)
        value = operate(self.plain)
        return computed(value, (rounded, self, 0))

    return method


def _leaving(function: Callable[..., Any]) -> Any:
    """A method of a number, which loses its formula there."""

    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        self.leave()
        return function(self.plain, *arguments, **options)

    return method


_negative = of_first(operator.neg)
UNSEEN = (64, 128, 256, 512)
"""Numbers of channels that are tried where a size goes where nobody sees what it is compared with."""


class Remembering:
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
    __invert__ = _rounding(operator.invert)
    __eq__, __ne__ = _comparing("eq"), _comparing("ne")
    __lt__, __le__ = _comparing("lt"), _comparing("le")
    __gt__, __ge__ = _comparing("gt"), _comparing("ge")

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def __rdivmod__(self, other: Any) -> Any:
        return other // self, other % self

    def __pos__(self) -> Any:
        return self

    def __copy__(self) -> Any:
        return self

    def __deepcopy__(self, memo: Any) -> Any:
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        self.leave()
        return type(self.plain), (self.plain,)

    def __hash__(self) -> int:
        self.leave()  # the key of a table
        return hash(self.plain)

    def __int__(self) -> int:
        self.leave()
        value, notes = int(self.plain), listening.get()
        if notes is not None:
            notes.taken[value] = self
        return value

    def __index__(self) -> int:
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

    def __array_ufunc__(self, function: Any, method: str, *numbers: Any, **options: Any) -> Any:
        """As a function of numpy, whose results remember their formula if they are numbers."""
        value = getattr(function, method)(*map(plain, numbers), **options)
        if options or method != "__call__" or not all(isinstance(each, (int, float, np.number)) for each in numbers):
            for each in numbers:
                if isinstance(each, Remembering):
                    each.leave()
            return value
        formula = (function if len(numbers) == 2 else of_first(function), numbers[0], numbers[-1])
        if isinstance(value, np.bool_):
            note(formula)
        if not isinstance(value, np.float64):
            self.leave()
            return value
        made = _OfNumpy(value)
        made.formula = formula
        return made

    def leave(self) -> None:
        """Note that the number is used where its formula is lost, and may be compared with any other there."""
        notes = listening.get()
        if notes is not None:
            for number in (2 * self.plain, *UNSEEN, *notes.numbers):
                self.__eq__(number)
            for number in notes.numbers:
                self.__gt__(number)

    def __bool__(self) -> bool:
        return bool(self != 0)


class Computed(Remembering, int):
    """A whole number computed from sizes."""

    @property
    def plain(self) -> int:
        """The number alone."""
        return int.__int__(self)

    @property
    def numerator(self) -> "Computed":
        """The number itself."""
        return self

    @property
    def real(self) -> "Computed":
        """The number itself."""
        return self

    def conjugate(self) -> "Computed":
        """The number itself."""
        return self

    bit_length, bit_count = _leaving(int.bit_length), _leaving(int.bit_count)
    to_bytes, as_integer_ratio = _leaving(int.to_bytes), _leaving(int.as_integer_ratio)


class Quotient(Remembering, float):
    """A number with a fraction computed from sizes."""

    @property
    def plain(self) -> float:
        """The number alone."""
        return float.__float__(self)

    is_integer, as_integer_ratio, hex = (
        _leaving(float.is_integer),
        _leaving(float.as_integer_ratio),
        _leaving(float.hex),
    )


class _OfNumpy(Remembering, np.float64):
    """A number that a function of numpy gave."""

    formula: Comparison | None = None

    @property
    def plain(self) -> Any:
        return np.float64(float.__float__(self))

    item, astype, round = _leaving(np.float64.item), _leaving(np.float64.astype), _leaving(np.float64.round)
    is_integer = _leaving(np.float64.is_integer)


def computed(value: int | float, formula: Comparison) -> "Computed | Quotient":
    """A number with what it was computed from."""
    made = (Computed if isinstance(value, int) else Quotient)(value)
    made.formula = formula
    return made


def opposite(number: Any) -> Any:
    """What a number is the negative of, by its formula; None if it is none of that kind."""
    operate, of, _ = getattr(number, "formula", None) or (None, None, None)
    return of if operate is _negative else None


def plain(number: Any) -> Any:
    """A number without its formula, if it has one."""
    return getattr(number, "plain", number)
