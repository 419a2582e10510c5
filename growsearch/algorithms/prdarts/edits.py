"""The start of a cycle's fresh network: architecture weights and inherited weights (PR-DARTS III)."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from growsearch.actions import Change, Draws
from growsearch.algorithms.prdarts.morphisms import morphism_between
from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.operations import SeparableBlock, SeparableStack
from growsearch.networks.darts.search import ALPHA_STD, CELL_KINDS, SearchNetwork, cell_kind
from growsearch.networks.darts.search_cell import SearchCell
from growsearch.networks.darts.search_edge import SearchEdge
from growsearch.surgery import ChannelGroup, channel_groups, remap
from growsearch.surgery.morphisms import grow_kernel, identity_separable, set_dilation, shrink_kernel
from growsearch.surgery.morphisms.separable import unseen_channels
from growsearch.surgery.tensors import copied
from growsearch.training import Network

Traced = dict[tuple[Candidate, int, tuple[int, ...]], list[ChannelGroup]]
"""Channel groups of stacks by candidate, channels and stride."""

Parents = Mapping[str, Sequence[Mapping[int, int]]]
"""Per cell kind and edge: the parent's id by the child's."""


@dataclass(frozen=True)
class SpreadAlphas(Change):
    """Architecture weights of a fresh network get the standard deviation ``std``."""

    std: float

    @torch.no_grad()
    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Scale them."""
        for alpha in search_module(network).alphas.values():
            alpha.mul_(self.std / ALPHA_STD)


