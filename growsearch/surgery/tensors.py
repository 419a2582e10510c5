"""Tensors of a network by place: a tied tensor is one tensor in several places."""

import copy
from collections import OrderedDict, deque
from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from types import FunctionType, MethodType, NoneType
from typing import Any
from weakref import ref

import torch
from torch import Tensor, nn

from growsearch.surgery.closures import Closures


def places(model: nn.Module) -> list[tuple[Tensor, tuple[str, ...]]]:
    """Every distinct parameter and buffer with all its names, in the order of ``named_parameters``."""
    found: dict[int, tuple[Tensor, list[str]]] = {}
    modules = _walked(model)
    held = [(path, module._parameters) for path, module in modules] + [(path, each._buffers) for path, each in modules]
    for path, tensors in held:
        for name, tensor in tensors.items():
            if tensor is not None:
                found.setdefault(id(tensor), (tensor, []))[1].append(path + name)
    return [(tensor, tuple(names)) for tensor, names in found.values()]


def _walked(model: nn.Module, path: str = "") -> list[tuple[str, nn.Module]]:
    """The modules of ``model.named_modules(remove_duplicate=False)``, with a dot behind each path but the first."""
    found = [(path, model)]
    for name, child in model._modules.items():
        if child is not None:
            found += _walked(child, f"{path}{name}.") if child._modules else [(f"{path}{name}.", child)]
    return found


