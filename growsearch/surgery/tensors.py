"""Tensors of a network by place: a tied tensor is one tensor in several places."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from functools import cache
from types import FunctionType, NoneType
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


def modules_of(model: nn.Module) -> list[nn.Module]:
    """The modules of ``model.modules()``, in its order; several times as fast, as every edit walks through them."""
    found: dict[int, nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            waiting += [child for child in reversed(module._modules.values()) if child is not None]
    return list(found.values())


def copied(model: nn.Module, convert: Callable[[Tensor], Tensor], *, hooks: bool = True) -> nn.Module:
    """A deep copy with every tensor converted; tied tensors stay tied, which ``.to()`` does not promise.

    Args:
        model: the network.
        convert: must return a tensor of its own.
        hooks: whether the copy has the network's hooks, which may write where the caller's do.
    """
    modules, memo = modules_of(model), dict[int, Any]()
    for module in modules:
        for tensor in (*module._parameters.values(), *module._buffers.values()):
            if tensor is not None and id(tensor) not in memo:
                new = convert(tensor.detach())
                memo[id(tensor)] = nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new
    plain = [module for module in modules if _is_plain(type(module))]  # type: ignore[arg-type]
    memo |= {id(module): type(module).__new__(type(module)) for module in plain}
    for module in modules:
        for name, value in vars(module).items():
            if isinstance(value, Tensor):  # a tensor that a forward pass left behind cannot be copied as it is
                memo.setdefault(id(value), convert(value.detach()))
            elif not hooks and "_hooks" in name and isinstance(value, dict):
                memo[id(value)] = OrderedDict()
    for module in plain:
        vars(memo[id(module)]).update({name: _copy(value, memo) for name, value in vars(module).items()})
    return copy.deepcopy(model, memo)


_UNCHANGING = {bool, int, float, str, NoneType, FunctionType, type}
_COPYING = ("__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__")


@cache
def _is_plain(kind: Any) -> bool:
    """Whether a module of this class is copied by copying its attributes, as ``copy.deepcopy`` would."""
    usual = all(getattr(kind, name, None) is getattr(nn.Module, name, None) for name in _COPYING)
    return usual and kind.__setstate__.__module__.startswith("torch.nn.")  # torch's own only repair old pickles


def _copy(value: Any, memo: dict[int, Any]) -> Any:
    """As ``copy.deepcopy``; quick for the types that most attributes of modules have."""
    kind = type(value)
    if kind in _UNCHANGING or (kind is tuple and set(map(type, value)) <= _UNCHANGING):
        return value
    if id(value) in memo:
        return memo[id(value)]
    if kind in (dict, OrderedDict) and set(map(type, value)) <= _UNCHANGING:
        memo[id(value)] = new = kind()
        for key, each in value.items():
            new[key] = _copy(each, memo)
        return new
    if kind is set and set(map(type, value)) <= _UNCHANGING:
        memo[id(value)] = copy.copy(value)
        return memo[id(value)]
    return copy.deepcopy(value, memo)
