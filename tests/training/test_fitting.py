import pytest
import torch
from algorithms.tiny import tiny_engine
from torch import nn

from growsearch.events import Epoch
from growsearch.surgery.initialise import library_
from growsearch.training import FitPlan, FitState, Network, OptimizerConfig, Recipe, fit
from growsearch.training.fitting import is_better
from growsearch.training.schedules import Constant


class Watched(nn.Module):
    """One dense layer that remembers the drop-path probability of every step."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(64, 10)
        self.register_buffer("drop_path", torch.zeros(()), persistent=False)
        self.seen = []

    def forward(self, x):
        if self.training:
            self.seen.append(self.drop_path.item())
        return self.dense(x.flatten(1))


def network():
    module = Watched()
    library_(module.dense, torch.Generator().manual_seed(0))
    return Network(0, module, weights=OptimizerConfig(lr=0.1))


def test_drop_path_grows_from_zero_and_reaches_its_value_one_epoch_after_the_last():
    net, plan = network(), FitPlan(4, Recipe(batch_size=150, drop_path=0.4), Constant(0.1))
    list(fit(tiny_engine(), net, FitState(), plan))
    assert net.module.seen == pytest.approx([0.0, 0.1, 0.2, 0.3])


def test_rates_decay_from_the_first_step_and_the_last_steps_is_told():
    net, engine, used = network(), tiny_engine(), []
    plan = FitPlan(2, Recipe(batch_size=50), Constant(0.1), time_decay=1.0)
    told = []
    for event in fit(engine, net, FitState(), plan):
        if isinstance(event, Epoch):
            told.append(event.lr)
        else:
            used.append(net.optimizer().param_groups[0]["lr"].item())
    assert used == pytest.approx([0.1 / (1 + step) for step in range(6)])
    assert told == pytest.approx([used[2], used[5]])


@pytest.mark.parametrize("keep", ["best_val_loss", "best_val_accuracy"])
def test_ties_keep_the_earlier_epoch(keep):
    assert not is_better([[0.5, 0.9], [0.5, 0.9]], 0, keep)
    assert is_better([[0.5, 0.9], [0.4, 0.95]], 0, keep)
    assert not is_better([[0.5, 0.9], [float("nan"), 0.9]], 0, keep)


def test_as_many_last_epochs_as_asked_for_look_at_the_test_split():
    net, engine, state = network(), tiny_engine(), FitState()
    seen = []
    for event in fit(engine, net, state, FitPlan(4, Recipe(batch_size=50), Constant(0.1), test_last=2)):
        seen += [len(state.test)] if isinstance(event, Epoch) else []
    assert seen == [0, 0, 1, 2]
    assert state.test[-1] == engine.evaluate(net, "test").accuracy
