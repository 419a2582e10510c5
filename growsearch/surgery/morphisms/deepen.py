"""New layers and blocks that pass on what they are given (Net2Deeper; ECToNAS, appendix A.2)."""

from typing import Any, Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

from growsearch.errors import UserError
from growsearch.surgery.morphisms.replace import replace_tensor
from growsearch.surgery.tensors import allocate

Centre = Literal["identity", "sum", "depthwise"]
Layer = TypeVar("Layer", bound=nn.Module)


def centre_kernel(
    channels: int, window: tuple[int, ...], kind: Centre = "identity", *, dtype: torch.dtype | None = None
) -> Tensor:
    """Kernel of zeros but for the centre of its window.

    Args:
        channels: inputs and outputs.
        window: sides of the window, odd numbers.
        kind: ``identity`` passes each channel on; ``sum`` gives every output the sum of all inputs, as
            ECToNAS' code does; ``depthwise`` is the identity with one group per channel.
        dtype: of the result; the default dtype if None.

    Returns:
        Shape (channels, channels, *window), or (channels, 1, *window) for ``depthwise``.

    Raises:
        UserError: if a side is even or the kind is unknown.
    """
    if not all(side % 2 for side in window):
        raise UserError(f"identity convolution: window {window} is not accepted; use odd sides")
    match kind:
        case "identity":
            centre = torch.eye(channels, dtype=dtype)
        case "sum":
            centre = torch.ones(channels, channels, dtype=dtype)
        case "depthwise":
            centre = torch.ones(channels, 1, dtype=dtype)
        case _:
            raise UserError(f"identity convolution: {kind!r} is not accepted; use identity, sum or depthwise")
    edges = [side // 2 for side in reversed(window) for _ in range(2)]
    return F.pad(centre[(...,) + (None,) * len(window)], edges)


def identity_conv(
    channels: int, window: int = 3, kind: Centre = "identity", *, bias: bool = True, like: Tensor | None = None
) -> nn.Conv2d:
    """Convolution of stride 1 that keeps the map's size and passes it on.

    Args:
        channels: inputs and outputs.
        window: side of the window, odd.
        kind: see :func:`centre_kernel`.
        bias: whether to have one, of zeros.
        like: a tensor that lends its type and device.
    """
    groups = channels if kind == "depthwise" else 1
    conv = _blank(nn.Conv2d, channels, channels, window, padding=window // 2, groups=groups, bias=bias, like=like)
    replace_tensor(conv, "weight", centre_kernel(channels, (window, window), kind))
    if bias:
        replace_tensor(conv, "bias", torch.zeros(channels))
    return conv


def identity_dense(units: int, *, bias: bool = True, like: Tensor | None = None) -> nn.Linear:
    """Dense layer that passes its input on: a relu after it changes nothing where one came before it.

    Args:
        units: inputs and outputs.
        bias: whether to have one, of zeros.
        like: a tensor that lends its type and device.
    """
    dense = _blank(nn.Linear, units, units, bias=bias, like=like)
    replace_tensor(dense, "weight", torch.eye(units))
    if bias:
        replace_tensor(dense, "bias", torch.zeros(units))
    return dense


def silence_branch(tail: nn.Module) -> None:
    """Set the scale and shift of a residual branch's last layer to zero, so that the branch gives zeros.

    A block of identity shortcut then passes its input on, in train and in eval mode: always where nothing
    follows the sum, and where a relu does if the input has been through one. Training goes on from there:
    the silenced layer's own weights receive gradients at once, the rest of the branch after its first step.

    Args:
        tail: the branch's last batch norm, or its last convolution or dense layer where no norm follows.

    Raises:
        UserError: if the tail is another kind of layer or a batch norm without a scale.
    """
    known = isinstance(tail, _BatchNorm | _ConvNd | nn.Linear)
    if not known or tail.weight is None:
        raise UserError(
            f"identity block: last layer {type(tail).__name__} is not accepted; use a batch norm with "
            "a scale, a convolution or a dense layer"
        )
    for name, parameter in list(tail.named_parameters(recurse=False)):
        replace_tensor(tail, name, torch.zeros_like(parameter))


def _blank(kind: type[Layer], *sizes: int, like: Tensor | None, **settings: Any) -> Layer:
    """A layer with undefined values; no random number is drawn."""
    device, dtype = ("cpu", None) if like is None else (like.device, like.dtype)
    layer = kind(*sizes, **settings, device="meta", dtype=dtype)
    allocate(layer, device)
    return layer
