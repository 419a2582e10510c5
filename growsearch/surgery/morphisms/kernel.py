"""Windows of convolutions one ring larger or smaller, or spread wider or closer (PR-DARTS, Table II)."""

import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery.morphisms.replace import replace_tensor

Convolution = nn.Conv1d | nn.Conv2d | nn.Conv3d


def pad_kernel(weight_OIK: Tensor) -> Tensor:
    """Put one ring of zeros around the window: (out, in, *window) to (out, in, *(window + 2))."""
    return F.pad(weight_OIK, (1, 1) * (weight_OIK.dim() - 2))


def crop_kernel(weight_OIK: Tensor) -> Tensor:
    """Keep the centre of the window: (out, in, *window) to (out, in, *(window - 2))."""
    return weight_OIK[(slice(None), slice(None)) + (slice(1, -1),) * (weight_OIK.dim() - 2)].contiguous()


def grow_kernel(conv: Convolution) -> None:
    """Grow every side of the window by 2 with a ring of zeros, and the padding by the dilation: the same function.

    Raises:
        UserError: if the padding is not a number of zeros.
    """
    padding = zero_padding(conv)
    replace_tensor(conv, "weight", pad_kernel(conv.weight))
    conv.kernel_size = tuple(conv.weight.shape[2:])
    conv.padding = tuple(p + d for p, d in zip(padding, conv.dilation, strict=True))


def shrink_kernel(conv: Convolution) -> None:
    """Shrink every side of the window by 2, keeping its centre; the map keeps its size, the function changes.

    Raises:
        UserError: if a side of the window or the padding is too small, or the padding is not a number of zeros.
    """
    padding = zero_padding(conv)
    smaller = tuple(p - d for p, d in zip(padding, conv.dilation, strict=True))
    if min(conv.kernel_size) < 3 or min(smaller) < 0:
        raise UserError(
            f"shrink kernel: window {conv.kernel_size} with padding {conv.padding} and dilation "
            f"{conv.dilation} is not accepted; use sides of at least 3 and a padding of at least the "
            "dilation"
        )
    replace_tensor(conv, "weight", crop_kernel(conv.weight))
    conv.kernel_size = tuple(conv.weight.shape[2:])
    conv.padding = smaller


def set_dilation(conv: Convolution, dilation: int) -> None:
    """Change the dilation of every side and the padding with it, weights unchanged; the map keeps its size.

    Raises:
        UserError: if the dilation is less than 1 or no padding keeps the size of the map.
    """
    padding = zero_padding(conv)
    spread = [(k - 1) * (dilation - d) for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
    new_padding = tuple(p + s // 2 for p, s in zip(padding, spread, strict=True))
    if dilation < 1 or any(s % 2 for s in spread) or min(new_padding) < 0:
        raise UserError(
            f"dilation: {dilation} is not accepted for a window {tuple(conv.kernel_size)} with "
            f"padding {padding} and dilation {tuple(conv.dilation)}; use at least 1, and a padding "
            "that keeps the map's size"
        )
    conv.dilation = (dilation,) * len(padding)
    conv.padding = new_padding


def zero_padding(conv: Convolution) -> tuple[int, ...]:
    """Return the padding per side.

    Raises:
        UserError: if the padding is named or not of zeros, so that it cannot follow the window.
    """
    if isinstance(conv.padding, str) or conv.padding_mode != "zeros":
        raise UserError(
            f"change of a kernel: padding {conv.padding!r} of mode {conv.padding_mode!r} is not "
            "accepted; use a number of zeros per side"
        )
    return conv.padding
