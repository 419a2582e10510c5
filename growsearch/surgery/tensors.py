"""Tensors of a network by place: a tied tensor is one tensor in several places."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn


def places(model: nn.Module) -> list[tuple[Tensor, tuple[str, ...]]]:
    """Every distinct parameter and buffer with all its names, in the order of ``named_parameters``."""
    found: dict[int, tuple[Tensor, list[str]]] = {}
    for kind in (model.named_parameters, model.named_buffers):
        for name, tensor in kind(remove_duplicate=False):
            found.setdefault(id(tensor), (tensor, []))[1].append(name)
    return [(tensor, tuple(names)) for tensor, names in found.values()]


def owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that holds a tensor, and the tensor's name there."""
    *path, leaf = name.split(".")
    for part in path:
        model = model._modules[part]  # type: ignore[assignment]
    return model, leaf


def lookup(model: nn.Module, name: str) -> Tensor:
    """A parameter or buffer by its name."""
    module, leaf = owner(model, name)
    tensor = module._parameters.get(leaf)
    return tensor if tensor is not None else module._buffers[leaf]  # type: ignore[return-value]


def copied(model: nn.Module, convert: Callable[[Tensor], Tensor], *, hooks: bool = True) -> nn.Module:
    """A deep copy with every tensor converted; tied tensors stay tied, which ``.to()`` does not promise.

    Args:
        model: the network.
        convert: must return a tensor of its own.
        hooks: whether the copy has the network's hooks, which may write where the caller's do.
    """
    memo: dict[int, Any] = {}
    for tensor, _ in places(model):
        new = convert(tensor.detach())
        memo[id(tensor)] = nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new
    for module in model.modules():
        for name, value in vars(module).items():
            if isinstance(value, Tensor):  # a tensor that a forward pass left behind cannot be copied as it is
                memo.setdefault(id(value), convert(value.detach()))
            elif not hooks and "_hooks" in name and isinstance(value, dict):
                memo[id(value)] = OrderedDict()
    return copy.deepcopy(model, memo)
