"""Networks from elsewhere: torchvision's by name, or any module of the user's."""

import copy
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.builders import builder, call, is_trusted, trust
from growsearch.networks.layers import arguments_of, construct, describe, kind_of, resize
from growsearch.networks.registry import register
from growsearch.networks.unstored import fill_unmade, has_unmade
from growsearch.randomness import seed_default_generators
from growsearch.surgery.silent import is_epsilon
from growsearch.surgery.tensors import lookup, owner, places

LOGITS = ("logits", "out", "output")
"""Names under which outputs of several parts hold the logits; else the first tensor is taken for them."""

LARGEST_FRESH = 2**29
"""Bytes of a network that a file's numbers may have built, where that is more than four times the file's weights."""

_WEIGHTS_FOLLOW: ContextVar[bool] = ContextVar("weights_follow", default=False)


@contextmanager
def weights_follow() -> Iterator[None]:
    """Networks that are initialised meanwhile get no weights of their own, since a file's are loaded next."""
    token = _WEIGHTS_FOLLOW.set(True)
    try:
        yield
    finally:
        _WEIGHTS_FOLLOW.reset(token)


@register("external")
class External(nn.Module):
    """An external network that can be built again after any number of edits.

    Its spec is the builder's name and arguments, the arguments of every known layer, the shapes of
    other tensors and the numbers of other modules that have changed (a head's size, a norm's shape and epsilon),
    inserted and removed layers of its containers, and which tensors are tied.

    Args:
        net: the network, as its builder returned it.
        name: the builder's name, see :func:`builder`.
        arguments: the builder's arguments, plain JSON types.

    Attributes:
        net: the network.
        weights_left_out: whether it should have weights that a resumed run does not read.
        auxiliary: whether it returns auxiliary logits beside its logits in train mode.
        remarks: what whoever trains it should know.
    """

    def __init__(self, net: nn.Module, name: str, arguments: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.net, self.name, self.arguments = net, name, dict(arguments or {})
        self.weights_left_out = False
        self.auxiliary = bool(getattr(net, "aux_logits", False))
        self.remarks: list[str] = []
        self._built = dict(net.named_modules())  # by the builder's paths: edits of containers are found by them
        self._children = {path: list(module._modules.items()) for path, module in self._built.items()}
        self._counts = {path: _counts(module) for path, module in self._built.items()}
        self._ties = _ties(net)
        self._built_bytes = _bytes(net)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, or in train mode logits and the first of the auxiliary logits if there are any.

        Outputs of several parts are understood as :func:`logits_of` says.
        """
        logits, auxiliary = logits_of(self.net(x))
        return (logits, auxiliary) if auxiliary is not None and self.training else logits

    @property
    def own_layout(self) -> bool:
        """Whether ``hardware.layout=auto`` leaves it contiguous: all but torchvision's, whose code takes any layout."""
        return not self.name.startswith("torchvision/")

    @classmethod
    def spec_from_options(
        cls, options: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int
    ) -> dict[str, Any]:
        """Spec of the network ``name`` with ``arguments``; ``trust`` allows a Python path to be called.

        Networks of torchvision and timm get ``num_classes`` unless the arguments have it, those of timm ``in_chans``
        too; torchvision's get a first convolution for the channels of the images.

        Raises:
            UserError: for an unknown option or a network that does not fit the images.
        """
        if unknown := set(options) - {"name", "arguments", "trust"}:
            raise UserError(
                f"network.{sorted(unknown)[0]} is not an option of network.family=external; use name, "
                "arguments and trust"
            )
        name, arguments = str(options.get("name", "")), dict(options.get("arguments") or {})
        if options.get("trust"):
            trust(name)
        if name.startswith("torchvision/"):
            arguments = {"num_classes": num_classes, **arguments}
        if name.startswith("timm/"):
            arguments = {"num_classes": num_classes, "in_chans": image_shape[0], **arguments}
        builder(name)
        spec: dict[str, Any] = {"family": "external", "name": name, "arguments": arguments}
        if name.startswith("torchvision/") and image_shape[0] != 3:
            with torch.device("meta"):
                path, first = first_convolution(call(name, arguments))
            spec["layers"] = {path: {**arguments_of(first), "in_channels": image_shape[0]}}
        return spec

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "External":
        """Build the network that :meth:`spec` describes; ``{"family": "external", "name": ...}`` is enough."""
        arguments = spec.get("arguments", {})
        module = cls(call(spec["name"], arguments), spec["name"], arguments)
        for path, layer in spec.get("layers", {}).items():
            resize(module._at(path), layer)
        for path, children in spec.get("containers", {}).items():
            container = module._at(path)
            container._modules.clear()
            container._modules.update({name: module._construct(child) for name, child in children.items()})
        for name, shape in spec.get("shapes", {}).items():
            _reshape(module.net, name, shape)
        for path, counts in spec.get("counts", {}).items():
            _recount(module._at(path), counts, module._counts[path])
        module._ties = spec.get("ties", module._ties)
        _tie(module.net, module._ties)
        return module

    def spec(self) -> dict[str, Any]:
        """Plain JSON types, read off the live module."""
        path_of = {id(module): path for path, module in self._built.items()}
        layers: dict[str, Any] = {}
        containers: dict[str, Any] = {}
        shapes: dict[str, Any] = {}
        counts: dict[str, Any] = {}
        for path, module in self.net.named_modules():
            built = path_of.get(id(module))
            if built is None:
                continue
            held = {**module._parameters, **module._buffers}
            if kind_of(module) is not None and held:
                layers[built] = arguments_of(module)
            else:
                shapes |= {f"{path}.{n}".lstrip("."): list(t.shape) for n, t in held.items() if t is not None}
                changed = {n: c for n, c in _counts(module).items() if c != self._counts[built].get(n)}
                counts |= {built: changed} if changed else {}
            if list(module._modules.items()) != self._children[built]:
                children = module._modules.items()
                containers[built] = {name: _describe(child, path_of) for name, child in children if child is not None}
        edits = {
            "layers": layers,
            "containers": containers,
            "shapes": shapes,
            "counts": counts,
            "ties": _ties(self.net),
        }
        return {"family": "external", "name": self.name, "arguments": copy.deepcopy(self.arguments), **edits}

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Start as the builder does, from this generator alone; resized layers start as PyTorch's do.

        Under :func:`weights_follow` only what no file of weights holds gets its values. Tensors of plain attributes
        get theirs too.

        Raises:
            UserError: if a file's numbers ask for far more memory than its weights, to compute what they lack.
        """
        _tie(self.net, self._ties)
        spec = self.spec()
        stored = set(self.net.state_dict()) if _WEIGHTS_FOLLOW.get() else set()
        missing = [held[0] for _, held in places(self.net) if not stored.intersection(held)]
        unmade = has_unmade(self.net)
        if not missing and not unmade:
            return
        most = max(4 * _bytes(self.net), LARGEST_FRESH)
        if stored and not is_trusted(self.name) and self._built_bytes > most:
            raise UserError(
                f"network.arguments of {self.name}: its network takes {self._built_bytes:,} bytes for "
                f"{_bytes(self.net):,} bytes of weights; use one of at most {most:,}"
            )
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            value = int(torch.randint(2**62, (), generator=generator))
            seed_default_generators(value, torch.device("cpu"), elsewhere=True)
            fresh = External.from_spec(spec).net
        for name in missing:
            lookup(self.net, name).copy_(lookup(fresh, name))
        if unmade:
            fill_unmade(self.net, fresh)

    def _at(self, path: str) -> nn.Module:
        """The builder's module at a path, wherever it is now."""
        if path not in self._built:
            raise UserError(f"network {self.name}: its spec names module {path!r}, which the builder does not make")
        return self._built[path]

    def _construct(self, child: dict[str, Any]) -> nn.Module:
        """The inverse of :func:`_describe`."""
        if "built" in child:
            return self._at(child["built"])
        if child.get("layer") != "Sequential":
            return construct(child)
        layers = nn.Sequential()
        for name, each in child["children"].items():
            layers.add_module(name, self._construct(each))
        return layers


def first_convolution(net: nn.Module) -> tuple[str, nn.Conv2d]:
    """The convolution that reads the images, with its path.

    Raises:
        UserError: if there is none.
    """
    for path, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d):
            return path, layer
    raise UserError("network: it has no convolution; use a CNN")


