"""The network a search trains: cells whose edges mix pools of candidates (family ``darts_search``)."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.darts.candidate import parse
from growsearch.networks.darts.layout import STEM_MULTIPLIER, cell_places
from growsearch.networks.darts.mixing import sums_at_once
from growsearch.networks.darts.search_cell import SearchCell, num_edges
from growsearch.networks.darts.search_edge import Pool
from growsearch.networks.darts.weighted import Weight, weight_rows
from growsearch.networks.registry import register
from growsearch.surgery.initialise import library_

CELL_KINDS = ("normal", "reduction")
ALPHA_STD = 1e-3


@register("darts_search")
class SearchNetwork(nn.Module):
    """Stem, ``layers`` cells, global average, linear (DARTS 2; PR-DARTS III).

    Attributes:
        alphas: ``normal`` and ``reduction``, edges x candidates; columns of an edge follow its pool,
            columns beyond a shorter pool are without effect.
        skip_dropout: scalar tensor, rate of the dropout behind stride-1 skips (only with
            ``has_skip_dropout``); filled from outside.
    """

    skip_dropout: Tensor

    own_layout = True  # see forward

    def __init__(
        self,
        pools: dict[str, Sequence[Pool]],
        channels: int,
        layers: int,
        num_nodes: int,
        num_classes: int,
        in_channels: int,
        output: str,
        has_skip_dropout: bool,
        mask_absent: bool,
    ) -> None:
        super().__init__()
        self.pools = {kind: tuple(tuple(pool) for pool in pools[kind]) for kind in CELL_KINDS}
        self.num_nodes = num_nodes
        self.output = output
        self.has_skip_dropout = has_skip_dropout
        self.mask_absent = mask_absent
        stem = STEM_MULTIPLIER * channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        width = num_nodes if output == "concat" else 1
        places = list(cell_places(channels, layers, (width, width)))
        self.cells = nn.ModuleList(SearchCell(self.pools[cell_kind(p.reduction)], num_nodes, p, output) for p in places)
        self.classifier = nn.Linear(width * places[-1].channels, num_classes)
        columns = {kind: max(map(len, self.pools[kind])) for kind in CELL_KINDS}
        self.alphas = nn.ParameterDict(
            {kind: nn.Parameter(torch.empty(num_edges(num_nodes), columns[kind])) for kind in CELL_KINDS}
        )
        for kind in CELL_KINDS:
            self.register_buffer(f"absent_{kind}", torch.zeros(self.alphas[kind].shape, dtype=torch.bool), False)
        self.register_buffer("skip_dropout", torch.zeros(()), persistent=False)

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "SearchNetwork":
        """Build from a spec.

        ``pools`` holds for ``normal`` and ``reduction`` a list of edges, each a list of [id, label];
        ``channels`` (16), ``layers`` (8), ``nodes`` (4), ``classes`` (10), ``in_channels`` (3),
        ``output`` (concat or mean), ``skip_dropout`` (false), ``mask_absent`` (true).

        Raises:
            UserError: if pools do not fit the number of nodes, are empty or unsorted, or a label is unknown.
        """
        num_nodes = spec.get("nodes", 4)
        pools: dict[str, Sequence[Pool]] = {}
        for kind in CELL_KINDS:
            pools[kind] = [[(int(number), parse(label)) for number, label in pool] for pool in spec["pools"][kind]]
            found = [[number for number, _ in pool] for pool in pools[kind]]
            if len(found) != num_edges(num_nodes) or not all(p and p == sorted(set(p)) for p in found):
                expected = f"ascending ids on {num_edges(num_nodes)} edges"
                raise UserError(f"pools of the {kind} cell: ids {found} are not accepted; use {expected}")
        return cls(
            pools,
            spec.get("channels", 16),
            spec.get("layers", 8),
            num_nodes,
            spec.get("classes", 10),
            spec.get("in_channels", 3),
            spec.get("output", "concat"),
            spec.get("skip_dropout", False),
            spec.get("mask_absent", True),
        )

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``; sizes are read off the live layers."""
        stem = self.stem[0]
        assert isinstance(stem, nn.Conv2d)
        pools = {k: [[[n, c.label] for n, c in pool] for pool in self.pools[k]] for k in CELL_KINDS}
        return {
            "family": "darts_search",
            "pools": pools,
            "channels": stem.out_channels // STEM_MULTIPLIER,
            "layers": len(self.cells),
            "nodes": self.num_nodes,
            "classes": self.classifier.out_features,
            "in_channels": stem.in_channels,
            "output": self.output,
            "skip_dropout": self.has_skip_dropout,
            "mask_absent": self.mask_absent,
        }

    def initialise(self, generator: torch.Generator) -> None:
        """PyTorch's default start; alphas are 1e-3 times standard normal."""
        for part in (self.stem, self.cells, self.classifier):
            library_(part, generator)
        self.skip_dropout.zero_()
        for kind in CELL_KINDS:
            nn.init.normal_(self.alphas[kind], std=ALPHA_STD, generator=generator)
            absent = self.get_buffer(f"absent_{kind}")
            for row, pool in enumerate(self.pools[kind]):
                absent[row] = torch.arange(absent.shape[1]) >= len(pool)

    def probabilities(self, kind: str) -> Tensor:
        """Softmax of each edge's alphas, edges x candidates; absent candidates have 0 (with ``mask_absent``)."""
        alpha = self.alphas[kind]
        if self.mask_absent:
            alpha = alpha.masked_fill(self.get_buffer(f"absent_{kind}"), -torch.inf)
        return alpha.softmax(dim=1)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Logits, N x classes.

        On a CPU maps are kept in channels_last whatever the images' layout: poolings and depthwise
        convolutions, most of the work, run several times faster in it.
        """
        if x_nchw.device.type == "cpu":
            x_nchw = x_nchw.contiguous(memory_format=torch.channels_last)
        tables = {kind: self.probabilities(kind) for kind in CELL_KINDS}
        rows: dict[tuple[str, int], list[Sequence[Weight]]] = {}
        matrices: dict[str, dict[int, Tensor]] = {} if sums_at_once(x_nchw) else {kind: {} for kind in CELL_KINDS}
        dropout = self.skip_dropout if self.has_skip_dropout else None
        before = last = self.stem(x_nchw)
        for cell in self.cells:
            assert isinstance(cell, SearchCell)
            kind = cell_kind(cell.reduction)
            key = (kind, cell.channels)
            if key not in rows:
                rows[key] = weight_rows(tables[kind], cell.channels)
            if kind not in matrices:
                matrices[kind] = cell.matrices(rows[key], dropout)
            before, last = last, cell(before, last, rows[key], dropout, matrices[kind])
        return self.classifier(last.mean((2, 3)))


def cell_kind(reduction: bool) -> str:
    """Name of a cell's kind."""
    return "reduction" if reduction else "normal"
