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
    if min(sizes) < 1:
        return func(*args)
    rows = [x.element_size() * x.shape[1] * windows * prod(sizes) // size for size in sizes]
    if rows[0] * sizes[0] * len(x) <= MOST:
        return func(*args)
    if any(pad >= width for pad, width in zip(padding, weight.shape[2:], strict=True)):
        return func(*args)
    out, call = x.new_empty((len(x), weight.shape[0], *sizes)), Call(func, args, kwargs, None)
    overlaps = [(width - 1) / size for width, size in zip(weight.shape[2:], sizes, strict=True)]
    along = min(range(count), key=lambda dim: (rows[dim] > MOST, overlaps[dim]))  # parts read little of each other's
    places = max(1, MOST // rows[along])
    for sample in range(len(x)):
        for first in range(0, sizes[along], places):
            last = min(sizes[along], first + places)
            part = _rows(call, x[sample : sample + 1], along, first, last)
            out[sample : sample + 1].narrow(2 + along, first, last - first).copy_(part)
    return out


def _each(numbers: Any, count: int) -> list[int]:
    return list(numbers) * (count if len(numbers) == 1 else 1)


def _rows(call: Call, x: Tensor, along: int, first: int, last: int) -> Tensor:
    """The results of one dimension's places from ``first`` to before ``last``."""
    count = x.dim() - 2
    paces, pads, steps = (_each(call[name], count) for name in ("stride", "padding", "dilation"))
    pace, pad, length = paces[along], pads[along], x.shape[2 + along]
    start, stop = first * pace - pad, (last - 1) * pace - pad + steps[along] * (call["weight"].shape[2 + along] - 1) + 1
    rows = x.narrow(2 + along, max(0, start), min(stop, length) - max(0, start))
    beside = [0, 0] * (count - 1 - along) + [max(0, -start), max(0, stop - length)]
    pads[along] = 0
    return torch.convolution(
        torch.constant_pad_nd(rows, beside), call["weight"], call["bias"], paces, pads, steps, False, [0] * count,
        call["groups"],
    )  # fmt: skip
