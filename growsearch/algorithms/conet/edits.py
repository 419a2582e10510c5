"""CONet's edits: new sizes for channel variables, and weights for the final training."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise

import torch
from torch import Tensor, nn

from growsearch.actions import Change, Draws
from growsearch.algorithms.conet.members import FoundVariable, MemberRule, find_variables, remember, traced_groups
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.remap import Initialiser, Slab, remap
from growsearch.surgery.scores import l2, weakest
from growsearch.training import Network


@dataclass(frozen=True)
class Resize(Change):
    """Give channel variables new sizes; see :func:`resize`.

    Attributes:
        sizes: by variable; those that it leaves out stay.
        image_shape: (C, H, W) of the images that the network is traced with.
        rule: whose ranks are members of a variable.
        drawn: new channels get weights of their own; else zeros, for weights that nobody will use.
    """

    op = "resize"
    sizes: Mapping[str, int]
    image_shape: tuple[int, int, int]
    rule: MemberRule
    drawn: bool

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Find the variables of the live network, and resize them."""
        module, images = network.module, example(self.image_shape)
        groups = traced_groups(module, images)
        found = find_variables(module, images, self.rule, prove=False, groups=groups)
        known = [one for one in found if one.variable.name in self.sizes]
        resize(module, known, self.sizes, draws() if self.drawn else None)
        remember(groups, module, images)  # the next trial's network has these sizes


@dataclass(frozen=True)
class InheritWeights(Change):
    """Take over the source's weights by name; what the source lacks (an auxiliary head) stays as it was drawn."""

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Copy them in place."""
        network.module.load_state_dict(sources[0].module.state_dict(), strict=False)


def example(image_shape: tuple[int, int, int]) -> Tensor:
    """Images to trace a network with: with two of them, batch norm on maps of one pixel blows rounding errors up."""
    return torch.zeros(8, *image_shape)


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
