import gc
from weakref import ref

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from growsearch.surgery.rehearsal import Rehearsal, own_streams, without_dropout


def _overwritten_in_part(alive: "list[ref[Tensor]]") -> tuple[Tensor, list[Tensor]]:
    """What is overwritten part by part, was computed from what ``alive`` notes."""
    with torch.no_grad(), Rehearsal(nn.Identity(), 2) as rehearsal:
        first = torch.ones(2, 8, dtype=torch.float64) * 2
        alive.append(ref(first))
        mask = first + 1
        mask[:, 3:5] = 5.0
        mask[:, 5:7] = 7.0
        out = (first + mask).flatten(1)
        out.relu_()
        return out, rehearsal.behind(out)


def test_a_run_leaves_nothing_behind_once_its_outputs_are_gone() -> None:
    alive: list[ref[Tensor]] = []
    out, behind = _overwritten_in_part(alive)
    assert any(torch.equal(each, torch.full((2, 8), 2.0, dtype=torch.float64)) for each in behind)
    assert alive[0]() is not None
    del out, behind
    gc.collect()
    assert alive[0]() is None


@pytest.mark.parametrize("chance", [0.0, 0.5])
def test_an_attention_calls_for_dropout_where_it_drops_something(chance: float) -> None:
    x = torch.randn(2, 1, 4, 4, generator=torch.Generator().manual_seed(0))
    with without_dropout(nn.Identity()) as watch:
        found = scaled_dot_product_attention(x, x, x, dropout_p=chance)
    assert watch.met == (chance > 0)
    assert torch.equal(found, scaled_dot_product_attention(x, x, x))


def test_own_streams_begin_alike_and_leave_the_callers() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    with own_streams():
        first = torch.rand(2)
    with own_streams():
        assert torch.equal(torch.rand(2), first)
    assert torch.equal(torch.rand(2), expected)
