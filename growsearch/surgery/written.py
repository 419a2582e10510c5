"""Numbers that are written in a network's code: sizes at which it may do something else.

Python hides from a trace what a size is counted up to, or sliced or looked up with. The number that it is compared
with there stands most often in the code.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from types import CodeType, FunctionType, MethodType, ModuleType, SimpleNamespace
from typing import Any, NamedTuple

import torch
from torch import nn

from growsearch.surgery.closures import closed_over
from growsearch.surgery.tensors import modules_of, values_of

LEAST, MOST = 2, 1024
"""Other numbers are left out where sizes are tried."""
MOST_NUMBERS = 32
"""So many of the smallest numbers are kept, and of the largest ones that a size may be compared with."""
LONG = 64
"""Longer containers and texts are not looked into."""
MOST_VALUES = 20_000
"""So many values are looked at."""
_FOREIGN = {"torch", "numpy", "builtins", "_pytest", *sys.stdlib_module_names}  # to which asserts lead in tests


class Code(NamedTuple):
    """What stands in the code that a network runs.

    Attributes:
        numbers: whole numbers of a size of channels, in ascending order.
        compared: the same and larger ones, which a product of sizes may be compared with.
        together: numbers that stand in one text or tuple.
        counts: whether it asks for the entries of a shape.
    """

    numbers: tuple[int, ...] = ()
    compared: tuple[int, ...] = ()
    together: frozenset[int] = frozenset()
    counts: bool = False


def read_code(model: nn.Module) -> Code:
    """What is written in the code that a network runs, its tables and defaults and the numbers that it holds included.

    Functions are followed by the names that they use: those of their module, and attributes of the network's modules.
    Numbers that a module holds are left out where a tensor of the network has as many entries in a dimension: these
    count its channels.
    """
    modules = modules_of(model)
    kinds = set(map(type, modules))
    attributes: dict[str, list[Any]] = {}
    for kind in {base for each in kinds for base in each.__mro__}:
        for name, value in vars(kind).items() if not _is_foreign(kind) else ():
            attributes.setdefault(name, []).append(value)
    held = [tensor for each in modules for tensor in (*each._parameters.values(), *each._buffers.values())]
    sizes = {size for tensor in held if tensor is not None for size in tensor.shape}
    known = {kind for kind in kinds if not _is_foreign(kind)}
    for name, value in chain.from_iterable(vars(each).items() for each in modules if type(each) in known):
        if not name.startswith("_"):
            plain = isinstance(value, (list, tuple)) and all(type(each) is int for each in value)  # known to a trace
            counts = isinstance(value, int) and value in sizes
            if not (plain or counts or isinstance(value, (nn.Module, torch.Tensor))):
                attributes.setdefault(name, []).append(value)
    reader = _Reader(attributes)
    for value in attributes.get("forward", ()):
        reader.read(value)
    for name in _names_looked_up(modules, reader.names):
        reader.read(name)
    found = sorted(number for number in reader.numbers if number >= LEAST)
    numbers = tuple(number for number in found if number <= MOST)[:MOST_NUMBERS]
    return Code(
        numbers, tuple(sorted({*numbers, *found[-MOST_NUMBERS:]})), frozenset(reader.together), "numel" in reader.names
    )


_LOOKING_UP = {
    *("getattr", "hasattr", "vars", "__dict__", "_modules", "_buffers", "_parameters", "state_dict"),
    *("get_submodule", "get_parameter", "get_buffer"),
    *("named_children", "named_modules", "named_parameters", "named_buffers"),
}
"""What code looks attributes up with by a text, which may be made of a size."""
_TABLES = (nn.ModuleDict, nn.ParameterDict)


def _names_looked_up(modules: Iterable[nn.Module], names: Iterable[str]) -> Iterator[str]:
    """Keys of a network's dictionaries of modules and tensors, and names of attributes if code looks them up.

    Names that are numbered from 0 or 1, as of layers one after another, are left out.
    """
    every, found = not _LOOKING_UP.isdisjoint(names), set[str]()
    kinds = {kind for kind in set(map(type, modules)) if every and not _is_foreign(kind)}
    for module in modules:
        if isinstance(module, _TABLES):
            held = (*module._modules, *module._parameters, *module._buffers)
            found |= {name for name in held if isinstance(name, str)}
        elif type(module) in kinds:
            found.update(module._modules, module._parameters, module._buffers, vars(module))
    for kind in {base for each in kinds if not issubclass(each, _TABLES) for base in each.__mro__}:
        found.update(vars(kind) if not _is_foreign(kind) else ())
    alike: dict[str, dict[int, str]] = {}
    for name in sorted(found):
        if one := re.fullmatch(r"(\D*)(\d+)\D*", name):
            alike.setdefault(one[1], {})[int(one[2])] = name
        else:
            yield name
    for numbered in alike.values():
        first, last = min(numbered), max(numbered)
        if first > 1 or last - first >= len(numbered):
            yield from numbered.values()


class _Reader:
    """Follows values from one to another and collects numbers."""

    def __init__(self, attributes: Mapping[str, Iterable[Any]]) -> None:
        self._attributes, self._seen = attributes, set[int]()
        self.numbers: set[int] = set()
        self.together: set[int] = set()
        self.names: set[str] = set()
        self._kept: list[Any] = []

    def read(self, value: Any) -> None:
        """Collect the numbers of a value, and of what it leads to."""
        waiting = [value]
        while waiting and len(self._kept) < MOST_VALUES:
            each = waiting.pop()
            if isinstance(each, (int, float)):
                self._note(each)
            elif isinstance(each, str):
                self._note_text(each)
            elif id(each) not in self._seen:
                self._seen.add(id(each))
                self._kept.append(each)
                waiting += self._inside(each)

    def _note(self, number: float) -> None:
        if abs(number) < 1e9:
            self.numbers.add(int(abs(number)))

    def _note_text(self, text: str) -> None:
        found = re.findall(r"\d+", text) if len(text) <= LONG else []
        if re.fullmatch("0[xXbBoO][0-9a-fA-F]+", text):
            found = [str(int(text, 0))] if _is_literal(text) else []
        self._note_together([int(digits) for digits in found if len(digits) < 10])

    def _note_together(self, numbers: list[int]) -> None:
        self.numbers.update(numbers)
        if len(numbers) > 1:
            self.together.update(number for number in numbers if LEAST <= number <= MOST)

    def _inside(self, value: Any) -> list[Any]:
        if isinstance(value, (list, tuple, set, frozenset)):
            self._note(len(value))
            if isinstance(value, tuple) and len(value) <= LONG and all(type(each) is int for each in value):
                self._note_together([abs(each) for each in value if abs(each) < 1e9])
            return list(value) if len(value) <= LONG else []
        if isinstance(value, Mapping):
            return [*value, *values_of(value)] if len(value) <= LONG else []
        if isinstance(value, CodeType):
            return self._of_code(value, {})
        return self._of_function(value)

    def _of_function(self, value: Any) -> list[Any]:
        while "__wrapped__" in (held := _attributes(value)):
            value = held["__wrapped__"]
        if isinstance(value, (MethodType, staticmethod, classmethod)):
            value = value.__func__
        elif isinstance(value, property):
            value = value.fget
        if isinstance(value, torch.jit.ScriptFunction):
            return re.findall(r"\d+", str(value.code))
        if isinstance(value, SimpleNamespace):
            return list(held.values()) if len(held) <= LONG else []
        if _is_foreign(value if isinstance(value, (type, FunctionType)) else type(value)):
            return []
        if isinstance(value, type):
            own = {name: each for name, each in vars(value).items() if _is_code(each) or not name.startswith("__")}
            return [own.get("forward"), own.get("__call__")] if issubclass(value, nn.Module) else [*own.values()]
        if isinstance(value, partial):
            return [value.func, *value.args, *value.keywords.values()]
        if not isinstance(value, FunctionType):
            known = len(held) > LONG or isinstance(value, (nn.Module, ModuleType))
            return [] if known else [type(value), *held.values()]
        defaults = [*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values()]
        return [*closed_over(value), *defaults, *self._of_code(value.__code__, value.__globals__, value.__doc__)]

    def _of_code(self, code: CodeType, scope: Mapping[str, Any], text: str | None = None) -> list[Any]:
        inner = [each for each in code.co_consts if isinstance(each, CodeType)]
        found = [each for each in code.co_consts if each != text and not isinstance(each, CodeType)]
        used = [scope[name] for name in code.co_names if name in scope]
        for module in [each for each in used if isinstance(each, ModuleType) and not _is_foreign(each)]:
            used += [vars(module)[name] for name in code.co_names if name in vars(module)]
        self.names.update(code.co_names)
        for name in code.co_names:
            found += self._attributes.get(name, ())
        return [*found, *used, *(leaf for each in inner for leaf in self._of_code(each, scope))]


def _is_foreign(value: Callable[..., Any] | type | ModuleType) -> bool:
    name = value.__name__ if isinstance(value, ModuleType) else getattr(value, "__module__", "")
    return str(name).partition(".")[0] in _FOREIGN


def _attributes(value: Any) -> dict[str, Any]:
    """Those that an object holds, without asking its code."""
    try:
        held = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return held if type(held) is dict else {}


def _is_code(value: Any) -> bool:
    return isinstance(value, (FunctionType, staticmethod, classmethod, property))


def _is_literal(text: str) -> bool:
    try:
        return int(text, 0) < 1e9
    except ValueError:
        return False