def _describe(module: nn.Module, path_of: dict[int, str]) -> dict[str, Any]:
    """A child of an edited container: one of the builder's modules by its path, or a layer."""
    if id(module) in path_of:
        return {"built": path_of[id(module)]}
    if type(module) is nn.Sequential:
        children = {name: _describe(child, path_of) for name, child in module.named_children()}
        return {"layer": "Sequential", "children": children}
    return describe(module)


def logits_of(output: Any) -> tuple[Any, Tensor | None]:
    """Logits and auxiliary logits (or None) of an output of several parts; the output itself where it has no tensor.

    Takes tuples, lists, named tuples, dicts and dataclasses. Logits are the part of a name in :data:`LOGITS`, or the
    first tensor; auxiliary ones the next tensor (of a name with ``aux`` where parts have names) of the same shape.
    """
    if is_dataclass(output) and not isinstance(output, type):
        parts = {field.name: getattr(output, field.name) for field in fields(output)}
    elif isinstance(output, tuple) and hasattr(output, "_asdict"):
        parts = output._asdict()
    elif isinstance(output, Mapping):
        parts = dict(output)
    elif isinstance(output, tuple | list):
        parts = {f"aux{index}": part for index, part in enumerate(output)}
    else:
        return output, None
    tensors = {str(name): part for name, part in parts.items() if isinstance(part, Tensor)}
    first = next((name for name in (*LOGITS, *tensors) if name in tensors), None)
    if first is None:
        return output, None
    logits = tensors.pop(first)
    others = (part for name, part in tensors.items() if "aux" in name and part.shape == logits.shape)
    return logits, next(others, None)


