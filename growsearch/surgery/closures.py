"""Functions that lead back to the network that holds them: a copy of the network needs functions of its own.

``copy.deepcopy`` shares functions and weak references. Where ``forward`` of a module is replaced by a function that
calls the old one, a copy would run the network itself, and write into its statistics.
"""

import copy
from collections import deque
from collections.abc import Collection, Iterable
from contextlib import suppress
from functools import WRAPPER_ASSIGNMENTS, partial
from types import CellType, FunctionType, MethodType
from typing import Any
from weakref import ref

DEPTH = 6
"""So deep are functions in containers and in the closures of each other looked for."""


class Closures:
    """Functions, methods and weak references among the attributes of a network that lead back to it.

    Objects are not looked into: what holds a network may hold much else.

    Args:
        values: the attributes.
        known: identities of the network's modules and tensors.

    Attributes:
        found: identities of the functions, methods and references.
    """

    def __init__(self, values: Iterable[Any], known: Collection[int]) -> None:
        self._known, self._leading = known, dict[int, bool]()
        self._found: list[Any] = []
        for value in values:
            self._leads(value, DEPTH)
        self.found = set(map(id, self._found))

    def _leads(self, value: Any, depth: int) -> bool:
        key = id(value)
        if key in self._known:
            return True
        if key not in self._leading:
            self._leading[key] = False  # for one that is in its own closure
            if depth and any([self._leads(each, depth - 1) for each in _inside(value)]):
                self._leading[key] = True
                if isinstance(value, (FunctionType, MethodType, ref)):
                    self._found.append(value)
        return self._leading[key]

    def remake(self, memo: dict[int, Any]) -> None:
        """Enter those of a copy, which lead to what is copied by ``copy.deepcopy`` with this memo."""
        functions = [each for each in self._found if isinstance(each, FunctionType)]
        for function in functions:
            cells = tuple(CellType() for _ in function.__closure__ or ())
            new = FunctionType(function.__code__, function.__globals__, function.__name__, None, cells or None)
            for name in WRAPPER_ASSIGNMENTS:
                setattr(new, name, getattr(function, name))
            new.__dict__.update(function.__dict__)
            memo[id(function)] = new
        for each in self._found:
            if isinstance(each, MethodType):
                called = memo.get(id(each.__func__), each.__func__)
                memo[id(each)] = MethodType(called, self._copy(each.__self__, memo))
            elif isinstance(each, ref):
                memo[id(each)] = ref(self._copy(each(), memo))
        for function in functions:
            new = memo[id(function)]
            for ours, theirs in zip(new.__closure__ or (), function.__closure__ or (), strict=True):
                with suppress(ValueError):  # it has no value yet
                    ours.cell_contents = self._copy(theirs.cell_contents, memo)
            if function.__defaults__:
                new.__defaults__ = tuple(self._copy(each, memo) for each in function.__defaults__)
            if function.__kwdefaults__:
                new.__kwdefaults__ = {name: self._copy(each, memo) for name, each in function.__kwdefaults__.items()}

    def _copy(self, value: Any, memo: dict[int, Any]) -> Any:
        """Of what leads to the network; all else is shared."""
        if id(value) in memo:
            return memo[id(value)]
        leads = id(value) in self._known or self._leading.get(id(value), False)
        return copy.deepcopy(value, memo) if leads else value


def _inside(value: Any) -> Iterable[Any]:
    """What a function, or a container of functions, holds."""
    match value:
        case FunctionType():
            return [*closed_over(value), *(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        case MethodType():
            return value.__func__, value.__self__
        case partial():
            return value.func, *value.args, *value.keywords.values()
        case ref():
            return (value(),)
        case list() | tuple() | set() | frozenset() | deque():
            return list(value)
        case dict():
            return list(value.values())
        case _:
            return ()


def closed_over(function: Any) -> list[Any]:
    """What a function holds of those around it; nothing of what has no value yet."""
    found = []
    for cell in getattr(function, "__closure__", None) or ():
        with suppress(ValueError):
            found.append(cell.cell_contents)
    return found
