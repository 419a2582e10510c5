"""Cells of DARTS and DARTS+ in which every independent channel count is free (CONet section 4.1)."""

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from growsearch.networks.darts.dropped_paths import DroppedPaths, is_dropped
from growsearch.networks.darts.operations import FactorizedReduction, ReluConvNorm, SeparableBlock

Edge = tuple[str, int]
KERNELS = {"sep3": (3, 1), "sep5": (5, 1), "dil3": (3, 2), "dil5": (5, 2)}
"""Separable operations: kernel size and dilation."""


@dataclass(frozen=True)
class CellLayout:
    """Edges and shared widths of one kind of cell.

    ``edges[n]`` are the two edges (operation, source state) of node n + 2, in order; states 0 and 1 are the
    preprocessed outputs of the two cells before. ``width_of[s]`` is the entry of the cell's sizes that state s
    has: states that identity skips and pools join share an entry.
    """

    edges: tuple[tuple[Edge, Edge], ...]
    width_of: tuple[int, ...]

    @property
    def num_widths(self) -> int:
        """Entries of a cell's sizes."""
        return max(self.width_of) + 1

    @property
    def num_middles(self) -> int:
        """Separable convolutions of two blocks: each has a width in its middle."""
        return sum(op.startswith("sep") for node in self.edges for op, _ in node)


@dataclass(frozen=True)
class Genotype:
    """A network's two kinds of cells."""

    normal: CellLayout
    reduction: CellLayout


GENOTYPES = {
    "darts_v2": Genotype(
        CellLayout(
            (
                (("sep3", 0), ("sep3", 1)),
                (("sep3", 0), ("sep3", 1)),
                (("sep3", 1), ("skip", 0)),
                (("skip", 0), ("dil3", 2)),
            ),
            (0, 1, 2, 3, 0, 0),
        ),
        CellLayout(
            (
                (("max3", 0), ("max3", 1)),
                (("skip", 2), ("max3", 1)),
                (("max3", 0), ("skip", 2)),
                (("skip", 2), ("max3", 1)),
            ),
            (0, 0, 0, 0, 0, 0),
        ),
    ),
    "darts_plus": Genotype(
        CellLayout(
            (
                (("skip", 0), ("sep3", 1)),
                (("skip", 0), ("sep5", 2)),
                (("sep3", 1), ("sep3", 3)),
                (("sep3", 2), ("sep3", 4)),
            ),
            (0, 1, 0, 0, 2, 3),
        ),
        CellLayout(
            (
                (("max3", 0), ("skip", 1)),
                (("max3", 0), ("dil5", 2)),
                (("max3", 0), ("dil5", 3)),
                (("max3", 0), ("skip", 2)),
            ),
            (0, 1, 0, 0, 0, 0),
        ),
    ),
}
"""DARTS (second order) and DARTS+ (found on CIFAR-100) as CONet uses them."""


class Separable(nn.Module):
    """One separable block (dil) or two with a free width between them (sep); the first takes the stride."""

    def __init__(self, widths: list[int], kernel: int, dilation: int, stride: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            SeparableBlock(a, b, kernel, dilation, stride if i == 0 else 1, affine=True)
            for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply all blocks."""
        for block in self.blocks:
            x_nchw = block(x_nchw)
        return x_nchw


class ChannelCell(nn.Module):
    """Sums two edges at each of four nodes and concatenates the nodes.

    Args:
        layout: edges and shared widths.
        sizes: channel counts [layout.num_widths].
        middles: widths inside the separable convolutions, in the order of edges [layout.num_middles].
        in_channels: widths of the outputs of cells k-2 and k-1.
        reduction: edges from states 0 and 1 have stride 2.
        after_reduction: cell k-1 halved its maps, so input 0 is halved here.
    """

    def __init__(
        self,
        layout: CellLayout,
        sizes: list[int],
        middles: list[int],
        in_channels: tuple[int, int],
        reduction: bool,
        after_reduction: bool,
    ) -> None:
        super().__init__()
        self.layout = layout
        self.reduction = reduction
        width = [sizes[i] for i in layout.width_of]
        before = FactorizedReduction if after_reduction else ReluConvNorm
        self.preprocess0 = before(in_channels[0], width[0], affine=True)
        self.preprocess1 = ReluConvNorm(in_channels[1], width[1], affine=True)
        self.operations = nn.ModuleList()
        inner = iter(middles)
        for node, edges in enumerate(layout.edges, start=2):
            for op, source in edges:
                stride = 2 if reduction and source < 2 else 1
                middle = [next(inner)] if op.startswith("sep") else []
                self.operations.append(_operation(op, [width[source], *middle, width[node]], stride))

    @property
    def out_channels(self) -> int:
        """Width of the concatenated nodes."""
        sizes = self.sizes()
        return sum(sizes[i] for i in self.layout.width_of[2:])

    def sizes(self) -> list[int]:
        """Channel counts by entry, read off the live weights."""
        found: dict[int, int] = {}
        for state in (0, 1):
            entry = self.layout.width_of[state]
            found.setdefault(entry, _out_channels((self.preprocess0, self.preprocess1)[state]))
        for index, operation in enumerate(self.operations):
            if isinstance(operation, Separable):
                found.setdefault(self.layout.width_of[2 + index // 2], _out_channels(operation))
        return [found[entry] for entry in range(self.layout.num_widths)]

    def middles(self) -> list[int]:
        """Widths inside the separable convolutions, read off the live weights."""
        found = []
        for operation in self.operations:
            if isinstance(operation, Separable) and len(operation.blocks) == 2:
                first = operation.blocks[0]
                assert isinstance(first, SeparableBlock)
                found.append(first.pointwise.weight.shape[0])
        return found

    def forward(self, input0_nchw: Tensor, input1_nchw: Tensor, paths: DroppedPaths | None) -> Tensor:
        """Output of the cell; ``paths`` are what edges are cut for which images, None for no edge."""
        states = [self.preprocess0(input0_nchw), self.preprocess1(input1_nchw)]
        for node, edges in enumerate(self.layout.edges):
            pair = zip(self.operations[2 * node : 2 * node + 2], edges, strict=True)
            a, b = (self._edge(operation, states[source], paths) for operation, (_, source) in pair)
            states.append(a + b)
        return torch.cat(states[2:], dim=1)

    def _edge(self, operation: nn.Module, state_nchw: Tensor, paths: DroppedPaths | None) -> Tensor:
        value = operation(state_nchw)
        return value if paths is None or not is_dropped(operation) else paths(value)


def _operation(op: str, widths: list[int], stride: int) -> nn.Module:
    if op == "max3":
        return nn.MaxPool2d(3, stride, padding=1)
    if op == "skip":
        return nn.Identity() if stride == 1 else FactorizedReduction(widths[0], widths[-1], affine=True)
    return Separable(widths, *KERNELS[op], stride)


def _out_channels(module: nn.Module) -> int:
    """Width of what a preprocessing or separable operation writes: that of its last norm."""
    last = module.blocks[-1] if isinstance(module, Separable) else module
    norm = last.norm
    assert isinstance(norm, nn.BatchNorm2d)
    return norm.weight.shape[0]
