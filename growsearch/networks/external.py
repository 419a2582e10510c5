"""Networks from elsewhere: torchvision's by name, or any module of the user's."""

import copy
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.layers import arguments_of, construct, describe, kind_of, resize
from growsearch.networks.registry import register
from growsearch.surgery.tensors import lookup, owner, places

_TRUSTED: set[str] = set()


def trust(name: str) -> None:
    """Let ``name`` ("module:function") be imported and called in this process.

    A spec comes out of a file that anybody may have written, so it cannot grant this itself.
    """
    _TRUSTED.add(name)


def builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds the network ``name``.

    Args:
        name: ``torchvision/<model>`` or, if :func:`trust` allowed it, ``module:function``.

    Raises:
        UserError: if there is no such network or it is not trusted.
    """
    source, slash, model = name.partition("/")
    if slash and source == "torchvision":
        from torchvision import models

        known = models.list_models(module=models)
        if model not in known:
            raise UserError(f"network.name: {name!r} found, torchvision/ and one of {', '.join(known)} expected")
        return models.get_model_builder(model)
    module, colon, function = name.partition(":")
    if not colon or slash:
        raise UserError(f"network.name: {name!r} found, torchvision/<model> or <module>:<function> expected")
    if name not in _TRUSTED:
        raise UserError(f"network.name: {name!r} found, which runs code; it is built only with network.trust=true")
    try:
        return getattr(import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise UserError(f"network.name: {name!r} found, an importable function expected ({error})") from error


@register("external")
class External(nn.Module):
    """A network of somebody else's that knows how to be built again after any number of edits.

    Its spec is the builder's name and arguments, the arguments of every known layer, the shapes of
    other tensors and the whole numbers of other modules that have changed (a head's size, a norm's shape),
    inserted and removed layers of its containers, and which tensors are tied.

    Args:
        net: the network, as its builder returned it.
        name: the builder's name, see :func:`builder`.
        arguments: the builder's arguments, plain JSON types.

    Attributes:
        net: the network.
        auxiliary: whether it returns auxiliary logits beside its logits in train mode.
    """

    def __init__(self, net: nn.Module, name: str, arguments: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.net, self.name, self.arguments = net, name, dict(arguments or {})
        self.auxiliary = bool(getattr(net, "aux_logits", False))
        self._built = dict(net.named_modules())  # by the builder's paths: edits of containers are told by them
        self._children = {path: list(module._modules.items()) for path, module in self._built.items()}
        self._counts = {path: _counts(module) for path, module in self._built.items()}
        self._ties = _ties(net)

    def forward(self, x: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, or in train mode logits and the first of the auxiliary logits if there are any."""
        out = self.net(x)
        return (out[0], out[1]) if isinstance(out, tuple) else out

    @classmethod
    def spec_from_options(
        cls, options: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int
    ) -> dict[str, Any]:
        """Spec of the network ``name`` with ``arguments``; ``trust`` allows a Python path to be called.

        torchvision's networks get ``num_classes`` unless the arguments have it; all take 3 channels.

        Raises:
            UserError: for an unknown option or a network that does not fit the images.
        """
        if unknown := set(options) - {"name", "arguments", "trust"}:
            raise UserError(f"network: {', '.join(sorted(unknown))} found, name, arguments and trust expected")
        name, arguments = str(options.get("name", "")), dict(options.get("arguments") or {})
        if options.get("trust"):
            trust(name)
        if name.startswith("torchvision/"):
            arguments = {"num_classes": num_classes, **arguments}
            if image_shape[0] != 3:
                raise UserError(f"network.name: {name!r} found for {image_shape[0]} channels, images of 3 expected")
        builder(name)
        return {"family": "external", "name": name, "arguments": arguments}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "External":
        """Build the network that :meth:`spec` describes; ``{"family": "external", "name": ...}`` is enough."""
        arguments = spec.get("arguments", {})
        module = cls(_call(spec["name"], arguments), spec["name"], arguments)
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
        """Start as the builder does, from this generator alone; resized layers start as PyTorch's do."""
        _tie(self.net, self._ties)
        spec = self.spec()
        with torch.random.fork_rng(devices=[]), torch.device("cpu"):
            torch.default_generator.manual_seed(int(torch.randint(2**62, (), generator=generator)))
            fresh = External.from_spec(spec).net
        for tensor, held in places(fresh):
            lookup(self.net, held[0]).copy_(tensor)

    def _at(self, path: str) -> nn.Module:
        """The builder's module at a path, wherever it is now."""
        if path not in self._built:
            raise UserError(
                f"network {self.name}: module {path!r} found in its spec, one that the builder makes expected"
            )
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


def _describe(module: nn.Module, path_of: dict[int, str]) -> dict[str, Any]:
    """A child of an edited container: one of the builder's modules by its path, or a layer."""
    if id(module) in path_of:
        return {"built": path_of[id(module)]}
    if type(module) is nn.Sequential:
        children = {name: _describe(child, path_of) for name, child in module.named_children()}
        return {"layer": "Sequential", "children": children}
    return describe(module)


def _call(name: str, arguments: dict[str, Any]) -> nn.Module:
    """Build a network; on the CPU if its constructor needs values, which the meta device has not."""
    if "weights" in arguments:
        raise UserError("network.arguments.weights found; weights are loaded into a network, not built with it")
    function = builder(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # googlenet's about its own initialisation
        try:
            return function(**arguments)
        except TypeError as error:
            raise UserError(f"network.arguments of {name}: {arguments} found ({error})") from error
        except (NotImplementedError, RuntimeError):
            with torch.random.fork_rng(devices=[]), torch.device("cpu"):
                return function(**arguments)


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


def _counts(module: nn.Module) -> dict[str, int | list[int]]:
    """Whole numbers, and tuples of them, that a module holds in attributes of its own."""
    found: dict[str, int | list[int]] = {}
    for name, value in vars(module).items():
        if type(value) is int:
            found[name] = value
        elif type(value) is tuple and all(type(each) is int for each in value):
            found[name] = list(value)
    return found


def _recount(module: nn.Module, counts: dict[str, Any], usual: dict[str, Any]) -> None:
    """Give a module other numbers in attributes that hold numbers of this form."""
    for name, value in counts.items():
        numbers = value if isinstance(value, list) else [value]
        if type(value) is not type(usual.get(name)) or any(type(each) is not int for each in numbers):
            raise UserError(f"network: attribute {name!r} = {value!r} found, one that the builder sets expected")
        vars(module)[name] = tuple(value) if isinstance(value, list) else value


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
