"""Some entries of a dimension, copied."""

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

import torch
from torch import Tensor

FRESH = 2**25
"""Bytes from which the C library takes the memory of a tensor from the system each time."""
ADVICE = (14, 23)
"""``MADV_HUGEPAGE``, and ``MADV_POPULATE_WRITE`` of Linux 5.14; a system that knows neither refuses without harm."""


def selected(tensor: Tensor, dim: int, entries: Tensor) -> Tensor:
    """As ``tensor.index_select(dim, entries)`` of a tensor without a graph; the order in memory stays.

    The system hands over fresh memory page by page as it is first written to; of large results all pages are asked
    for at once, in large ones, which takes a third to a half less time.
    """
    if not tensor.is_contiguous():
        order, back = memory_order(tensor)
        turned = tensor.permute(order)
        if turned.is_contiguous():
            return selected(turned, back[dim], entries).permute(back)
    if tensor.nbytes < FRESH or tensor.device.type != "cpu":
        return tensor.index_select(dim, entries)
    out = tensor.new_empty([len(entries) if d == dim else n for d, n in enumerate(tensor.shape)])
    advise = _advice()
    if advise is not None:
        first = out.data_ptr() // mmap.PAGESIZE * mmap.PAGESIZE
        for advice in ADVICE:
            advise(ctypes.c_void_p(first), ctypes.c_size_t(out.data_ptr() + out.nbytes - first), advice)
    return torch.index_select(tensor, dim, entries, out=out)


def memory_order(tensor: Tensor) -> tuple[list[int], list[int]]:
    """The dimensions in the order in which they lie in memory, and the place of each in it."""
    strides = tensor.stride()
    order = sorted(range(tensor.dim()), key=lambda dim: -strides[dim])
    return order, sorted(range(tensor.dim()), key=order.__getitem__)


@cache
def _advice() -> Any:
    """``madvise`` of Linux; None elsewhere."""
    return getattr(ctypes.CDLL(None), "madvise", None) if sys.platform == "linux" else None
