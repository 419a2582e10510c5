import gc
from weakref import ref

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from growsearch.surgery import channel_groups
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


class Stream(nn.Module):
    """Each sum holds all those before it, since the first layer; what it gives comes from the last layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(3, 4).double(), nn.Linear(4, 2).double()
        self.alive: list[ref[Tensor]] = []

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        for _ in range(3):
            x = x + 1
            self.alive.append(ref(x))
        self.alive_then = sum(each() is not None for each in self.alive)
        return self.last(x).mul_(2).clamp(-1, 1)


def test_a_run_like_an_earlier_one_keeps_what_that_one_was_known_by_and_no_more() -> None:
    net, x = Stream(), torch.ones(2, 3, dtype=torch.float64)
    with torch.no_grad(), Rehearsal(net, 2) as all_of_it:
        out = net(x)
        behind = all_of_it.behind(out)
    assert len(behind) == 3 and net.alive_then == 3
    since = all_of_it.since([out])
    assert (since, all_of_it.layers) == (2, 2)
    net.alive.clear()
    with torch.no_grad(), Rehearsal(net, 2, since=since) as less:
        again = less.behind(net(x))
    assert net.alive_then == 1
    assert [each.tolist() for each in again] == [each.tolist() for each in behind]


WEIGHTS: list[ref[Tensor]] = []


class Circle(nn.Linear):
    """Holds itself by a bound method, so that a copy of it goes when the garbage collector looks; notes its weight."""

    def __init__(self, *sizes: int) -> None:
        super().__init__(*sizes)
        self.way = self.plain

    def plain(self, x: Tensor) -> Tensor:
        return super().forward(x)

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_meta:
            WEIGHTS.append(ref(self.weight))
        return self.way(x)


def test_copies_that_are_used_up_let_go_of_their_weights() -> None:
    WEIGHTS.clear()
    gc.disable()
    try:
        groups = channel_groups(
            nn.Sequential(Circle(3, 6), nn.LayerNorm(6), nn.ReLU(), nn.Linear(6, 2)), torch.zeros(4, 3)
        )
        alive = sum(each() is not None for each in WEIGHTS)
    finally:
        gc.enable()
    assert groups[0].unprunable is None and len(WEIGHTS) > 50 > 10 > alive


class ByChannels(nn.Module):
    """Looks at the places of as many channels as there are, which each time counts as a layer; clamps its output."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 1), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        self.most = [x.amax((2, 3)) for _ in range(x.shape[1])]
        return self.last(x.mean((2, 3))).clamp(-1, 1)


def test_a_network_that_runs_fewer_layers_when_it_is_cut_is_compared_as_far_back() -> None:
    groups = {group.name: group for group in channel_groups(ByChannels(), torch.zeros(2, 3, 4, 4))}
    assert groups["first"].frozen is None and groups["first"].unprunable is None


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


class DrawnPlaces(nn.Module):
    """Places look at what a layer norm leaves of the channels: were they drawn alike, none would show what."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Linear(3, 6), nn.Linear(6, 2)
        self.mean, self.norms = nn.Parameter(torch.zeros(1, 1, 6)), nn.ModuleList(nn.LayerNorm(6) for _ in range(2))
        self.query, self.key, self.value = (nn.Linear(6, 6, bias=False) for _ in range(3))
        self.cell = nn.GRUCell(6, 6)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norms[0](self.first(x))
        n, _, width = x.shape
        places = self.mean.expand(n, 3, -1) + torch.randn(n, 3, 1, dtype=x.dtype)
        for _ in range(2):
            query = self.query(self.norms[1](places))
            scores = torch.einsum("bid,bjd->bij", query, self.key(x)).softmax(1) + 1e-8
            seen = torch.einsum("bij,bjd->bid", scores / scores.sum(-1, keepdim=True), self.value(x))
            places = self.cell(seen.reshape(-1, width), places.reshape(-1, width)).reshape(n, -1, width)
        return self.head(places)


def test_draws_differ_from_place_to_place() -> None:
    group = next(each for each in channel_groups(DrawnPlaces().double(), torch.zeros(4, 5, 3).double()))
    assert group.frozen or group.step == group.size, "the cell would make another mean of new channels"


class NoiseOfHeldSizes(nn.Module):
    """Noise of so many numbers as it holds, which are as many as there are samples where channels were cut."""

    def __init__(self) -> None:
        super().__init__()
        self.width, self.first, self.second = 6, nn.Linear(3, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.second(h * torch.randn(self.width, dtype=x.dtype) + torch.randn(h.shape, dtype=x.dtype))


def test_draws_are_alike_for_all_channels() -> None:
    for batch in range(1, 7):
        first = channel_groups(NoiseOfHeldSizes().double(), torch.zeros(batch, 3).double())[0]
        assert (first.name, first.frozen) == ("first", None)
