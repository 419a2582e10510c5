"""Layers as plain data: what a constructor needs, read off a live layer, and back."""

from typing import Any

import torch
from torch import nn

from growsearch.errors import UserError

_WINDOW = ("in_channels", "out_channels", "kernel_size", "stride", "padding")
_CONV = (*_WINDOW, "dilation", "groups", "bias", "padding_mode")
_TRANSPOSED = (*_WINDOW, "output_padding", "groups", "bias", "dilation", "padding_mode")
_NORM = ("num_features", "eps", "momentum", "affine", "track_running_stats")
_MAX = ("kernel_size", "stride", "padding", "dilation", "ceil_mode")
_AVG = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
_BARE = (nn.ReLU, nn.ReLU6, nn.Hardswish, nn.Hardsigmoid, nn.SiLU, nn.GELU, nn.Sigmoid, nn.Tanh, nn.ELU, nn.LeakyReLU)

ARGUMENTS: dict[type[nn.Module], tuple[str, ...]] = {
    nn.Conv1d: _CONV,
    nn.Conv2d: _CONV,
    nn.Conv3d: _CONV,
    nn.ConvTranspose1d: _TRANSPOSED,
    nn.ConvTranspose2d: _TRANSPOSED,
    nn.Linear: ("in_features", "out_features", "bias"),
    nn.BatchNorm1d: _NORM,
    nn.BatchNorm2d: _NORM,
    nn.BatchNorm3d: _NORM,
    nn.PReLU: ("num_parameters",),
    nn.Embedding: ("num_embeddings", "embedding_dim"),
    nn.MaxPool2d: _MAX,
    nn.AvgPool2d: _AVG,
    nn.AdaptiveAvgPool2d: ("output_size",),
    nn.Flatten: ("start_dim", "end_dim"),
    nn.Dropout: ("p",),
    nn.Identity: (),
    **{kind: () for kind in _BARE},
}
"""Layer class -> the constructor arguments that describe it; each is an attribute of the live layer."""


def kind_of(layer: nn.Module) -> type[nn.Module] | None:
    """The described class that a layer is of, or None."""
    return next((kind for kind in type(layer).__mro__ if kind in ARGUMENTS), None)


def arguments_of(layer: nn.Module) -> dict[str, Any]:
    """The constructor arguments of a layer of a described class, as plain JSON types."""
    kind = kind_of(layer)
    assert kind is not None
    return {name: _plain(layer, name) for name in ARGUMENTS[kind]}


def _plain(layer: nn.Module, name: str) -> Any:
    value = getattr(layer, name)
    if name == "bias":
        return value is not None
    return list(value) if isinstance(value, tuple) else value


def describe(layer: nn.Module) -> dict[str, Any]:
    """A layer as plain data; see :func:`construct`.

    Raises:
        UserError: for a class that is not in :data:`ARGUMENTS`.
    """
    if type(layer) not in ARGUMENTS:
        raise UserError(f"inserted layer: {type(layer).__name__} is not accepted; use one of {_names()}")
    return {"layer": type(layer).__name__, **arguments_of(layer)}


def construct(description: dict[str, Any]) -> nn.Module:
    """The inverse of :func:`describe`, with PyTorch's default start."""
    arguments = dict(description)
    name = arguments.pop("layer", None)
    kind = next((kind for kind in ARGUMENTS if kind.__name__ == name), None)
    if kind is None:
        raise UserError(f"inserted layer: {name!r} is not accepted; use one of {_names()}")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in arguments.items()})


def resize(layer: nn.Module, arguments: dict[str, Any]) -> None:
    """Give a layer of a described class other arguments; if any differs its tensors are made anew."""
    kind = kind_of(layer)
    if kind is None or arguments_of(layer) == arguments:
        return
    new = construct({"layer": kind.__name__, **arguments})
    for name, tensor in (*layer._parameters.items(), *layer._buffers.items()):
        if isinstance(tensor, torch.Tensor):
            held = layer._parameters if name in layer._parameters else layer._buffers
            held[name] = getattr(new, name)
    layer.__dict__.update({key: value for key, value in new.__dict__.items() if key in vars(layer) and key[0] != "_"})
    layer.__dict__.update({k: v for k, v in new.__dict__.items() if k == "_reversed_padding_repeated_twice"})


def _names() -> str:
    return ", ".join(kind.__name__ for kind in ARGUMENTS)
