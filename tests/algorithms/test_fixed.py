import pytest
import torch
from algorithms.chain import assert_chain_holds, run_through, runner_of
from algorithms.tiny import tiny_engine

from growsearch.algorithms.ectonas.pooling_config import PoolingTrialConfig
from growsearch.algorithms.fixed.config import FixedConfig
from growsearch.algorithms.fixed.search import Fixed
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.training.settings import TrainingSettings


def fixed(seed=0, engine=None, **settings):
    training = TrainingSettings(
        **{"epochs": 3, "batch_size": 32, "crop_padding": 1, "keep": "best_val_loss", **settings}
    )
    module = build(sequential_spec([4, 6], [10], (1, 8, 8), 10))
    return runner_of(Fixed, FixedConfig(training=training), engine or tiny_engine(seed), {"network": module})


def test_left_and_resumed_at_every_point_equals_uninterrupted():
    events = assert_chain_holds(fixed, steps=2)
    assert [e["kind"] for e in events] == ["phase", "epoch", "epoch", "epoch"]


def test_seeds_decide_everything():
    same, again, other = (run_through(fixed(seed))[0] for seed in (0, 0, 1))
    assert same == again
    assert same != other


def test_training_learns_and_keeps_the_best():
    algorithm = fixed(epochs=12, lr=0.1, schedule="cosine")
    events, _ = run_through(algorithm)
    events = events[1:]
    best = min(range(12), key=lambda e: events[e]["val_loss"])
    found = algorithm.outcome().found
    assert found.val_loss == events[best]["val_loss"]
    assert algorithm.bench.engine.evaluate(algorithm.outcome().best, "val").loss == found.val_loss
    assert events[-1]["train_loss"] < 0.7 * events[0]["train_loss"]


def test_interleaved_training_equals_one_after_another():
    def networks(order):
        engine = tiny_engine()
        runners = [fixed(engine=engine) for _ in range(2)]
        for number, runner in enumerate(runners):
            runner.begin()
            runner.bench.networks["0"].id = number
        runs = [runner.run() for runner in runners]
        for which in order:
            while next(runs[which]) is not None:
                pass
        return [runner.bench.networks["0"].module for runner in runners]

    apart, mixed = networks([0] * 6 + [1] * 6), networks([0, 1] * 6)
    for a, b in zip(apart, mixed, strict=True):
        assert all(torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters(), strict=True))


def test_caps_are_kept_or_refused():
    training = TrainingSettings(epochs=9)
    assert FixedConfig(max_epochs=2, training=training).training.epochs == 2
    with pytest.raises(UserError, match=r"algo\.max_seconds: 5"):
        FixedConfig(max_seconds=5)
    with pytest.raises(UserError, match=r"algo\.max_epochs: 3"):
        PoolingTrialConfig(max_epochs=3)
    module = build(sequential_spec([4], [10], (1, 8, 8), 10))
    with pytest.raises(UserError, match=r"algo\.max_params: 10"):
        runner_of(Fixed, FixedConfig(max_params=10), tiny_engine(), {"network": module}).begin()
