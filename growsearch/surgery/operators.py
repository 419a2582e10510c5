"""The allow-list: what each operator does to channel labels.

An operator that is not listed freezes the channels of its inputs, for a label passed through an
unknown operator is silently wrong (a sort, a determinant). A rule sees the finished call and labels
its outputs; an output it leaves alone has no labels.

The test of every rule is Net2Wider's: if channels are copied and the weights that sum over them
are divided by the number of copies, the operator's output must hold the same copies. Where it does
not, the rule says with a :class:`~growsearch.surgery.labels.Bond` what may be done all the same.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from growsearch.dispatch import tensors_among
from growsearch.surgery.labels import LabelTrace

aten = torch.ops.aten


class _Signature(NamedTuple):
    """An operator's name without overload, its arguments' places and defaults by their names, and whether it draws."""

    name: str
    places: dict[str, int]
    defaults: dict[str, Any]
    draws: bool


@cache
def _signature(func: Any) -> _Signature:
    """As its schema says, which takes torch longer to tell than many an operator to run."""
    arguments = func._schema.arguments
    places = {each.name: place for place, each in enumerate(arguments)}
    defaults = {each.name: each.default_value for each in arguments if each.has_default_value()}
    draws = torch.Tag.nondeterministic_seeded in func.tags
    return _Signature(str(func.overloadpacket).removeprefix("aten."), places, defaults, draws)


def name_of(func: Any) -> str:
    """An operator's name without overload, such as ``softmax``."""
    return _signature(func).name


class Call:
    """One executed operator: its arguments by their names in the schema, and its output.

    Attributes:
        name: the operator without overload, such as ``softmax``.
        inputs: every tensor among the arguments.
        draws: whether it draws at random.
    """

    def __init__(
        self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], out: Any, inputs: list[Tensor] | None = None
    ) -> None:
        self.func, self.args, self.kwargs, self.out = func, args, kwargs, out
        self.name, self._places, self._defaults, self.draws = _signature(func)
        self.inputs = tensors_among(*args, *kwargs.values()) if inputs is None else inputs

    def __getitem__(self, name: str) -> Any:
        place = self._places[name]
        if place < len(self.args):
            return self.args[place]
        return self.kwargs[name] if name in self.kwargs else self._defaults[name]

    def get(self, name: str) -> Any:
        """An argument that not every overload has."""
        return self[name] if name in self._places else None


Rule = Callable[[LabelTrace, Call], None]
_RULES: dict[Any, Rule] = {}
_OTHERS: dict[str, Rule] = {}
"""Rules for operators of libraries that need not be imported, by their full names."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Put operators on the allow-list; names that this torch does not have are passed over.

    Those of another library are named with it, such as ``torchvision.roi_align``.
    """

    def enter(function: Rule) -> Rule:
        _OTHERS.update({name: function for name in names if "." in name})
        _RULES.update({getattr(aten, name): function for name in names if hasattr(aten, name)})
        rule_of.cache_clear()
        return function

    return enter


@cache
def rule_of(func: Any) -> Rule:
    """The rule of an operator; :func:`unknown` if it is not on the list."""
    packet = func.overloadpacket
    return _RULES[packet] if packet in _RULES else _OTHERS.get(str(packet), unknown)


def unknown(trace: LabelTrace, call: Call) -> None:
    """Freeze everything that goes in."""
    trace.freeze_all(call.inputs, f"operator {call.name} is not on the list of known ones")


def mapped(function: Callable[[Any], Any], args: Iterable[Any]) -> list[Any]:
    """A function's results for an operator's arguments, which lie in lists at most one deep."""
    return [[function(leaf) for leaf in each] if isinstance(each, (list, tuple)) else function(each) for each in args]


def flat(args: tuple[Any, ...]) -> Iterator[Any]:
    """An operator's arguments, which lie in lists at most one deep."""
    for each in args:
        if isinstance(each, (list, tuple)):
            yield from each
        else:
            yield each


def normal(dims: int | Sequence[int] | None, ndim: int) -> list[int]:
    """Dimensions counted from the front; None means all of them."""
    if dims is None or (not isinstance(dims, int) and len(dims) == 0):
        return list(range(ndim))
    return [dim % ndim if ndim else 0 for dim in ([dims] if isinstance(dims, int) else dims)]
