"""How a network grows without a change of its function, and at what rates its channels learn."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.actions import Action, Change, Draws, Fit, Net, Workbench
from growsearch.actions.training import Steps
from growsearch.algorithms.budgets import Shape, groups_of, writers
from growsearch.algorithms.grow.directions import Directions, directions
from growsearch.networks.residual import ResidualNetwork, append_block
from growsearch.surgery.channels import Axis, ChannelGroup
from growsearch.surgery.momentum import Optimizers
from growsearch.surgery.remap import Slab, remap
from growsearch.surgery.replace import replace
from growsearch.surgery.scores import LAYERS, group_weights
from growsearch.surgery.tensors import lookup
from growsearch.surgery.widen import widen
from growsearch.training import FitState, Network
from growsearch.training.network import Pace

MOST = 8
"""Times its size that a group grows to at most in one step."""

DIRECTED = ("gradmax", "tiny")
"""Starts whose filters are measured once the channels are there."""


def growable(group: ChannelGroup) -> bool:
    """Whether a group may be widened by any number of channels, with nothing but readers at zero."""
    return (
        group.frozen is None
        and group.step == 1
        and group.number not in group.map.silent
        and bool(writers(group))
        and bool(group.consumers)
    )


@dataclass(frozen=True)
class Widen(Change):
    """Give channel groups new sizes; see :func:`grow_groups`."""

    op = "widen"
    sizes: Mapping[str, int]
    start: str
    noise: float
    image_shape: Shape

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Trace the live network, and widen it."""
        groups = groups_of(network.module, self.image_shape)
        optimizers = [network.optimizer(role) for role in network.configs]
        grow_groups(network.module, groups, self.sizes, self.start, self.noise, draws(), optimizers)


@dataclass(frozen=True)
class Aim(Action):
    """Give new channels, which nobody reads yet, the filters of :func:`directions`.

    Attributes:
        net: whose channels.
        sizes: of the groups that were widened, before that.
        natural: TINY's in place of GradMax's.
        images: training images that it looks at.
    """

    net: Net
    sizes: Mapping[str, int]
    natural: bool
    images: int

    def perform(self, bench: Workbench) -> None:
        """Measure, and write the filters."""
        network = bench.networks[self.net.name]
        groups = groups_of(network.module, bench.engine.data.image_shape)
        found = directions(network, bench.engine, groups, self.sizes, self.images, self.natural)
        aim(network.module, groups, self.sizes, found)


