"""What a network holds in plain attributes, beside parameters, buffers and layers: no file of weights knows of it."""

import copy
import random
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from growsearch.surgery.tensors import OWN_ATTRIBUTES, named, places, tensors_inside, values_of


def unstored_weights(net: nn.Module) -> str | None:
    """The first plain attribute with weights to be trained that the network does not know of, as a list of layers."""
    known = {id(module) for module in net.modules()} | {id(tensor) for tensor, _ in places(net)}
    for where, _, _, value in _plain_attributes(net):
        layers = (module for module in _modules_inside(value) if id(module) not in known)
        inside = [*tensors_inside(value), *(each for module in layers for each in module.parameters())]
        if any(each.is_leaf and each.requires_grad and id(each) not in known for each in inside):
            return where
    return None


def noted_numbers(net: nn.Module) -> dict[str, Any]:
    """Flags, numbers and texts in plain attributes, and states of generators, by the attributes' paths.

    Whole numbers are left out: a network's description holds them.
    """
    found: dict[str, Any] = {}
    for where, _, _, value in _plain_attributes(net):
        if isinstance(value, (bool, float, str)):
            found[where] = value
        elif isinstance(value, random.Random):
            found[where] = value.getstate()
        elif isinstance(value, torch.Generator):
            found[where] = value.get_state().tolist()
        elif isinstance(value, np.random.Generator):
            found[where] = repr(value.bit_generator.state)
        elif isinstance(value, np.random.RandomState):
            found[where] = repr(value.get_state())
    return found


def has_unmade(net: nn.Module) -> bool:
    """Whether a plain attribute holds tensors or layers of the meta device, which have no values."""
    return any(_is_unmade(value) for _, _, _, value in _plain_attributes(net))


def fill_unmade(net: nn.Module, made: nn.Module) -> None:
    """Give plain attributes on the meta device the values that they have in an equal network on the CPU.

    Tensors and layers of the network that these attributes hold too are the network's own afterwards.
    """
    memo: dict[int, Any] = {id(each): ours for ours, each in zip(net.modules(), made.modules(), strict=True)}
    memo |= {id(each): ours for (ours, _), (each, _) in zip(places(net), places(made), strict=True)}
    for (_, module, name, value), (_, _, _, found) in zip(
        list(_plain_attributes(net)), list(_plain_attributes(made)), strict=True
    ):
        if _is_unmade(value):
            vars(module)[name] = copy.deepcopy(found, memo)


def _plain_attributes(net: nn.Module) -> Iterator[tuple[str, nn.Module, str, Any]]:
    """Path, module, name and value of what modules hold in attributes of their own, in the order of their paths."""
    for path, module in named(net):
        for name in sorted(vars(module).keys() - OWN_ATTRIBUTES):
            yield f"{path}.{name}".lstrip("."), module, name, vars(module)[name]


def _is_unmade(value: Any) -> bool:
    tensors = [*tensors_inside(value)]
    for module in _modules_inside(value):
        tensors += [tensor for tensor, _ in places(module)]
    return any(tensor.is_meta for tensor in tensors)


def _modules_inside(value: Any, depth: int = 3) -> Iterator[nn.Module]:
    if isinstance(value, nn.Module):
        yield value
    elif depth and isinstance(value, (list, tuple, set, Mapping)):
        for each in values_of(value) if isinstance(value, Mapping) else value:
            yield from _modules_inside(each, depth - 1)
