"""What the modules of a network hold beside parameters and children, and what a forward pass leaves there."""

from collections.abc import Iterable
from itertools import chain
from operator import is_
from types import NoneType
from typing import Any, NamedTuple

from torch import Tensor, nn

from growsearch.surgery.remembering import Remembering
from growsearch.surgery.tensors import OWN_ATTRIBUTES, modules_of, tensors_inside
from growsearch.surgery.widths import Width
from growsearch.surgery.written import LONG

_PLAIN = {bool, int, float, str, NoneType, Width}
"""Values that hold no tensor; a size that a module holds before a pass remembers that it is an attribute."""


class Left(NamedTuple):
    """What a forward pass left in a network.

    Attributes:
        tensors: those in attributes and buffers that were not there before.
        size: whether a size is among the attributes, as a cached property is.
        changed: whether any attribute is another one but for the mode.
    """

    tensors: list[Tensor]
    size: bool
    changed: bool


class Attributes:
    """The attributes of a network's modules.

    Args:
        model: the network.
        modules: its modules with their paths.

    Attributes:
        held: tensors that they hold, each with its attribute's path.
    """

    def __init__(self, model: nn.Module, modules: Iterable[tuple[str, nn.Module]]) -> None:
        self._model = model
        self._before: dict[int, dict[str, Any]] = {}
        self._open: dict[int, list[str]] = {}
        self._buffers: list[Tensor] = []
        self.held: list[tuple[str, Tensor]] = []
        for path, module in modules:
            own = [(name, value) for name, value in vars(module).items() if name not in OWN_ATTRIBUTES]
            found = [(name, value) for name, value in own if _may_hold(value)]
            for name, value in found:
                self.held += [(f"{path}.{name}" if path else name, tensor) for tensor in tensors_inside(value)]
            self._open[id(module)] = [name for name, _ in found]
            self._buffers += _buffers(module)

    def remember(self) -> None:
        """Note which they are."""
        self._before = {id(module): {**vars(module)} for module in modules_of(self._model)}

    def left(self, training: bool) -> Left:
        """What is there after a pass that was not when they were remembered; of tensors, since the beginning."""
        known = {id(tensor) for tensor in (*self._buffers, *(tensor for _, tensor in self.held))}
        tensors, size, changed = list[Tensor](), False, False
        for module in modules_of(self._model):
            now, before = vars(module), self._before.get(id(module), {})
            names = self._open.get(id(module), [])  # in which there may be other entries now
            before["training"] = training  # which is changed from outside
            if len(now) != len(before) or not all(map(is_, now.values(), before.values())):
                names = [name for name in now if name not in OWN_ATTRIBUTES]
                changed = changed or any(
                    now[each] is not before.get(each, before) for each in now if each != "training"
                )
            for name in names:
                size = size or _is_size(now[name], before.get(name))
                tensors += tensors_inside(now[name]) if _may_hold(now[name]) else ()
            tensors += _buffers(module)
        return Left([tensor for tensor in tensors if id(tensor) not in known], size, changed)


def _may_hold(value: Any) -> bool:
    """Whether there may be tensors in a value, now or later."""
    if type(value) is tuple:
        return not _PLAIN.issuperset(map(type, value))
    return type(value) not in _PLAIN


def _is_size(value: Any, before: Any) -> bool:
    """Whether an attribute is a size, or has sizes in it, that a pass left there."""
    if isinstance(value, Remembering):
        return value is not before
    if not isinstance(value, (dict, tuple, list)) or not 0 < len(value) <= LONG:
        return False
    inside = [*value, *value.values()] if isinstance(value, dict) else value
    sizes = chain(*(each if isinstance(each, (tuple, list)) else (each,) for each in inside))
    return any(isinstance(each, Remembering) and getattr(each, "attribute", None) is None for each in sizes)


def _buffers(module: nn.Module) -> list[Tensor]:
    return [tensor for tensor in module._buffers.values() if tensor is not None]
