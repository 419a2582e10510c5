"""Results on the meta device of the operators that most networks consist of.

PyTorch works these out in Python, and imports SymPy and TorchDynamo for it: a second or two of a short run.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

aten = torch.ops.aten


def quick_result(func: Any, args: Sequence[Any], kwargs: Any) -> Any:
    """What an operator gives; None for those, and for arguments, that are left to PyTorch."""
    known = _KNOWN.get(func)
    if known is None or kwargs or not all(each.is_meta for each in args if isinstance(each, Tensor)):
        return None
    return known(*args)


def empty_like(tensor: Tensor) -> Tensor:
    """``torch.empty_like``, most often without its Python."""
    return tensor.new_empty(tensor.shape) if tensor.is_contiguous() else torch.empty_like(tensor)


def _slid(
    images: Tensor, channels: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False
) -> Tensor | None:
    """Maps of a window that slides over images (N, C, sizes...); None if there is no room for it."""
    sizes, maps = images.shape[2:], []
    given = [each * len(sizes) if len(each) == 1 else each for each in map(list, (kernel, stride, padding, dilation))]
    if not sizes or any(len(each) != len(sizes) for each in given):
        return None
    for size, width, pace, pad, step in zip(sizes, *given, strict=True):
        room = size + 2 * pad - step * (width - 1) - 1
        if room < 0 or pace < 1:
            return None
        count = -(-room // pace) if ceil else room // pace
        maps.append(count + (not ceil or count * pace < size + pad))  # a last window begins within the image
    return images.new_empty((images.shape[0], channels, *maps))


def _convolution(
    images: Tensor, weight: Tensor, bias: Any, stride: Any, padding: Any, dilation: Any, transposed: bool,
    output_padding: Any, groups: int,
) -> Tensor | None:  # fmt: skip
    fits = images.dim() == weight.dim() and images.shape[1] == weight.shape[1] * groups and images.numel() > 0
    if transposed or not fits or weight.shape[0] % groups or images.dtype != weight.dtype:
        return None
    return _slid(images, weight.shape[0], weight.shape[2:], stride, padding, dilation)


def _pooled(images: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), ceil: bool = False, *_: Any) -> Any:
    return _windows(images, kernel, stride, padding, (1,), ceil)


def _max_pooled(
    images: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,), ceil: bool = False
) -> Any:
    maps = _windows(images, kernel, stride, padding, dilation, ceil)
    return None if maps is None else (maps, maps.new_empty(maps.shape, dtype=torch.long))


def _windows(images: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Tensor | None:
    if images.dim() != 4 or images.numel() == 0 or 2 * max(padding) > min(kernel):
        return None
    return _slid(images, images.shape[1], kernel, stride or kernel, padding, dilation, ceil)


def _product(bias: Tensor | None, left: Tensor, right: Tensor) -> Tensor | None:
    """(N, K) times (K, M), plus M entries."""
    fits = left.dim() == right.dim() == 2 and left.shape[1] == right.shape[0] and left.dtype == right.dtype
    fits = fits and (bias is None or (bias.shape == right.shape[1:] and bias.dtype == left.dtype))
    return left.new_empty((left.shape[0], right.shape[1])) if fits else None


_KNOWN: dict[Any, Callable[..., Any]] = {
    aten.convolution.default: _convolution,
    aten.avg_pool2d.default: _pooled,
    aten.max_pool2d_with_indices.default: _max_pooled,
    aten.addmm.default: _product,
    aten.mm.default: lambda left, right: _product(None, left, right),
}
