"""Whether a network's code asks if it trains; one that does not ask runs alike in both modes."""

import dis
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import takewhile
from operator import attrgetter
from threading import RLock
from types import CodeType, FrameType
from typing import Any

from torch import nn

from growsearch.surgery.flags import reaches_dropout
from growsearch.surgery.rehearsal import DROPS

_ALIKE = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
_ALIKE_BY_NAME = {*DROPS, "BatchNormAct2d"}
"""Layers that have the same channels in both modes, those of other libraries by name; a trace switches off dropout."""
_ALIKE_WITHOUT_VALUES = (nn.MultiheadAttention, nn.TransformerEncoderLayer)
"""Layers that look for a faster way in eval mode, which the meta device has not, and at their number of heads."""
_PACKING = nn.TransformerEncoder.forward.__code__
_WATCHING = RLock()
"""One trace at a time watches: the attribute is that of all modules, whichever thread asks."""


@contextmanager
def modes_asked(modules: Iterable[nn.Module], heads: bool = False) -> Iterator[set[type[nn.Module]]]:
    """The classes whose modules are asked for their mode inside the block, or may be without being seen.

    Layers whose answer to themselves changes nothing but values are left out, answers that choose between equal values,
    and those that reach dropout alone, which a trace passes by. The attribute ``training`` of every module is watched.

    Args:
        modules: those of the network.
        heads: whether it matters what layers compare their number of heads with.
    """
    alike = _ALIKE if heads else _ALIKE + _ALIKE_WITHOUT_VALUES
    kinds = set(map(type, modules))
    asked = set(filter(_has_modes_of_its_own, kinds))
    layers = {kind for kind in kinds if issubclass(kind, alike) and _is_torch(kind.__module__)}

    def read(module: nn.Module) -> bool:
        kind, held = type(module), vars(module)
        if "training" not in held:
            raise AttributeError("training")  # so that torch asks a compiled module's own attributes
        if kind not in asked:
            asking = sys._getframe(1)
            known = kind in layers and _is_torch(asking.f_globals.get("__name__"))
            known = known or kind.__name__ in _ALIKE_BY_NAME or _chooses_equals(asking)
            if _is_for_padding(asking) or not (known or reaches_dropout(asking)):
                asked.add(kind)
        return bool(held["training"])

    def write(module: nn.Module, training: bool) -> None:
        vars(module)["training"] = training

    with _WATCHING:
        nn.Module.training = property(read, write)  # type: ignore[assignment]
        try:
            yield asked
        finally:
            del nn.Module.training


def switch(model: nn.Module, modules: Collection[nn.Module], training: bool) -> None:
    """As ``model.train(training)``, several times as fast where none of its modules does it in a way of its own."""
    if any("train" in vars(each) for each in modules) or not all(map(_switches_plainly, set(map(type, modules)))):
        model.train(training)
    else:
        for module in modules:
            vars(module)["training"] = training


def _switches_plainly(kind: type[nn.Module]) -> bool:
    return kind.__setattr__ is nn.Module.__setattr__ and not _has_modes_of_its_own(kind)


def _is_torch(module: str | None) -> bool:
    """Whether a module of Python has layers of torch in it."""
    return module is not None and module.startswith("torch.nn.")


def _is_for_padding(asking: FrameType) -> bool:
    """Whether a stack of torch's layers asks its first one, as it packs sequences by their padding in eval mode."""
    return asking.f_code is _PACKING and asking.f_locals.get("src_key_padding_mask") is not None


def _chooses_equals(asking: FrameType) -> bool:
    """Whether code asks for the mode in ``self.drop.p if self.training else 0.0`` or the like, of two equal values."""
    choice = _choice(asking.f_code, asking.f_lasti)
    if choice is None:
        return False
    variable, path, other = choice
    try:
        value = attrgetter(path)(asking.f_locals[variable])
    except (KeyError, AttributeError):
        return False
    return type(value) is type(other) and isinstance(value, (int, float)) and value == other


@lru_cache(256)
def _choice(code: CodeType, at: int) -> tuple[str, str, Any] | None:
    """The variable, its attribute and the constant that an expression chooses between, by what was read before it.

    Args:
        code: of a function.
        at: where it reads what it chooses by, in bytes.
    """
    steps = [each for each in dis.get_instructions(code) if each.offset > at and each.opname != "TO_BOOL"]
    if len(steps) < 2:
        return None
    jump, first, *rest = steps
    path = [each.argval for each in takewhile(lambda each: each.opname == "LOAD_ATTR", rest)]
    other = next((place for place, each in enumerate(rest) if each.offset == jump.argval), 0)
    branches = jump.opname.startswith("POP_JUMP") and jump.opname.endswith("IF_FALSE")
    loads = path and first.opname.startswith("LOAD_FAST") and rest[other].opname == "LOAD_CONST"
    if not (branches and loads and _goes_on_alike(rest[len(path) : other], rest[other + 1 :])):
        return None
    return first.argval, ".".join(path), rest[other].argval


def _goes_on_alike(one: list[dis.Instruction], other: list[dis.Instruction]) -> bool:
    """Whether a branch jumps behind the other, or has the same steps up to a return."""
    if [each.opname for each in one] == ["JUMP_FORWARD"]:
        return bool(one[0].argval == other[0].offset)
    steps = [(each.opname, each.arg) for each in one]
    return bool(steps) and steps[-1][0] == "RETURN_VALUE" and steps == [(e.opname, e.arg) for e in other[: len(one)]]


def _has_modes_of_its_own(kind: type[nn.Module]) -> bool:
    """Whether a class says itself what its mode is, or what becomes of it."""
    return any(
        {"training", "train", "eval", "__getattribute__"}.intersection(vars(each))
        for each in kind.__mro__
        if each not in (nn.Module, object)
    )
