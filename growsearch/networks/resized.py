"""Tensors whose sizes surgery has changed, as part of a spec that is otherwise a few numbers."""

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.networks.registry import family_class


def shapes(module: nn.Module) -> dict[str, list[int]]:
    """Shapes of all parameters and buffers, by name."""
    return {name: list(tensor.shape) for name, tensor in module.state_dict().items()}


def with_changes(spec: dict[str, Any], module: nn.Module) -> dict[str, Any]:
    """The spec of ``module``, with the shapes of those tensors as ``resized`` that are not what the spec gives."""
    usual = _usual_shapes(json.dumps(spec))
    changed = {name: shape for name, shape in shapes(module).items() if shape != usual.get(name)}
    return {**spec, "resized": changed} if changed else spec


@lru_cache(maxsize=64)
def _usual_shapes(spec: str) -> dict[str, list[int]]:
    """Shapes of a network of that spec (JSON) before any surgery."""
    made = json.loads(spec)
    with torch.device("meta"):
        return shapes(family_class(made["family"]).from_spec(made))  # type: ignore[attr-defined]


def give_shapes(module: nn.Module, changed: Mapping[str, Any]) -> None:
    """Give tensors the shapes that :func:`with_changes` lists, with values yet to be filled, and layers the sizes.

    Raises:
        UserError: if the module has no tensor of such a name.
    """
    state = module.state_dict(keep_vars=True)
    for name, shape in changed.items():
        if name not in state:
            raise UserError(f"network.resized: the network has no tensor {name!r}")
        old, (path, _, key) = state[name], name.rpartition(".")
        empty = torch.empty(shape, dtype=old.dtype, device=old.device)
        new = nn.Parameter(empty, old.requires_grad) if isinstance(old, nn.Parameter) else empty
        setattr(module.get_submodule(path), key, new)
    for layer in {name.rpartition(".")[0] for name in changed}:
        _update_sizes(module.get_submodule(layer))


def _update_sizes(layer: nn.Module) -> None:
    if isinstance(layer, nn.Conv2d):
        outputs, inputs = layer.weight.shape[:2]
        layer.groups = outputs if layer.groups > 1 else 1
        layer.in_channels, layer.out_channels = inputs * layer.groups, outputs
    elif isinstance(layer, nn.BatchNorm2d):
        layer.num_features = layer.weight.shape[0]
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
