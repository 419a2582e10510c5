"""Give a network's channel variables new sizes."""

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from growsearch.algorithms.conet.members import FoundVariable
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.remap import Initialiser, Slab, remap
from growsearch.surgery.scores import l2, weakest


def resize(
    module: nn.Module, found: Sequence[FoundVariable], sizes: Mapping[str, int], generator: torch.Generator | None
) -> None:
    """Resize every variable of a traced network, in place.

    Args:
        module: the network that ``found`` was found in.
        found: its variables.
        sizes: new sizes by name.
        generator: draws what new channels start with: filters like those of a new layer, read by nobody yet, so that
            growth alone leaves the network's output as it is. Where channels go, those with the smallest
            filters do. None sets new channels to zero, for weights that nobody will use.
    """
    for one in found:
        for group, size in zip(one.groups, _shares(one.groups, sizes[one.variable.name]), strict=True):
            if size != group.size:
                _resize_group(module, group, size, generator)


def fitting_size(one: FoundVariable, size: int) -> int:
    """The greatest size up to ``size`` that the variable can have: halves that lie side by side stay equal."""
    pieces = len(one.groups)
    return max(pieces, size - size % pieces)


def _shares(groups: Sequence[ChannelGroup], size: int) -> list[int]:
    """Split a size over groups in proportion to what they have."""
    ends = list(accumulate(group.size for group in groups))
    cuts = [size * end // ends[-1] for end in ends]
    return [end - begin for begin, end in pairwise([0, *cuts])]


def _resize_group(module: nn.Module, group: ChannelGroup, size: int, generator: torch.Generator | None) -> None:
    def filters(slab: Slab) -> Tensor:
        bound = 1 / math.sqrt(module.get_parameter(slab.name)[0].numel())
        drawn = torch.empty(slab.shape).uniform_(-bound, bound, generator=generator)
        return drawn.to(slab.device, slab.dtype)

    kept = list(range(group.size))
    if generator is None:
        kept = kept[:size]
    elif size < group.size:
        gone = weakest(_strength(module, group), group.size - size)
        kept = [channel for channel in kept if channel not in gone]
    start: Initialiser = filters if generator is not None else 0.0
    fresh = {"producer": start, "depthwise": start}
    remap(module, group, kept + [-1] * (size - len(kept)), fresh=fresh, momentum="drop")


def _strength(module: nn.Module, group: ChannelGroup) -> Tensor:
    """Squared filters of every channel, summed over all layers that write it: [group.size]."""
    total = torch.zeros(group.size)
    for axis in group.axes:
        if axis.role == "producer":
            squares = l2(module.get_parameter(axis.name), dim=axis.dim).square().cpu()
            total += torch.stack([squares[group.positions(axis, channel)].sum() for channel in range(group.size)])
    return total
