"""A smaller example in place of an example, where a network treats both alike."""

from collections.abc import Callable
from functools import partial
from math import inf
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.surgery.channels import ChannelMap
from growsearch.surgery.interface import BATCH

Example: TypeAlias = Tensor | tuple[Any, ...]
SHORTEST = 32
"""Sides of pictures, and sequences, of at least so many places are halved."""


def smaller(model: nn.Module, example: Example, channel_map: ChannelMap, limit: float) -> tuple[Example, ChannelMap]:
    """An example with fewer samples, and sides halved some times, for which the network runs the same way; its map.

    It must call the same operators in the same order, with the same groups, bonds and conditions on widths. Sequences
    are shortened too, those of recurrent layers wherever they are long.

    Args:
        model: the network.
        example: an input, or a tuple of positional inputs.
        channel_map: what a trace with it found.
        limit: bytes in double precision that the largest result of an operator may take; if none takes more, and no
            sequence is long, nothing is made smaller.
    """
    best, tried = (example, channel_map), [_shapes(example)]

    def accepts(change: Callable[[Example], Example]) -> bool:
        """Whether the network runs the same way with the changed example, which then takes the place of the other."""
        nonlocal best
        other = change(best[0])
        if _shapes(other) in tried:
            return False
        tried.append(_shapes(other))
        found = channel_map.of(model, other)
        best = best if found is None else (other, found)
        return found is not None

    for change in (_first_samples, _halved, _halved, _halved):
        if 8 * best[1].largest > limit:
            accepts(change)
    most = max((len(shape) for shape in tried[0]), default=0)
    for dim in range(most):
        # sides of large pictures and clips were halved above
        while _is_long(best[1], limit if most < 4 else inf) and accepts(partial(_shortened, dim=dim)):
            pass
    return best


def _is_long(channel_map: ChannelMap, limit: float) -> bool:
    """Whether a recurrent layer is given many steps, or the largest result of an operator takes more than a limit."""
    return channel_map.steps >= SHORTEST or 8 * channel_map.largest > limit


def _shapes(example: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in pytree.tree_leaves(example) if isinstance(leaf, Tensor)]


def _first_samples(example: Example) -> Example:
    return pytree.tree_map(lambda leaf: leaf[:BATCH] if isinstance(leaf, Tensor) and leaf.dim() else leaf, example)


def _halved(example: Example) -> Example:
    """Pictures and clips with halved sides."""

    def smaller_sides(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or leaf.dim() < 4 or not leaf.is_floating_point():
            return leaf
        for dim in range(2, leaf.dim()):
            leaf = _half(leaf, dim) if leaf.shape[dim] >= SHORTEST else leaf
        return leaf

    return pytree.tree_map(smaller_sides, example)


def _shortened(example: Example, dim: int) -> Example:
    """Tensors with half of a dimension's places, where these are many, and lengths that are no longer than that."""
    leaves = [leaf for leaf in pytree.tree_leaves(example) if isinstance(leaf, Tensor)]
    long = {leaf.shape[dim] for leaf in leaves if leaf.dim() > max(1, dim) and leaf.shape[dim] >= SHORTEST}

    def shorter(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor):
            return leaf
        if leaf.dim() > max(1, dim):
            return _half(leaf, dim) if leaf.shape[dim] in long else leaf
        whole = leaf.dtype in (torch.int32, torch.int64) and leaf.numel()
        return leaf.clamp(max=int(leaf.max()) // 2) if whole and int(leaf.max()) in long else leaf

    return pytree.tree_map(shorter, example)


def _half(tensor: Tensor, dim: int) -> Tensor:
    return tensor.narrow(dim, 0, tensor.shape[dim] // 2)
