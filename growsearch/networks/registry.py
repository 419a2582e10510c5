"""Network families by name, imported only when one is built.

An installed package adds its own through the entry point group ``growsearch.networks``: the entry's
name is the family's, its value a class as :class:`SearchableNetwork` describes.
"""

from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import nn

from growsearch import plugins
from growsearch.errors import UserError
from growsearch.families.registry import OWN
from growsearch.networks.limits import bounded, check_spec
from growsearch.surgery.tensors import allocate

_CLASSES: dict[str, type] = {}


class SearchableNetwork(Protocol):
    """The methods that a registered family's class offers beside ``forward``."""

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> nn.Module:
        """Build the module that :meth:`spec` describes; values of tensors do not matter."""

    def spec(self) -> dict[str, Any]:
        """Plain JSON types, read off the live module's sizes."""

    def initialise(self, generator: torch.Generator) -> None:
        """Give every parameter and buffer its starting value, drawn from ``generator`` alone."""


def register(family: str) -> Callable[[type], type]:
    """Class decorator that makes a family known to :func:`build` under ``spec["family"]``."""

    def enter(cls: type) -> type:
        _CLASSES[family] = cls
        return cls

    return enter


def family_class(family: str) -> type:
    """The class of a family, imported on demand.

    Raises:
        UserError: if the family is unknown.
    """
    if family in OWN and OWN[family].MODULE and family not in _CLASSES:
        import_module(OWN[family].MODULE)
    if family not in _CLASSES:
        foreign = plugins.points(plugins.NETWORKS)
        if family not in foreign:
            known = ", ".join(sorted({name for name, cls in OWN.items() if cls.MODULE} | {*foreign}))
            raise UserError(f"network.family: {family!r} is not accepted; use one of {known}")
        _CLASSES[family] = foreign[family].load()
    return _CLASSES[family]


def check_options(family: str, options: Iterable[str]) -> None:
    """Refuse an option that a family of this package does not have.

    Raises:
        UserError: naming it and those that there are.
    """
    known = OWN[family].own_options()
    if unknown := [name for name in options if name not in known]:
        usable = ", ".join(known)
        raise UserError(f"network.{unknown[0]} is not an option of network.family={family}; use one of {usable}")


def spec_from_options(options: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int) -> dict[str, Any]:
    """The spec of the network that the options of a configuration name, for images (C, H, W).

    Raises:
        UserError: if the family is unknown, cannot be made by name, or an option does not fit.
    """
    cls = family_class(options["family"])
    if not hasattr(cls, "spec_from_options"):
        raise UserError(f"network.family: {options['family']!r} is not accepted, as only a search makes it")
    return cls.spec_from_options({k: v for k, v in options.items() if k != "family"}, image_shape, num_classes)


def build(spec: dict[str, Any], generator: torch.Generator | None = None) -> nn.Module:
    """Build and initialise the network that ``spec`` describes: the inverse of ``module.spec()``.

    The module is made on the meta device and initialised on the CPU from ``generator`` (seed 0 if
    None), so building draws nothing from the default generators.

    Raises:
        UserError: if the family is unknown, or the network larger than memory.
    """
    return materialise(skeleton(spec), generator)


def skeleton(spec: dict[str, Any], num_tensors: int | None = None) -> nn.Module:
    """The network that ``spec`` describes on the meta device: all names and shapes, and no memory.

    Args:
        spec: see :func:`build`.
        num_tensors: how many its weights have, where they are there; a network of far more layers is refused.

    Raises:
        UserError: if the family is unknown, or the network larger than memory.
    """
    check_spec(spec)
    cls = family_class(str(spec.get("family")))
    with torch.device("meta"), bounded(num_tensors):
        return cls.from_spec(spec)  # type: ignore[attr-defined]


def parameter_count(spec: dict[str, Any]) -> int:
    """Parameters of the network that a spec describes; nothing is allocated."""
    return sum(parameter.numel() for parameter in skeleton(spec).parameters())


def materialise(module: nn.Module, generator: torch.Generator | None = None) -> nn.Module:
    """Give a :func:`skeleton` its memory on the CPU and its start from ``generator`` (seed 0 if None)."""
    module = allocate(module)
    module.initialise(generator if generator is not None else torch.Generator().manual_seed(0))  # type: ignore[operator]
    return module
