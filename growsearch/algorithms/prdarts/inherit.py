"""Weights that pass from one cycle's network to the next one's (PR-DARTS III-B)."""

from collections.abc import Collection, Mapping, Sequence

import torch

from growsearch.algorithms.prdarts.transfer import transferred
from growsearch.networks.darts.operations import SeparableStack
from growsearch.networks.darts.search import SearchNetwork, cell_kind
from growsearch.networks.darts.search_cell import SearchCell
from growsearch.networks.darts.search_edge import SearchEdge

Parents = Mapping[str, Sequence[Mapping[int, int]]]
"""Per cell kind and edge: the parent's id by the child's."""


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
    for cell in new.cells:
        assert isinstance(cell, SearchCell)
        for edge, table in zip(cell.edges, parents[cell_kind(cell.reduction)], strict=True):
            assert isinstance(edge, SearchEdge)
            derive(edge, table, generator)


def derive(edge: SearchEdge, parents: Mapping[int, int], generator: torch.Generator) -> None:
    """Overwrite candidates of an edge with what their parents make of them, in ascending order of ids."""
    candidates = dict(edge.pool)
    for child, parent in sorted(parents.items()):
        stack = edge.get_submodule(f"c{parent}")
        assert isinstance(stack, SeparableStack)
        made = transferred(stack, candidates[parent], candidates[child], generator)
        edge.get_submodule(f"c{child}").load_state_dict(made.state_dict())


def derived_prefixes(network: SearchNetwork, parents: Parents) -> Collection[str]:
    """Beginnings of the names of all tensors that come from a parent."""
    prefixes = []
    for position, cell in enumerate(network.cells):
        assert isinstance(cell, SearchCell)
        for number, table in enumerate(parents[cell_kind(cell.reduction)]):
            prefixes += [f"cells.{position}.edges.{number}.c{child}." for child in table]
    return prefixes
