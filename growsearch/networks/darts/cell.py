"""A cell of the evaluation network: the kept edges of a genotype."""

import torch
from torch import Tensor, nn

from growsearch.networks.darts.dropped_paths import DroppedPaths, is_dropped
from growsearch.networks.darts.genotype import CellGenotype
from growsearch.networks.darts.operations import FactorizedReduction, ReluConvNorm, operation


class Cell(nn.Module):
    """Brings both inputs to ``channels``, sums each node's edges, concatenates nodes (or averages them).

    Args:
        genotype: its edges and output.
        channels: width C of every node.
        in_channels: widths of the outputs of cell k-2 and cell k-1.
        reduction: edges from the two inputs have stride 2.
        after_reduction: cell k-1 halved its maps, so input 0 is halved here.
        output: ``concat`` of nodes, or their ``mean``.
    """

    def __init__(
        self,
        genotype: CellGenotype,
        channels: int,
        in_channels: tuple[int, int],
        reduction: bool,
        after_reduction: bool,
        output: str,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.output = output
        before = FactorizedReduction if after_reduction else ReluConvNorm
        self.preprocess0 = before(in_channels[0], channels, affine=True)
        self.preprocess1 = ReluConvNorm(in_channels[1], channels, affine=True)
        self.operations = nn.ModuleList(
            operation(edge.candidate, channels, 2 if reduction and edge.input < 2 else 1, affine=True)
            for edge in genotype.edges
        )

    def forward(self, input0_nchw: Tensor, input1_nchw: Tensor, paths: DroppedPaths | None) -> Tensor:
        """Output of the cell; ``paths`` are what edges are cut for which images, None for no edge."""
        states = [self.preprocess0(input0_nchw), self.preprocess1(input1_nchw)]
        nodes: list[Tensor | None] = [None] * self.genotype.num_nodes
        for edge, module in zip(self.genotype.edges, self.operations, strict=True):
            while len(states) < edge.node + 2:
                states.append(_computed(nodes[len(states) - 2]))
            value = module(states[edge.input])
            if paths is not None and is_dropped(module):
                value = paths(value)
            partial = nodes[edge.node]
            nodes[edge.node] = value if partial is None else partial + value
        states.extend(_computed(node) for node in nodes[len(states) - 2 :])
        outputs = [states[i] for i in self.genotype.concat]
        return torch.cat(outputs, dim=1) if self.output == "concat" else torch.stack(outputs).mean(0)


def _computed(node: Tensor | None) -> Tensor:
    assert node is not None, "a genotype's nodes all have edges"
    return node
