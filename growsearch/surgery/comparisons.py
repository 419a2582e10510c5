"""What a network's code compares its sizes with, noted while it runs."""

import builtins
import math
import operator
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import BuiltinFunctionType, FrameType
from typing import Any

import torch

from growsearch.surgery.remembering import (
    Comparison,
    Notes,
    Remembering,
    computed,
    listening,
    note,
    of_first,
    plain,
)


@contextmanager
def noted(comparisons: list[Comparison], numbers: Sequence[int] = ()) -> Iterator[None]:
    """Add what the code compares to a list.

    Meanwhile, in the whole process, functions of ``math`` remember the formulas of what they give, and ``range`` and
    functions that write a number in another form note the sizes that they take in. Functions that TorchScript has
    compiled run as the Python functions that they were made of.

    Args:
        comparisons: the list.
        numbers: those written in the code, which a size is compared with where its formula is lost.
    """
    token = listening.set(Notes(comparisons, tuple(numbers), {}))
    for module, name, function in _TAKING:
        setattr(module, name, _remembering(function))
    builtins.range = _Range  # type: ignore[misc]
    torch.jit.ScriptFunction.__call__ = _in_python  # type: ignore[assignment, method-assign]
    try:
        yield
    finally:
        listening.reset(token)
        builtins.range = _RANGE  # type: ignore[misc]
        torch.jit.ScriptFunction.__call__ = _COMPILED  # type: ignore[method-assign]
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


_COMPILED = torch.jit.ScriptFunction.__call__


def _in_python(function: torch.jit.ScriptFunction, *args: Any, **kwargs: Any) -> Any:
    """What a compiled function gives, by the Python function that torch keeps of it, if it does."""
    written = getattr(function, "_torchdynamo_inline", None)
    return _COMPILED(function, *args, **kwargs) if written is None else written(*args, **kwargs)


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
        formula = (function if len(numbers) == 2 else of_first(function), numbers[0], numbers[-1])
        if isinstance(value, bool):
            note(formula)
            return value
        return computed(value, formula)

    return called


class EntriesCounted:
    """While it is on, products that torch makes of a shape are noted: ``numel`` of one is no operator that a mode sees.

    It is a profiler of Python's, which slows all code down, and so is for code in which the name stands.

    Args:
        needed: whether it does.

    Attributes:
        unseen: whether another profiler is on, which could not be put back, so that such products are not noted.
        needed: whether code is slowed down.
    """

    def __init__(self, needed: bool) -> None:
        self.unseen = needed and sys.getprofile() is not None
        self.needed = needed and not self.unseen

    def __enter__(self) -> None:
        if self.needed:
            sys.setprofile(_look)

    def __exit__(self, *error: object) -> None:
        if self.needed:
            sys.setprofile(None)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While code runs that is not the network's."""
        sys.setprofile(None)
        try:
            yield
        finally:
            sys.setprofile(_look)


def _look(frame: FrameType, event: str, called: Any) -> None:
    if event == "c_call" and called.__name__ == "numel" and isinstance(called.__self__, torch.Size):
        entries = math.prod(called.__self__)
        if isinstance(entries, Remembering):
            entries.leave()
