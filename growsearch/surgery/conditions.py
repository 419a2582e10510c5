"""Conditions on widths: what a network's code computes from sizes and compares.

A branch on a number of channels is seen by no operator, and a random size may miss it. So sizes, and what is computed
from them, remember their formula while the network is traced, and each comparison is noted. The proof then
looks for sizes at which it turns out otherwise.
"""

import builtins
import math
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from types import BuiltinFunctionType
from typing import Any, NamedTuple, TypeAlias

import numpy as np

Comparison: TypeAlias = tuple[Callable[[Any, Any], Any], Any, Any]


class _Notes(NamedTuple):
    """What is compared, and the numbers that a size may be compared with where nobody sees it."""

    comparisons: list[Comparison]
    numbers: tuple[int, ...]


_noted: ContextVar[_Notes | None] = ContextVar("comparisons of sizes", default=None)


@contextmanager
def noted(comparisons: list[Comparison], numbers: Sequence[int] = ()) -> Iterator[None]:
    """Add what the code compares to a list.

    Meanwhile, in the whole process, functions of ``math`` remember the formulas of what they give, and ``range`` and
    functions that write a number in another form note the sizes that they take in.

    Args:
        comparisons: the list.
        numbers: those written in the code, which a size is compared with where its formula is lost.
    """
    token = _noted.set(_Notes(comparisons, tuple(numbers)))
    for module, name, function in _TAKING:
        setattr(module, name, _remembering(function))
    builtins.range = _Range  # type: ignore[misc]
    try:
        yield
    finally:
        _noted.reset(token)
        builtins.range = _RANGE  # type: ignore[misc]
        for module, name, function in _TAKING:
            setattr(module, name, function)


_TAKING: list[tuple[Any, str, Callable[..., Any]]] = [
    *(
        (math, name, function)
        for name, function in vars(math).items()
        if isinstance(function, BuiltinFunctionType) and name not in ("ceil", "floor", "trunc")
    ),
    *((builtins, name, getattr(builtins, name)) for name in ("hex", "oct", "bin", "chr")),
    (operator, "index", operator.index),
]
"""Read once, so that traces in several threads put back Python's own functions and not each other's."""
_RANGE = range
_CURVED = {
    *("exp", "isqrt", "log", "log10", "log2", "pow", "sqrt", "cbrt", "log1p", "exp2", "expm1", "comb", "perm"),
    *("factorial", "lgamma", "gamma", "power", "square"),
}


class _IsRange(type):
    """Ranges are instances of what stands in their place."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, _RANGE)

    def __subclasscheck__(cls, subclass: Any) -> bool:
        return issubclass(subclass, _RANGE)


class _Range(metaclass=_IsRange):
    """Python's ``range``, which takes sizes in without asking them."""

    def __new__(cls, *bounds: Any) -> Any:
        for each in bounds:
            if isinstance(each, Remembering):
                each.leave()
        return _RANGE(*bounds)


def _remembering(function: Callable[..., Any]) -> Callable[..., Any]:
    def called(*numbers: Any, **options: Any) -> Any:
        given = [each for each in numbers if isinstance(each, Remembering)]
        if not given:
            return function(*numbers, **options)
        value = function(*map(plain, numbers), **options)
        if len(numbers) > 2 or options or not isinstance(value, (int, float)):
            for each in given:
                each.leave()
            return value
        formula = (function if len(numbers) == 2 else _of_first(function), numbers[0], numbers[-1])
        if isinstance(value, bool):
            _note(formula)
            return value
        made: Any = (Computed if isinstance(value, int) else _Quotient)(value)
        made.formula = formula
        return made

    return called


def _note(comparison: Comparison) -> None:
    notes = _noted.get()
    if notes is not None:
        notes.comparisons.append(comparison)


@cache
def _of_first(function: Callable[..., Any]) -> Callable[..., Any]:
    def of_first(number: Any, _: Any) -> Any:
        return function(number)

    of_first.__name__ = function.__name__
    return of_first


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
        made: Any = (Computed if isinstance(value, int) else _Quotient)(value)
        made.formula = (operate, *pair)
        return made

    return method


def _comparing(name: str) -> Any:
    operate = getattr(operator, name)

    def method(self: Any, other: Any) -> Any:
        if isinstance(other, (int, float)):
            _note((operate, self, other))
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


def _leaving(function: Callable[..., Any]) -> Any:
    """A method of a number, which loses its formula there."""

    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        self.leave()
        return function(self.plain, *arguments, **options)

    return method


_negative = _of_first(operator.neg)
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
        return int(self.plain)

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
        formula = (function if len(numbers) == 2 else _of_first(function), numbers[0], numbers[-1])
        if isinstance(value, np.bool_):
            _note(formula)
        if not isinstance(value, np.float64):
            self.leave()
            return value
        made = _OfNumpy(value)
        made.formula = formula
        return made

    def leave(self) -> None:
        """Note that the number is used where its formula is lost, and may be compared with any other there."""
        notes = _noted.get()
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


class _Quotient(Remembering, float):
    @property
    def plain(self) -> float:
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
