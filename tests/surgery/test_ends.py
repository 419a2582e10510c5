"""A factor that depends on a width is seen though it leads to the ends of a sigmoid, or stands beside large numbers."""

import pytest
import torch
from torch import Tensor, nn

from growsearch.surgery import channel_groups, widen

STEPS = torch.randn(3, 6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Recurrent(nn.Module):
    """Rectified states grow from step to step, and what reads them is at its ends."""

    def __init__(self) -> None:
        super().__init__()
        self.states = nn.RNN(5, 7, nonlinearity="relu", batch_first=True, num_layers=2)
        self.scaled, self.last = nn.Linear(7, 8), nn.Linear(8, 2)

    def gate(self, h: Tensor) -> Tensor:
        return h.tanh()

    def forward(self, x: Tensor) -> Tensor:
        h = self.scaled(self.states(x)[0])
        return self.last(self.gate(h * h.shape[-1]))


class Shut(Recurrent):
    def gate(self, h: Tensor) -> Tensor:
        return h.sigmoid()


class Chosen(Recurrent):
    """One of three layers is chosen all but hard."""

    def __init__(self) -> None:
        super().__init__()
        self.route = nn.Linear(8, 3)
        self.ways = nn.ModuleList(nn.Linear(8, 8) for _ in range(3))

    def gate(self, h: Tensor) -> Tensor:
        shares = (1e4 * self.route(h)).softmax(-1)
        return sum(shares[..., index, None] * way(h.tanh()) for index, way in enumerate(self.ways))


class BesideLarge(nn.Module):
    """Blocks without norms, each of which makes the stream larger, and a small part that is put beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.scaled, self.last = nn.Linear(5, 6), nn.Linear(5, 8), nn.Linear(14, 2)
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 7), nn.ReLU(), nn.Linear(7, 6)) for _ in range(10))

    def forward(self, x: Tensor) -> Tensor:
        h, y = self.first(x), self.scaled(x).relu()
        for block in self.blocks:
            h = h + 30 * block(h)
        return self.last(torch.cat([h, y / y.shape[-1]], -1))


@pytest.mark.parametrize("kind", [Recurrent, Shut, Chosen, BesideLarge])
def test_a_factor_by_the_width_is_seen(kind):
    torch.manual_seed(0)
    (scaled,) = (group for group in channel_groups(kind().double(), STEPS) if group.name == "scaled")
    assert scaled.frozen == "its output changes when it is widened"


class Projected(nn.Module):
    """States of a recurrence that a projection reads; its gates are no queries and keys."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.states = nn.Linear(5, 6), nn.RNN(6, 7, nonlinearity="relu", num_layers=2)
        self.gated, self.last = nn.LSTM(7, 8, proj_size=4, bidirectional=True), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        h, (hidden, cells) = self.gated(self.states(self.first(x.transpose(0, 1)))[0])
        return self.last(h[-1]), hidden, cells.sum()


def test_gates_at_their_ends_are_not_taken_for_keys():
    torch.manual_seed(0)
    model = Projected().double()
    groups = channel_groups(model, STEPS)
    before = model(STEPS)
    for group in groups:
        if group.frozen is None:
            widen(model, group, group.size + group.step)
    for old, new in zip(before, model(STEPS), strict=True):
        torch.testing.assert_close(new, old, rtol=1e-9, atol=1e-9)


class Weighted(nn.Module):
    """Shares of neighbours, which are no numbers where the sum of weights is below zero."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(5, 6), nn.Linear(6, 2)

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        root = weights.sum(-1, keepdim=True).rsqrt()
        return self.last((root * weights * root.transpose(1, 2)) @ self.first(x).relu())


def test_inputs_above_zero_stay_so_where_others_give_no_numbers():
    weights = torch.rand(3, 6, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (first,) = (group for group in channel_groups(Weighted().double(), (STEPS, weights)) if group.name == "first")
    assert first.frozen is None and first.unprunable is None
    (first,) = (group for group in channel_groups(Weighted().double(), (STEPS, weights - 1)) if group.name == "first")
    assert first.frozen == "its output is not a number for random weights and inputs"