def named(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """The modules of ``model.named_modules()`` with their paths, in its order; several times as fast."""
    first: dict[int, tuple[str, nn.Module]] = {}
    for path, module in _walked(model):
        first.setdefault(id(module), (path[:-1], module))
    return list(first.values())


OWN_ATTRIBUTES = frozenset((*vars(nn.Module()), "_flat_weights"))
"""Attributes of every module, whose tensors follow an edit, and one of torch's recurrent layers that does."""


def owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that holds a tensor, and the tensor's name there."""
    *path, leaf = name.split(".")
    for part in path:
        model = model._modules[part]  # type: ignore[assignment]
    return model, leaf


def lookup(model: nn.Module, name: str) -> Tensor:
    """A parameter or buffer by its name."""
    return tensor_of(*owner(model, name))


def tensor_of(module: nn.Module, leaf: str) -> Tensor:
    """A parameter or buffer of one module."""
    tensor = held_by(module, leaf)
    if tensor is None:
        raise KeyError(leaf)
    return tensor


def held_by(module: nn.Module, leaf: str) -> Tensor | None:
    """A parameter or buffer of one module; None if it has none of this name."""
    tensor = module._parameters.get(leaf)
    return tensor if tensor is not None else module._buffers.get(leaf)


def tensors_inside(value: Any, depth: int = 4) -> Iterator[Tensor]:
    """Tensors in containers, partial functions and plain objects, not in modules and optimizers, down to some depth."""
    if isinstance(value, Tensor):
        yield value
    elif depth and not isinstance(value, (nn.Module, torch.optim.Optimizer, str, bytes, type, FunctionType)):
        inside: Any = value if isinstance(value, (list, tuple, set, frozenset, deque)) else ()
        if isinstance(value, partial):
            inside = (*value.args, *value.keywords.values())
        elif isinstance(value, Mapping):
            inside = values_of(value)
        elif hasattr(value, "__dict__"):
            inside = vars(value).values()
        for each in list(inside):
            yield from tensors_inside(each, depth - 1)


def values_of(mapping: Mapping[Any, Any]) -> list[Any]:
    """Values of a mapping of whatever kind; none of one that does not give them, as a configuration that lacks one."""
    try:
        return list(mapping.values())
    except Exception:
        return []


def modules_of(model: nn.Module) -> list[nn.Module]:
    """The modules of ``model.modules()``, in its order; several times as fast, as every edit walks through them."""
    found: dict[int, nn.Module] = {}
    waiting = [model]
    while waiting:
        module = waiting.pop()
        if id(module) not in found:
            found[id(module)] = module
            if module._modules:
                waiting += [child for child in reversed(module._modules.values()) if child is not None]
    return list(found.values())


def let_go(net: nn.Module) -> None:
    """Take the tensors out of a copy that is used up: where its parts hold each other it is freed much later."""
    for module in modules_of(net):
        module._parameters.clear()
        module._buffers.clear()


def copied(model: nn.Module, convert: Callable[[Tensor], Tensor], *, hooks: bool = True) -> nn.Module:
    """A deep copy with every tensor converted; tied tensors stay tied, which ``.to()`` does not promise.

    Args:
        model: the network.
        convert: must return a tensor of its own.
        hooks: whether the copy has the network's hooks, which may write where the caller's do.
    """
    return Copier(model, hooks=hooks).copy(lambda tensor: convert(tensor.detach()))


class Copier:
    """Makes deep copies of a network that stays as it is meanwhile; how each attribute is copied is found once.

    Args:
        model: the network.
        hooks: whether copies have the network's hooks.
    """

    def __init__(self, model: nn.Module, *, hooks: bool = True) -> None:
        modules = modules_of(model)
        held = [tensor for module in modules for tensor in (*module._parameters.values(), *module._buffers.values())]
        others = [pair for module in modules if not _is_plain(type(module)) for pair in vars(module).items()]  # type: ignore[arg-type]
        self._model = model
        self._tensors = list({id(tensor): tensor for tensor in held if tensor is not None}.values())
        named = (pair for module in modules for pair in vars(module).items())
        leading = [value for name, value in named if type(value) in _LEADING and value and _may_lead(name)]
        self._closures = Closures(leading, {*map(id, modules), *map(id, self._tensors)})
        plain = [module for module in modules if _is_plain(type(module))]  # type: ignore[arg-type]
        self._recipes = [_Recipe.of(module, hooks, self._closures.found) for module in plain]
        deep = [*others, *(pair for recipe in self._recipes for pair in recipe.rest)]
        self._left = [value for _, value in deep if isinstance(value, Tensor)]
        self._hooks = [value for name, value in others if "_hooks" in name and isinstance(value, dict) and not hooks]

    def copy(self, convert: Callable[[Tensor], Tensor]) -> nn.Module:
        """One copy; ``convert`` gets each of the network's tensors once, and returns one of the copy's own."""
        memo: dict[int, Any] = {}
        for tensor in self._tensors:
            new = convert(tensor)
            memo[id(tensor)] = nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new
        memo |= {id(recipe.module): type(recipe.module).__new__(type(recipe.module)) for recipe in self._recipes}
        for tensor in self._left:  # one that a forward pass left behind cannot be copied as it is
            if id(tensor) not in memo:
                memo[id(tensor)] = convert(tensor)
        memo |= {id(hooks): OrderedDict() for hooks in self._hooks}
        self._closures.remake(memo)
        for recipe in reversed(self._recipes):  # children first: what holds them may look at them as it is copied
            recipe.fill(vars(memo[id(recipe.module)]), memo)
        return copy.deepcopy(self._model, memo)


@dataclass
class _Recipe:
    """How the attributes of one module are copied.

    Attributes:
        module: the module.
        kept: attributes that copies share.
        held: dicts of tensors and modules, by attribute.
        hooks: dicts of hooks of which there are none, or copies have none.
        plain: other dicts and sets whose content copies share.
        rest: all else, which is copied deeply.
    """

    module: nn.Module
    kept: dict[str, Any]
    held: list[tuple[str, dict[str, Any]]]
    hooks: list[str]
    plain: list[tuple[str, Any]]
    rest: list[tuple[str, Any]]

    @staticmethod
    def of(module: nn.Module, hooks: bool, deep: Container[int]) -> "_Recipe":
        recipe = _Recipe(module, {}, [], [], [], [])
        for name, value in vars(module).items():
            kind = type(value)
            if name in _HOOKS and not value:
                recipe.hooks.append(name)
            elif kind in _ATOMS:
                recipe.kept[name] = value
            elif name in _HELD:
                recipe.held.append((name, value))
            elif kind in _CONTAINERS and not value:
                recipe.plain.append((name, value))
            elif name == "_compiled_call_impl":  # it would run the network that it was made of
                recipe.kept[name] = None
            elif id(value) in deep:
                recipe.rest.append((name, value))
            elif kind is FunctionType or (kind is tuple and _is_plain_content(value, deep)):
                recipe.kept[name] = value
            elif not hooks and "_hooks" in name and isinstance(value, dict):
                recipe.hooks.append(name)
            elif kind in _CONTAINERS and _is_plain_content(value, deep):
                recipe.plain.append((name, value))
            else:
                recipe.rest.append((name, value))
        return recipe

    def fill(self, attributes: dict[str, Any], memo: dict[int, Any]) -> None:
        """Give a copy of the module its attributes; ``memo`` knows what was copied before."""
        attributes.update(self.kept)
        for name in self.hooks:
            attributes[name] = OrderedDict()
        for name, content in self.held:
            if id(content) not in memo:
                new = memo[id(content)] = type(content)()
                for key, each in content.items():
                    new[key] = memo[id(each)] if id(each) in memo else copy.deepcopy(each, memo)
            attributes[name] = memo[id(content)]
        for name, content in self.plain:
            if id(content) not in memo:
                memo[id(content)] = content.copy()
            attributes[name] = memo[id(content)]
        for name, content in self.rest:
            attributes[name] = memo[id(content)] if id(content) in memo else copy.deepcopy(content, memo)


def _is_plain_content(value: Any, deep: Container[int]) -> bool:
    inside = [*value.values()] if isinstance(value, dict) else value
    return set(map(type, inside)) <= {*_ATOMS, FunctionType} and not any(id(each) in deep for each in inside)


_LEADING = {FunctionType, MethodType, partial, ref, list, tuple, set, dict, OrderedDict, deque}


def _may_lead(name: str) -> bool:
    """Whether an attribute of this name may be, or hold, a function that leads back to the network."""
    return name not in _HELD and name != "_compiled_call_impl" and "_hooks" not in name


_HELD = {"_parameters", "_buffers", "_modules"}
_HOOKS = {name for name in OWN_ATTRIBUTES if "_hooks" in name}
_CONTAINERS = {dict, OrderedDict, set}
_ATOMS = {bool, int, float, str, NoneType, type}
_COPYING = ("__deepcopy__", "__reduce__", "__reduce_ex__", "__getstate__")


@cache
def _is_plain(kind: Any) -> bool:
    """Whether a module of this class is copied by copying its attributes, as ``copy.deepcopy`` would."""
    usual = all(getattr(kind, name, None) is getattr(nn.Module, name, None) for name in _COPYING)
    return usual and kind.__setstate__.__module__.startswith("torch.nn.")  # torch's own only repair old pickles


def allocate(module: nn.Module, device: torch.device | str = "cpu") -> nn.Module:
    """Give a module on the meta device memory with undefined values, in place.

    As ``module.to_empty``, which lets torch import its symbolic shapes: a quarter of the start of a short run.
    """
    return module._apply(lambda like: torch.empty_strided(like.size(), like.stride(), dtype=like.dtype, device=device))
