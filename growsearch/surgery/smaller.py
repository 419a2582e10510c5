"""A smaller example in place of an example, where a network treats both alike."""

from typing import Any, TypeAlias

from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.surgery.channels import ChannelMap
from growsearch.surgery.interface import BATCH

Example: TypeAlias = Tensor | tuple[Any, ...]
SHORTEST = 32
"""Sides of pictures of at least so many places are halved."""


def smaller(model: nn.Module, example: Example, channel_map: ChannelMap, limit: float) -> tuple[Example, ChannelMap]:
    """An example with fewer samples, and sides halved some times, for which the network runs the same way; its map.

    It must call the same operators in the same order, with the same groups, bonds and conditions on widths.

    Args:
        model: the network.
        example: an input, or a tuple of positional inputs.
        channel_map: what a trace with it found.
        limit: bytes in double precision that the largest result of an operator may take; nothing more is made smaller.
    """
    tried = [_shapes(example)]
    for change in (_first_samples, _halved, _halved, _halved):
        other = pytree.tree_map(change, example)
        if 8 * channel_map.largest <= limit:
            break
        if _shapes(other) in tried:
            continue
        tried.append(_shapes(other))
        found = channel_map.of(model, other)
        if found is not None:
            example, channel_map = other, found
    return example, channel_map


def _shapes(example: Any) -> list[tuple[int, ...]]:
    return [tuple(leaf.shape) for leaf in pytree.tree_leaves(example) if isinstance(leaf, Tensor)]


def _first_samples(leaf: Any) -> Any:
    return leaf[:BATCH] if isinstance(leaf, Tensor) and leaf.dim() else leaf


def _halved(leaf: Any) -> Any:
    """A picture or a clip with halved sides."""
    if not isinstance(leaf, Tensor) or leaf.dim() < 4 or not leaf.is_floating_point():
        return leaf
    for dim, length in enumerate(leaf.shape[2:], 2):
        leaf = leaf.narrow(dim, 0, length // 2 if length >= SHORTEST else length)
    return leaf