def _bytes(net: nn.Module) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor, _ in places(net))


def _ties(net: nn.Module) -> list[list[str]]:
    return [list(held) for _, held in places(net) if len(held) > 1]


def _tie(net: nn.Module, ties: list[list[str]]) -> None:
    """Make the tensors of each list one tensor, the first."""
    for first, *others in ties:
        tensor = lookup(net, first)
        for name in others:
            module, leaf = owner(net, name)
            held = module._parameters if leaf in module._parameters else module._buffers
            held[leaf] = tensor  # type: ignore[assignment]


def _counts(module: nn.Module) -> dict[str, Any]:
    """Whole numbers, tuples and lists of them that a module holds in attributes of its own, and a norm's epsilon."""
    found: dict[str, Any] = {}
    for name, value in vars(module).items():
        if type(value) is int or (is_epsilon(name) and (value is None or type(value) is float)):
            found[name] = value
        elif type(value) in (tuple, list) and all(type(each) is int for each in value):
            found[name] = list(value)
    return found


def _recount(module: nn.Module, counts: dict[str, Any], usual: dict[str, Any]) -> None:
    """Give a module other numbers in attributes that hold numbers of this form."""
    for name, value in counts.items():
        numbers = value if isinstance(value, list) else [value]
        whole = type(value) is type(usual.get(name)) and all(type(each) is int for each in numbers)
        if not (whole or (is_epsilon(name) and name in usual and type(value) is float and 0 <= value < 1)):
            raise UserError(f"network: attribute {name!r} = {value!r} is not one that the builder sets")
        vars(module)[name] = type(vars(module)[name])(value) if isinstance(value, list) else value


def _reshape(net: nn.Module, name: str, shape: list[int]) -> None:
    """Give a tensor that belongs to no known layer another shape, filled with its mean."""
    old = lookup(net, name)
    if list(old.shape) == shape:
        return
    new = old.detach().double().mean().to(old.dtype).expand(shape).contiguous()
    module, leaf = owner(net, name)
    if isinstance(old, nn.Parameter):
        module._parameters[leaf] = nn.Parameter(new, requires_grad=old.requires_grad)
    else:
        module._buffers[leaf] = new
