"""A cell of the search network: all edges, each with its own pool of candidates."""

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.layout import CellPlace
from growsearch.networks.darts.mixing import Mixture, mixtures
from growsearch.networks.darts.operations import FactorizedReduction, ReluConvNorm, pooling
from growsearch.networks.darts.phases import can_split, split_phases
from growsearch.networks.darts.search_edge import Pool, SearchEdge, Source
from growsearch.networks.darts.weighted import Weight, plus, weighted_norm


def edge_ends(num_nodes: int) -> Iterator[tuple[int, int]]:
    """(node, input) of every edge, node by node, inputs ascending: 2 + 3 + ... edges."""
    for node in range(num_nodes):
        for source in range(node + 2):
            yield node, source


def num_edges(num_nodes: int) -> int:
    """Number of edges of a cell with that many nodes: 14 for 4."""
    return num_nodes * (num_nodes + 3) // 2


class SearchCell(nn.Module):
    """One cell; a node is the sum of its edges, the output joins all nodes (DARTS 2.1, PR-DARTS II-B).

    Edges that start from the same state share its ReLU and its poolings: pooled maps and their
    batch statistics depend on the state alone, so one norm per state and pooling (``pool_norms``)
    equals one per edge.
    """

    def __init__(self, pools: Sequence[Pool], num_nodes: int, place: CellPlace, output: str) -> None:
        super().__init__()
        self.output = output
        self.channels = place.channels
        self.num_nodes = num_nodes
        self.reduction = place.reduction
        before = FactorizedReduction if place.after_reduction else ReluConvNorm
        self.preprocess0 = before(place.in_channels[0], place.channels, affine=False)
        self.preprocess1 = ReluConvNorm(place.in_channels[1], place.channels, affine=False)
        self.edges = nn.ModuleList(
            SearchEdge(pool, source, place.channels, 2 if place.reduction and source < 2 else 1)
            for pool, (_, source) in zip(pools, edge_ends(num_nodes), strict=True)
        )
        self.phased_sources = {edge.source for edge in self._edges() if edge.has_phased}
        ends = [(node, edge) for (node, _), edge in zip(edge_ends(num_nodes), self._edges(), strict=True)]
        self._mixtures = {with_skips: mixtures(ends, with_skips) for with_skips in (False, True)}
        self.poolings: dict[int, dict[str, nn.Module]] = {}
        self.pool_norms = nn.ModuleDict()
        for edge in self._edges():
            for _, candidate in edge.pool:
                if candidate.op == "pool" and candidate.label not in self.poolings.setdefault(edge.source, {}):
                    self.poolings[edge.source][candidate.label] = pooling(candidate, edge.stride)
                    self.pool_norms[_norm_name(edge.source, candidate)] = nn.BatchNorm2d(place.channels, affine=False)

    def forward(
        self,
        input0_nchw: Tensor,
        input1_nchw: Tensor,
        weights: Sequence[Sequence[Weight]],
        skip_dropout: Tensor | None,
        matrices: Mapping[int, Tensor],
    ) -> Tensor:
        """Output of the cell.

        Args:
            input0_nchw: output of cell k-2.
            input1_nchw: output of cell k-1.
            weights: one per edge and candidate.
            skip_dropout: rate of dropout behind stride-1 skips, or None for none at all.
            matrices: of :meth:`matrices`, by which shared maps are summed for all edges at once; empty to
                add them up edge by edge.
        """
        mixing = {k: (m, matrices[k]) for k, m in self.mixtures(skip_dropout).items() if k in matrices}
        sources = [
            self._source(0, self.preprocess0(input0_nchw), mixing),
            self._source(1, self.preprocess1(input1_nchw), mixing),
        ]
        edges = iter(zip(self._edges(), weights, strict=True))
        nodes: list[Tensor] = []
        for node in range(self.num_nodes):
            total: Tensor | None = None
            for _ in range(node + 2):
                edge, row = next(edges)
                source = sources[edge.source]
                total = edge(plus(total, source.sums_nchw.get(node)), source, row, skip_dropout)
            if total is None:  # every candidate of every edge is none
                stride = 2 if self.reduction else 1
                total = torch.zeros_like(sources[0].raw_nchw[:, :, ::stride, ::stride])
            nodes.append(total)
            if node + 1 < self.num_nodes:
                sources.append(self._source(node + 2, total, mixing))
        return torch.cat(nodes, dim=1) if self.output == "concat" else torch.stack(nodes).mean(0)

    def mixtures(self, skip_dropout: Tensor | None) -> dict[int, Mixture]:
        """The parts of shared maps that edges take, by state; not the skips where each is dropped out differently."""
        return self._mixtures[skip_dropout is None]

    def matrices(self, weights: Sequence[Sequence[Weight]], skip_dropout: Tensor | None) -> dict[int, Tensor]:
        """Weights of shared maps by state, the same for all cells of a kind."""
        return {number: mixture.matrix(weights) for number, mixture in self.mixtures(skip_dropout).items()}

    def _source(self, number: int, raw_nchw: Tensor, mixing: Mapping[int, tuple[Mixture, Tensor]]) -> Source:
        pooled = {
            label: weighted_norm(self._norm(f"s{number}_{label}"), module(raw_nchw), None)
            for label, module in self.poolings.get(number, {}).items()
        }
        relu = functional.relu(raw_nchw)
        phases = split_phases(relu) if number in self.phased_sources and can_split(relu) else None
        if number not in mixing:
            return Source(raw_nchw, relu, pooled, phases)
        mixture, matrix = mixing[number]
        sums = mixture.sums({**pooled, "skip": raw_nchw}, matrix)
        return Source(raw_nchw, relu, pooled, phases, sums, mixture.labels)

    def _norm(self, name: str) -> nn.BatchNorm2d:
        norm = self.pool_norms[name]
        assert isinstance(norm, nn.BatchNorm2d)
        return norm

    def _edges(self) -> Iterator[SearchEdge]:
        for edge in self.edges:
            assert isinstance(edge, SearchEdge)
            yield edge


def _norm_name(source: int, candidate: Candidate) -> str:
    return f"s{source}_{candidate.label}"
