"""Maps that several edges take with weights of their own, summed for all of these edges in one product.

A few large operations in place of several small ones for each edge and candidate: a third fewer in a step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from growsearch.networks.darts.search_edge import SearchEdge
from growsearch.networks.darts.weighted import Weight


@dataclass(frozen=True)
class Mixture:
    """The parts of shared maps that the edges from one state take.

    Attributes:
        labels: of the shared candidates.
        rows: by node, the edge's number in its cell and the column of each of its candidates.
    """

    labels: tuple[str, ...]
    rows: Mapping[int, tuple[int, dict[str, int]]]

    def matrix(self, weights: Sequence[Sequence[Weight]]) -> Tensor:
        """Weights, edges x maps; 0 where an edge has no such candidate.

        Args:
            weights: of all edges of the cell and their candidates.
        """
        absent = weights[0][0].scalar.new_zeros(())
        entries = [
            weights[number][columns[label]].scalar if label in columns else absent
            for number, columns in self.rows.values()
            for label in self.labels
        ]
        return torch.stack(entries).view(len(self.rows), len(self.labels))

    def sums(self, maps_nchw: Mapping[str, Tensor], matrix_em: Tensor) -> dict[int, Tensor]:
        """The weighted sums by node."""
        return dict(zip(self.rows, mixed([maps_nchw[label] for label in self.labels], matrix_em), strict=True))


def sums_at_once(x_nchw: Tensor) -> bool:
    """Whether it pays: in training on a GPU, where launches count; on a CPU both ways take the same time."""
    return x_nchw.device.type != "cpu" and torch.is_grad_enabled()


def mixtures(edges: Sequence[tuple[int, SearchEdge]], with_skips: bool) -> dict[int, Mixture]:
    """The mixture of each state with candidates that own no weights.

    Args:
        edges: of a cell in its order, each with the node it leads to.
        with_skips: skips of stride 1 take the state as it is, and count.
    """
    labels: dict[int, dict[str, None]] = {}
    rows: dict[int, dict[int, tuple[int, dict[str, int]]]] = {}
    for number, (node, edge) in enumerate(edges):
        columns = {
            candidate.label: column
            for column, (_, candidate) in enumerate(edge.pool)
            if candidate.op == "pool" or (candidate.op == "skip" and edge.stride == 1 and with_skips)
        }
        if columns:
            labels.setdefault(edge.source, {}).update(dict.fromkeys(columns))
            rows.setdefault(edge.source, {})[node] = number, columns
    return {source: Mixture(tuple(found), rows[source]) for source, found in labels.items()}


def mixed(maps_nchw: Sequence[Tensor], weights_em: Tensor) -> tuple[Tensor, ...]:
    """Weighted sums of maps of one shape and layout, one for each row of weights (edges x maps)."""
    in_channels_last = maps_nchw[0].is_contiguous(memory_format=torch.channels_last)
    maps = [x.permute(0, 2, 3, 1) for x in maps_nchw] if in_channels_last else maps_nchw
    sums = (weights_em @ torch.stack(tuple(maps)).flatten(1)).unflatten(1, maps[0].shape).unbind()
    return tuple(x.permute(0, 3, 1, 2) for x in sums) if in_channels_last else sums
