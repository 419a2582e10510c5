"""A smaller example in place of an example, where a network treats both alike."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.surgery.channels import ChannelMap
from growsearch.surgery.interface import BATCH

Example: TypeAlias = Tensor | tuple[Any, ...]
SHORTEST = 32
"""Sides of pictures, and sequences, of at least so many places are halved."""


def smaller(model: nn.Module, example: Example, channel_map: ChannelMap, limit: float) -> tuple[Example, ChannelMap]:
    """An example with fewer samples, and sides halved some times, for which the network runs the same way; its map.

    It must call the same operators in the same order, with the same groups, bonds and conditions on widths. What a
    recurrent layer is given is shortened too.

    Args:
        model: the network.
        example: an input, or a tuple of positional inputs.
        channel_map: what a trace with it found.
        limit: bytes in double precision that the largest result of an operator may take; if none takes more, and no
            sequence is long, nothing is made smaller.
    """
    best, tried = (example, channel_map), [_shapes(example)]

    def accepts(change: Callable[[Any], Any]) -> bool:
        """Whether the network runs the same way with the changed example, which then takes the place of the other."""
        nonlocal best
        other = pytree.tree_map(change, best[0])
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
        while best[1].steps >= SHORTEST and accepts(partial(_shortened, dim=dim)):
            pass
    return best


def _shapes(example: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in pytree.tree_leaves(example) if isinstance(leaf, Tensor)]


def _first_samples(leaf: Any) -> Any:
    return leaf[:BATCH] if isinstance(leaf, Tensor) and leaf.dim() else leaf


def _halved(leaf: Any) -> Any:
    """A picture or a clip with halved sides."""
    if not isinstance(leaf, Tensor) or leaf.dim() < 4 or not leaf.is_floating_point():
        return leaf
    for dim in range(2, leaf.dim()):
        leaf = _shortened(leaf, dim)
    return leaf


def _shortened(leaf: Any, dim: int) -> Any:
    """A tensor with half of the places of a dimension, if these are many."""
    if not isinstance(leaf, Tensor) or leaf.dim() <= dim or leaf.shape[dim] < SHORTEST:
        return leaf
    return leaf.narrow(dim, 0, leaf.shape[dim] // 2)
