"""Whether a network's code asks if it trains; one that does not ask runs alike in both modes."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from torch import nn

from growsearch.surgery.rehearsal import DROPS
from growsearch.surgery.tensors import modules_of

_ALIKE = (nn.modules.batchnorm._BatchNorm, nn.modules.dropout._DropoutNd)
_ALIKE_BY_NAME = {*DROPS, "BatchNormAct2d"}
"""Layers that have the same channels in both modes, those of other libraries by name; a trace switches off dropout."""
_WATCHING = RLock()
"""One trace at a time watches: the attribute is that of all modules, whichever thread asks."""


@contextmanager
def modes_asked(model: nn.Module) -> Iterator[set[type[nn.Module]]]:
    """The classes whose modules are asked for their mode inside the block, or may be without being seen.

    Layers whose answer changes nothing but values are left out. The attribute ``training`` of every module is watched.
    """
    asked = set(filter(_has_modes_of_its_own, set(map(type, modules_of(model)))))

    def read(module: nn.Module) -> bool:
        kind = type(module)
        if "training" not in vars(module):
            raise AttributeError("training")  # so that torch asks a compiled module's own attributes
        known = kind.__module__.startswith("torch.nn.") and issubclass(kind, _ALIKE)
        if not known and kind.__name__ not in _ALIKE_BY_NAME:
            asked.add(kind)
        return bool(vars(module)["training"])

    def write(module: nn.Module, training: bool) -> None:
        vars(module)["training"] = training

    with _WATCHING:
        nn.Module.training = property(read, write)  # type: ignore[assignment]
        try:
            yield asked
        finally:
            del nn.Module.training


def _has_modes_of_its_own(kind: type[nn.Module]) -> bool:
    """Whether a class says itself what its mode is, or what becomes of it."""
    return any(
        {"training", "train", "eval", "__getattribute__"}.intersection(vars(each))
        for each in kind.__mro__
        if each not in (nn.Module, object)
    )
