"""Conditions on widths: comparisons in a network's code as formulas of the sizes of groups.

The proof looks for sizes at which a comparison turns out otherwise than in the traced call.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

_CURVED = {
    *("exp", "isqrt", "log", "log10", "log2", "pow", "sqrt", "cbrt", "log1p", "exp2", "expm1", "comb", "perm"),
    *("factorial", "lgamma", "gamma", "power", "square"),
}


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
