"""An edge of the search network: a weighted sum of its own pool of candidates."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.operations import FactorizedReduction, SeparableStack
from growsearch.networks.darts.phases import PHASED_DILATION, join_phases
from growsearch.networks.darts.weighted import Weight, add_scaled, weighted_reduction, weighted_stack

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
    """

    raw_nchw: Tensor
    relu_nchw: Tensor
    pooled_nchw: dict[str, Tensor]
    phases_nchw: Tensor | None = None


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
        """Add this edge's candidates to a node's sum.

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
                value = weighted_stack(module, phases, weight, phases=True)
                phased = value if phased is None else phased + value
            elif isinstance(module, SeparableStack):
                value = weighted_stack(module, source.relu_nchw, weight)
                total = value if total is None else total + value
            elif isinstance(module, FactorizedReduction):
                value = weighted_reduction(module, source.relu_nchw, weight)
                total = value if total is None else total + value
            elif candidate.op == "pool":
                total = add_scaled(total, source.pooled_nchw[candidate.label], weight)
            elif candidate.op == "skip":
                value = source.raw_nchw if skip_dropout is None else self._dropped(source.raw_nchw, skip_dropout)
                total = add_scaled(total, value, weight)
        if phased is not None:
            value = join_phases(phased)
            total = value if total is None else total + value
        return total

    def _dropped(self, x_nchw: Tensor, rate: Tensor) -> Tensor:
        if not self.training:
            return x_nchw
        return x_nchw * ((torch.rand_like(x_nchw) >= rate).to(x_nchw.dtype) / (1.0 - rate))


def _is_phased(candidate: Candidate) -> bool:
    return candidate.is_conv and candidate.dilation == PHASED_DILATION
