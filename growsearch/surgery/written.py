"""Numbers that are written in a network's code: sizes at which it may do something else.

Python hides from a trace what a size is counted up to, or sliced or looked up with. The number that it is compared
with there stands most often in the code.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from types import CodeType, FunctionType
from typing import Any

import torch
from torch import nn

LEAST, MOST = 2, 1024
"""Other numbers are left out."""
MOST_NUMBERS = 32
"""So many of the smallest numbers are kept."""
LONG = 64
"""Longer containers and texts are not looked into."""
_FOREIGN = ("torch", "numpy", "builtins")


def written_numbers(model: nn.Module) -> tuple[int, ...]:
    """Whole numbers in the code that a network runs, its tables and defaults included, in ascending order.

    Functions are followed by the names that they use: those of their module, and methods of the network's modules.
    """
    kinds = {type(module) for module in model.modules()}
    methods: dict[str, list[Any]] = {}
    for kind in {base for each in kinds for base in each.__mro__}:
        for name, value in vars(kind).items() if not _is_foreign(kind) else ():
            methods.setdefault(name, []).append(value)
    for module in model.modules():
        for name, value in vars(module).items() if not _is_foreign(type(module)) else ():
            plain = isinstance(value, (list, tuple)) and all(type(each) is int for each in value)  # known to a trace
            if isinstance(value, (FunctionType, list, tuple, dict, set, frozenset, str)) and not plain:
                methods.setdefault(name, []).append(value)
    reader = _Reader(methods)
    for value in methods.get("forward", ()):
        reader.read(value)
    return tuple(sorted(number for number in reader.numbers if LEAST <= number <= MOST)[:MOST_NUMBERS])


class _Reader:
    """Follows values from one to another and collects numbers."""

    def __init__(self, methods: Mapping[str, Iterable[Any]]) -> None:
        self._methods, self._seen = methods, set[int]()
        self.numbers: set[int] = set()
        self._kept: list[Any] = []

    def read(self, value: Any) -> None:
        """Collect the numbers of a value, and of what it leads to."""
        waiting = [value]
        while waiting:
            each = waiting.pop()
            if isinstance(each, (int, float)):
                self._note(each)
            elif isinstance(each, str):
                for digits in re.findall(r"\d+", each) if len(each) <= LONG else ():
                    self._note(int(digits))
            elif id(each) not in self._seen:
                self._seen.add(id(each))
                self._kept.append(each)
                waiting += self._inside(each)

    def _note(self, number: float) -> None:
        if abs(number) < 1e9:
            self.numbers.add(int(abs(number)))

    def _inside(self, value: Any) -> list[Any]:
        if isinstance(value, (list, tuple, set, frozenset)):
            self._note(len(value))
            return list(value) if len(value) <= LONG else []
        if isinstance(value, dict):
            return [*value, *value.values()] if len(value) <= LONG else []
        if isinstance(value, CodeType):
            return self._of_code(value, {})
        return self._of_function(value)

    def _of_function(self, value: Any) -> list[Any]:
        while hasattr(value, "__wrapped__"):
            value = value.__wrapped__
        value = getattr(value, "__func__", getattr(value, "fget", value))
        if isinstance(value, torch.jit.ScriptFunction):
            return re.findall(r"\d+", str(value.code))
        if isinstance(value, type):
            return [] if _is_foreign(value) else [vars(value).get("forward"), vars(value).get("__call__")]
        if not isinstance(value, FunctionType) or _is_foreign(value):
            return []
        cells = [cell.cell_contents for cell in value.__closure__ or () if _is_filled(cell)]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [*cells, *defaults, *self._of_code(value.__code__, value.__globals__, value.__doc__)]

    def _of_code(self, code: CodeType, scope: Mapping[str, Any], text: str | None = None) -> list[Any]:
        inner = [each for each in code.co_consts if isinstance(each, CodeType)]
        found = [each for each in code.co_consts if each != text and not isinstance(each, CodeType)]
        for name in code.co_names:
            found += [scope[name]] if name in scope else []
            found += self._methods.get(name, ())
        return [*found, *(leaf for each in inner for leaf in self._of_code(each, scope))]


def _is_foreign(value: Callable[..., Any] | type) -> bool:
    return str(getattr(value, "__module__", "")).partition(".")[0] in _FOREIGN


def _is_filled(cell: Any) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:
        return False