@dataclass(frozen=True)
class AddBlocks(Change):
    """Blocks that pass on what they are given, at the end of every stage of a residual network."""

    op = "deepen"
    count: int

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Append them."""
        module, draw = network.module, draws()
        assert isinstance(module, ResidualNetwork)
        add_blocks(module, self.count, draw)


def add_blocks(module: ResidualNetwork, count: int, draw: torch.Generator) -> None:
    """Append so many identity blocks to every stage."""
    for stage in range(len(module.stages)):
        for _ in range(count):
            append_block(module, stage, draw)


def grow_groups(
    module: nn.Module,
    groups: Mapping[str, ChannelGroup],
    sizes: Mapping[str, int],
    start: str,
    noise: float,
    draw: torch.Generator,
    optimizer: Optimizers = None,
) -> None:
    """Widen groups; the network computes the same afterwards, in train mode too.

    Args:
        module: the network, changed in place.
        groups: handles of it by name.
        sizes: new sizes by name; those that it leaves out stay.
        start: ``copies`` of present channels whose readers share their weights (Net2Net); ``zero``: drawn like a new
            layer's and read with weights 0; ``orthogonal``: likewise, orthogonal to each other; ``gradmax`` and
            ``tiny``: as ``zero`` until :class:`Aim`, and depthwise filters pass them on as they are.
        noise: for ``copies``: what is added to the weights that read a copy, and taken from those that read its twin,
            in units of the weights' deviation.
        draw: of all that is drawn.
        optimizer: whose state follows.
    """
    for name, size in sizes.items():
        group = groups[name]
        old = group.size
        if size <= old:
            continue
        if start == "copies":
            sources = widen(module, group, size, generator=draw, optimizer=optimizer)
            if noise:
                part_copies(module, group, sources, old, noise, draw, optimizer)
        else:
            fresh = {"producer": _filters(start, draw), "depthwise": _filters(start, draw)}
            if start in DIRECTED:
                fresh["depthwise"] = _identity
            remap(module, group, [*range(old), *[-1] * (size - old)], fresh=fresh, optimizer=optimizer)


def _identity(slab: Slab) -> Tensor:
    """Depthwise filters that pass on the middle of their window."""
    filters = torch.zeros(slab.shape, dtype=slab.dtype, device=slab.device)
    middle = filters
    for length in slab.shape[2:]:
        middle = middle.select(2, length // 2)
    middle.fill_(1)
    return filters


@torch.no_grad()
def aim(
    module: nn.Module, groups: Mapping[str, ChannelGroup], sizes: Mapping[str, int], found: Mapping[str, Directions]
) -> None:
    """Write filters into new channels, as long as the present filters are in the mean.

    Channels for which there is no direction stay as they are.

    Args:
        module: the network, changed in place.
        groups: handles of it by name.
        sizes: of the groups without their new channels.
        found: directions by group.
    """
    for name, each in found.items():
        group, old = groups[name], sizes[name]
        axes = {axis.name: axis for axis in group.axes if axis.role == "producer"}
        outputs = {w: [group.positions(axes[w], channel)[0] for channel in range(group.size)] for w in each.filters}
        norms = [lookup(module, w)[outputs[w][:old]].flatten(1).norm(dim=1).mean() for w in each.filters]
        length = math.hypot(*map(float, norms))
        for writer, filters in each.filters.items():
            weight, places = lookup(module, writer), outputs[writer][old:][: len(filters)]
            weight[places] = (length * filters[: len(places)]).view(-1, *weight.shape[1:]).to(weight)


def _filters(start: str, draw: torch.Generator) -> Any:
    """He-uniform filters, or orthogonal ones of the same deviation."""

    def make(slab: Slab) -> Tensor:
        shape = [slab.shape[slab.dim], *(n for dim, n in enumerate(slab.shape) if dim != slab.dim)]
        fan_in = max(1, math.prod(shape[1:]))
        if str(slab.device) == "meta":
            return torch.empty(slab.shape, device="meta")
        if start == "orthogonal":
            flat = torch.empty(shape[0], fan_in)
            nn.init.orthogonal_(flat, gain=math.sqrt(2.0 * min(1.0, max(shape[0], 1) / fan_in)), generator=draw)
            flat *= math.sqrt(2.0) / max(float(flat.norm(dim=1).mean()), 1e-12)
        else:
            bound = math.sqrt(6.0 / fan_in)
            flat = torch.empty(shape[0], fan_in).uniform_(-bound, bound, generator=draw)
        return flat.view(shape).movedim(0, slab.dim).to(slab.device, slab.dtype)

    return make


def part_copies(
    module: nn.Module,
    group: ChannelGroup,
    sources: list[int],
    old: int,
    noise: float,
    draw: torch.Generator,
    optimizer: Optimizers = None,
) -> None:
    """Move weight from the readers of a channel to those of its copy, or back, so that gradients part the two."""
    for axis in group.axes:
        if axis.role != "consumer":
            continue
        weight = lookup(module, axis.name).detach().clone()
        for copy in range(old, len(sources)):
            _move(weight, group, axis, (sources[copy], copy), noise, draw)
        replace(module, axis.name, weight, optimizer=optimizer, carry=lambda state, *_: state)


def _move(
    weight: Tensor, group: ChannelGroup, axis: Axis, pair: tuple[int, int], noise: float, draw: torch.Generator
) -> None:
    twin, copy = (torch.tensor(group.positions(axis, channel), device=weight.device) for channel in pair)
    part = weight.index_select(axis.dim, copy)
    deviation = float(part.std()) if part.numel() > 1 else float(part.abs().mean())
    moved = (torch.randn(part.shape, generator=draw) * noise * deviation).to(weight)
    weight.index_add_(axis.dim, copy, moved).index_add_(axis.dim, twin, -moved)


@dataclass(frozen=True)
class PacedFit(Fit):
    """A phase of training in which weights of later channels have rates of their own (arXiv 2306.12700).

    Attributes:
        history: for each step of growth so far, the sizes before it of the groups that grew.
    """

    history: tuple[Mapping[str, int], ...] = ()

    def steps(self, bench: Workbench, position: FitState) -> Steps:
        """Train as usual, with the network's weights in parts."""
        network = bench.networks[self.net.name]
        parts: dict[str, Tensor] = {}
        for group in groups_of(network.module, bench.engine.data.image_shape).values():
            for axis, weight in group_weights(network.module, group, LAYERS):
                ages = parts.setdefault(axis.name, torch.zeros(weight.shape, dtype=torch.long, device=weight.device))
                for channel, step in enumerate(steps_of(group, self.history)):
                    if step:
                        places = torch.tensor(group.positions(axis, channel), device=weight.device)
                        ages.index_copy_(axis.dim, places, ages.index_select(axis.dim, places).clamp(min=step))
        network.pace = Pace({name: ages for name, ages in parts.items() if ages.any()})
        answer = yield from super().steps(bench, position)
        network.pace = None
        return answer


def steps_of(group: ChannelGroup, history: Sequence[Mapping[str, int]]) -> list[int]:
    """For each channel of a group the step that it came with, counted from 1; 0 for those at the start."""
    found = [0] * group.size
    for step, sizes in enumerate(history, 1):
        for channel in range(sizes.get(group.name, group.size), group.size):
            found[channel] = step
    return found