@dataclass(frozen=True)
class GoOnFor(Change):
    """A fresh network goes on for that of the cycle before: it counts steps from there, and inherits weights.

    Attributes:
        parents: candidates to derive from others; None to inherit nothing.
    """

    op = "prune_and_replace"
    parents: Parents | None

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Take over what the one source has."""
        (before,) = sources
        network.steps = before.steps
        if self.parents is not None:
            inherit(search_module(before), search_module(network), self.parents, draws())


def search_module(network: Network) -> SearchNetwork:
    """The module of the search network."""
    assert isinstance(network.module, SearchNetwork)
    return network.module


def probabilities(network: Network) -> dict[str, list[list[float]]]:
    """Softmax values by cell kind and edge, one for each candidate that it has."""
    module = search_module(network)
    return {kind: _of_pools(module.probabilities(kind).tolist(), module.pools[kind]) for kind in CELL_KINDS}


def architecture_weights(network: Network) -> dict[str, list[list[float]]]:
    """Architecture weights likewise."""
    module = search_module(network)
    return {kind: _of_pools(module.alphas[kind].tolist(), module.pools[kind]) for kind in CELL_KINDS}


def _of_pools(table: list[list[float]], pools: Sequence[Sequence[Any]]) -> list[list[float]]:
    """Rows without the places of absent candidates."""
    return [row[: len(pool)] for row, pool in zip(table, pools, strict=True)]


@torch.no_grad()
def inherit(old: SearchNetwork, new: SearchNetwork, parents: Parents, generator: torch.Generator) -> None:
    """Give ``new`` everything of ``old`` that it still has, and new candidates their parents' weights.

    Architecture weights start anew. A candidate with a parent gets the parent's weights whether or
    not ``old`` holds a candidate of its id (one dropped earlier may have come back).

    Args:
        old: the network at the end of a cycle; left as it is.
        new: of the same stem, cells and widths, with other pools; every parent is in it.
        parents: candidates to derive, children of one edge in ascending order of their ids.
        generator: draws what widening needs.
    """
    tensors, replaced = dict(old.state_dict(keep_vars=True)), derived_prefixes(new, parents)
    for name, tensor in new.state_dict(keep_vars=True).items():
        if name in tensors and not name.startswith(("alphas.", *replaced)):
            tensor.copy_(tensors[name])
    traced: Traced = {}
    for cell in new.cells:
        assert isinstance(cell, SearchCell)
        for edge, table in zip(cell.edges, parents[cell_kind(cell.reduction)], strict=True):
            assert isinstance(edge, SearchEdge)
            derive(edge, table, generator, traced)


def derive(
    edge: SearchEdge, parents: Mapping[int, int], generator: torch.Generator, traced: Traced | None = None
) -> None:
    """Overwrite candidates of an edge with what their parents make of them, in ascending order of ids."""
    candidates = dict(edge.pool)
    for child, parent in sorted(parents.items()):
        stack = edge.get_submodule(f"c{parent}")
        assert isinstance(stack, SeparableStack)
        made = transferred(stack, candidates[parent], candidates[child], generator, traced)
        edge.get_submodule(f"c{child}").load_state_dict(made.state_dict())


def derived_prefixes(network: SearchNetwork, parents: Parents) -> Collection[str]:
    """Beginnings of the names of all tensors that come from a parent."""
    prefixes = []
    for position, cell in enumerate(network.cells):
        assert isinstance(cell, SearchCell)
        for number, table in enumerate(parents[cell_kind(cell.reduction)]):
            prefixes += [f"cells.{position}.edges.{number}.c{child}." for child in table]
    return prefixes


def transferred(
    stack: SeparableStack,
    parent: Candidate,
    child: Candidate,
    generator: torch.Generator,
    traced: Traced | None = None,
) -> SeparableStack:
    """A stack for ``child`` with the weights of ``parent``'s ``stack``, which stays as it is.

    Growing a kernel and widening keep the function; shrinking, dilating and inserting do not.

    Args:
        stack: module of the parent.
        parent: what the stack is.
        child: one morphism away from the parent.
        generator: draws the weights that widening needs.
        traced: channel groups of stacks that were widened before; those of this one are added.

    Raises:
        ValueError: if no morphism leads from parent to child.
    """
    made = copied(stack, torch.Tensor.clone)
    assert isinstance(made, SeparableStack)
    blocks = _blocks(made)
    match morphism_between(parent, child):
        case "kernel_up":
            for block in blocks:
                grow_kernel(block.depthwise)
        case "kernel_down":
            for block in blocks:
                shrink_kernel(block.depthwise)
        case "dilation_up" | "dilation_down":
            for block in blocks:
                set_dilation(block.depthwise, child.dilation)
        case "insert":
            made.blocks.append(_passing_block(blocks[-1], child))
        case _:
            at = next(i for i, (a, b) in enumerate(zip(parent.expansions, child.expansions, strict=True)) if a != b)
            _widen(made, at, generator, _groups(made, parent, {} if traced is None else traced))
    return made


def _blocks(stack: SeparableStack) -> list[SeparableBlock]:
    return [block for block in stack.blocks if isinstance(block, SeparableBlock)]


def _passing_block(last: SeparableBlock, child: Candidate) -> SeparableBlock:
    """A further block that passes its input on, but for its relu and its norm."""
    channels = last.pointwise.out_channels
    block = SeparableBlock(channels, channels, child.kernel, child.dilation, stride=1, affine=last.norm.affine)
    block.to(last.pointwise.weight)
    identity_separable(block)
    return block


def _groups(stack: SeparableStack, candidate: Candidate, traced: Traced) -> list[ChannelGroup]:
    """Channel groups of a candidate's stack; one trace serves all that have its shapes."""
    first = stack.get_submodule("blocks.0.depthwise")
    assert isinstance(first, nn.Conv2d)
    key = candidate, first.in_channels, first.stride
    if key not in traced:
        example = torch.zeros(1, first.in_channels, 8, 8, dtype=first.weight.dtype, device=first.weight.device)
        traced[key] = channel_groups(stack, example, prove=False)
    channel_map = traced[key][0].map.on(stack)
    return [group.on(channel_map) for group in traced[key]]


def _widen(stack: SeparableStack, at: int, generator: torch.Generator, groups: Sequence[ChannelGroup]) -> None:
    """Give block ``at`` one candidate's width more of outputs, which the block after it does not use yet."""
    first = stack.get_submodule("blocks.0.depthwise")
    assert isinstance(first, nn.Conv2d)
    width = first.weight.shape[0]
    group = next(g for g in groups if f"blocks.{at}.pointwise" in g.producers)
    remap(stack, group, [*range(group.size), *[-1] * width], fresh=unseen_channels(generator))


def without_auxiliary_head(network: Network) -> int:
    """Parameters as the paper counts them."""
    head = getattr(network.module, "head", None)
    return network.parameter_count() - (sum(p.numel() for p in head.parameters()) if head is not None else 0)
