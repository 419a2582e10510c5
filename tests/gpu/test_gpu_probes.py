"""Probes whose linear algebra stays on a GPU."""

import pytest
import torch

from growsearch.probes.rank import rank_metrics_of

pytestmark = pytest.mark.gpu

SHAPES = [(64, 32, 3, 3), (64, 64, 3, 3), (64, 32, 3, 3), (32, 64, 1, 1), (48, 1, 3, 3)]


@pytest.mark.parametrize("transpose", [True, False])
def test_rank_metrics_are_those_of_a_cpu(transpose):
    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=draw) for shape in SHAPES]
    here = rank_metrics_of(weights, transpose=transpose)
    there = rank_metrics_of([weight.cuda() for weight in weights], transpose=transpose)
    for ours, theirs in zip(here, there, strict=True):
        assert vars(ours) == pytest.approx(vars(theirs), rel=1e-8, abs=1e-8)
