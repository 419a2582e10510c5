"""Convolutions in double precision that take little memory."""

from math import prod
from typing import Any

import torch
from torch import Tensor

from growsearch.surgery.operators import Call

MOST = 2**24
"""Bytes of the windows of one part: a convolution in double precision writes all windows' entries side by side."""


def in_parts(func: Any, args: Any, kwargs: Any) -> Tensor:
    """A convolution, carried out for some places of one sample after others where all together take much memory."""
    if kwargs:
        return func(*args, **kwargs)
    x, weight, _, stride, padding, dilation, transposed, _, _ = args
    windows = weight[0, 0].numel()
    if transposed or x.device.type != "cpu" or windows == 1:
        return func(*args)
    count = x.dim() - 2
    stride, padding, dilation = (_each(numbers, count) for numbers in (stride, padding, dilation))
    sizes = [
        (n + 2 * pad - step * (width - 1) - 1) // pace + 1
        for n, pad, step, width, pace in zip(x.shape[2:], padding, dilation, weight.shape[2:], stride, strict=True)
    ]
    row = x.element_size() * x.shape[1] * windows * prod(sizes[1:])
    if row * sizes[0] * len(x) <= MOST or min(sizes) < 1:
        return func(*args)
    if any(pad >= width for pad, width in zip(padding, weight.shape[2:], strict=True)):
        return func(*args)
    out, call = x.new_empty((len(x), weight.shape[0], *sizes)), Call(func, args, kwargs, None)
    for sample in range(len(x)):
        for first in range(0, sizes[0], max(1, MOST // row)):
            last = min(sizes[0], first + max(1, MOST // row))
            out[sample : sample + 1, :, first:last] = _rows(call, x[sample : sample + 1], first, last)
    return out


def _each(numbers: Any, count: int) -> list[int]:
    return list(numbers) * (count if len(numbers) == 1 else 1)


def _rows(call: Call, x: Tensor, first: int, last: int) -> Tensor:
    """The results of the first dimension's places from ``first`` to before ``last``."""
    (pace, *paces), (pad, *pads), (step, *steps) = (
        _each(call[name], x.dim() - 2) for name in ("stride", "padding", "dilation")
    )
    start, stop = first * pace - pad, (last - 1) * pace - pad + step * (call["weight"].shape[2] - 1) + 1
    rows = x[:, :, max(0, start) : min(stop, x.shape[2])]
    beside = [0, 0] * (x.dim() - 3) + [max(0, -start), max(0, stop - x.shape[2])]
    rows = torch.constant_pad_nd(rows, beside)
    return torch.convolution(
        rows, call["weight"], call["bias"], [pace, *paces], [0, *pads], [step, *steps], False,
        [0] * (x.dim() - 2), call["groups"],
    )  # fmt: skip
