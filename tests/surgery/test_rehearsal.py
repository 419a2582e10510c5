import gc
from weakref import ref

import torch
from torch import Tensor, nn

from growsearch.surgery.rehearsal import Rehearsal


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
