"""An edge of the search network: a weighted sum of its own pool of candidates."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.operations import FactorizedReduction, SeparableStack
from growsearch.networks.darts.phases import PHASED_DILATION, join_phases
from growsearch.networks.darts.weighted import Weight, add_scaled, plus, weighted_reduction, weighted_stack

Pool = Sequence[tuple[int, Candidate]]
"""Candidates of an edge with their ids, which are theirs for a whole search, in ascending order."""


@dataclass(frozen=True)
class Source:
    """A state of a cell and what several edges need of it, computed once.

    Attributes:
        raw_nchw: the state.
        relu_nchw: after ReLU; the input of every conv.
        pooled_nchw: pooled and normalised maps by candidate label.
        phases_nchw: phases of ``relu_nchw``, where some edge makes use of them.
        sums_nchw: by node, the weighted sum of what the edge to it takes of shared maps.
        summed: labels of the candidates in these sums.
    """

    raw_nchw: Tensor
    relu_nchw: Tensor
    pooled_nchw: dict[str, Tensor]
    phases_nchw: Tensor | None = None
    sums_nchw: dict[int, Tensor] = field(default_factory=dict)
    summed: tuple[str, ...] = ()


class SearchEdge(nn.Module):
    """All candidates between two states; those that own weights are submodules named ``c<id>``."""

    def __init__(self, pool: Pool, source: int, channels: int, stride: int) -> None:
        super().__init__()
        self.pool = tuple(pool)
        self.source = source
        self.stride = stride
        self.has_phased = stride == 1 and any(_is_phased(candidate) for _, candidate in self.pool)
        for number, candidate in self.pool:
            if candidate.is_conv:
                self.add_module(f"c{number}", SeparableStack(candidate, channels, stride, affine=False))
            elif candidate.op == "skip" and stride == 2:
                self.add_module(f"c{number}", FactorizedReduction(channels, channels, affine=False))

    def forward(
        self, total: Tensor | None, source: Source, weights: Sequence[Weight], skip_dropout: Tensor | None
    ) -> Tensor | None:
        """Add this edge's candidates to a node's sum, except those that are in the source's sums.

        Args:
            total: the sum so far, N x C x H x W; None for nothing yet.
            source: the state the edge starts from.
            weights: one per candidate; entries beyond the pool are ignored.
            skip_dropout: rate of dropout behind a stride-1 skip, or None for none at all.
        """
        phases, phased = source.phases_nchw if self.has_phased else None, None
        for (number, candidate), weight in zip(self.pool, weights, strict=False):
            module = getattr(self, f"c{number}", None)
            if isinstance(module, SeparableStack) and phases is not None and _is_phased(candidate):
                phased = plus(phased, weighted_stack(module, phases, weight, phases=True))
            elif isinstance(module, SeparableStack):
                total = plus(total, weighted_stack(module, source.relu_nchw, weight))
            elif isinstance(module, FactorizedReduction):
                total = plus(total, weighted_reduction(module, source.relu_nchw, weight))
            elif candidate.label in source.summed:
                continue
            elif candidate.op == "pool":
                total = add_scaled(total, source.pooled_nchw[candidate.label], weight)
            elif candidate.op == "skip":
                value = source.raw_nchw if skip_dropout is None else self._dropped(source.raw_nchw, skip_dropout)
                total = add_scaled(total, value, weight)
        return total if phased is None else plus(total, join_phases(phased))

    def _dropped(self, x_nchw: Tensor, rate: Tensor) -> Tensor:
        if not self.training:
            return x_nchw
        return x_nchw * ((torch.rand_like(x_nchw) >= rate).to(x_nchw.dtype) / (1.0 - rate))


def _is_phased(candidate: Candidate) -> bool:
    return candidate.is_conv and candidate.dilation == PHASED_DILATION
