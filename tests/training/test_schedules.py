import math

import pytest
import torch

from growsearch.options import LARGEST_NUMBER
from growsearch.training.schedules import Constant, Cosine, Every, Fractions, Milestones, Restarts


def test_fractions_drop_with_the_epoch_they_name():
    rates = [Fractions(0.1).rate(e, 300) for e in (0, 149, 150, 224, 225, 299)]
    assert rates == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001, 0.001])


def test_milestones_and_every():
    assert [Milestones(1.0, (2, 4)).rate(e, 9) for e in range(6)] == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])
    assert [Every(1.0, 2).rate(e, 9) for e in range(6)] == pytest.approx([1, 1, 0.5, 0.5, 0.25, 0.25])
    assert Constant(0.3).rate(7, 9) == 0.3


@pytest.mark.parametrize("epochs", [1, 10, 15])
def test_cosine_equals_torchs(epochs):
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.025)
    theirs = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs, eta_min=0.01)
    for epoch in range(epochs):
        assert Cosine(0.025, 0.01).rate(epoch, epochs) == pytest.approx(optimizer.param_groups[0]["lr"])
        optimizer.step()
        theirs.step()


def test_cosine_restarts():
    schedule = Cosine(0.1, 0.0, period=5)
    assert schedule.rate(7, 20) == schedule.rate(2, 20) == pytest.approx(0.05 * (1 + math.cos(math.pi * 2 / 5)))


def test_a_restart_is_at_the_top_in_its_very_epoch():
    rates = [Restarts(0.1, 0.02, (1, 3)).rate(epoch, 7) for epoch in range(7)]
    parts = [(0, 1), (0, 2), (1, 2), (0, 4), (1, 4), (2, 4), (3, 4)]
    assert rates == pytest.approx([Cosine(0.1, 0.02).rate(epoch, length) for epoch, length in parts])


@pytest.mark.parametrize(
    "schedule", [Fractions(0.1, (0.1, 0.2), 3e38), Milestones(0.1, (1, 2), 1e30), Every(0.1, 1, 1e30)]
)
def test_a_rate_that_grows_stays_a_number_of_its_tensor(schedule):
    rates = [schedule.rate(epoch, 20) for epoch in range(20)]
    assert rates[0] == 0.1 and rates[-1] == LARGEST_NUMBER
    torch.zeros(()).fill_(rates[-1])
    assert Every(0.0, 1, 1e30).rate(19, 20) == 0.0
