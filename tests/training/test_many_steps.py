"""Many steps in one launch, where networks train side by side, against the same steps one by one."""

import pytest
import torch
from algorithms.tiny import DENSENET_WITH_DROPOUT, tiny_dataset, tiny_engine
from training.replays import PretendedLane, pretended_captures
from training.test_cuda_graphs import RECIPE, assert_equal, epochs, everything

from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.training import Cursor, Network, OptimizerConfig, cuda_graphs
from growsearch.training.cuda_stream import NotCapturable

SEQUENTIAL = sequential_spec([4, 6], [10], (1, 8, 8), 10)
SGD = OptimizerConfig(lr=0.1, momentum=0.9)


@pytest.fixture
def lanes(monkeypatch):
    """Engines made in the test take three steps in a launch."""
    monkeypatch.setattr(cuda_graphs, "MANY", 3)
    monkeypatch.setattr(cuda_graphs, "WORTH_CAPTURING", 4)
    with pretended_captures(warm_ups=1) as lanes:
        yield lanes


def network(spec=SEQUENTIAL, id=0):
    return Network(id, build(spec, torch.Generator().manual_seed(1)), weights=SGD)


def several(count=2, **changes):
    engine = tiny_engine(**changes)
    engine.open_cuda_streams(count)
    return engine


def eager_engine(**changes):
    with pretended_captures(kind="eager"):
        return tiny_engine(**changes)


@pytest.mark.parametrize("train", [150, 145])  # nine batches and six images, or one, which goes with the batch before
def test_many_steps_in_one_launch_equal_single_ones_to_the_bit(train, lanes):
    engine, one, other = several(data=tiny_dataset(train)), network(), network()
    eager = eager_engine(data=tiny_dataset(train))
    alone = epochs(eager, one, Cursor(), count=3)
    assert epochs(engine, other, Cursor(), count=3) == alone
    assert_equal(one, other)
    assert one.steps == other.steps and vars(eager.work) == vars(engine.work)
    replays = sum(lane.replays for lane in lanes)
    assert replays <= 13  # 27 steps, most of them in threes
    assert engine.step(other, RECIPE).replays_of_many


def test_a_step_that_draws_random_numbers_stays_by_itself(lanes):
    one, other, engine = network(DENSENET_WITH_DROPOUT), network(DENSENET_WITH_DROPOUT), several()
    assert epochs(engine, other, Cursor()) == epochs(eager_engine(), one, Cursor())
    assert_equal(one, other)
    step = engine.step(other, RECIPE)
    assert step.replays and not step.replays_of_many


def test_rates_that_change_by_the_step_are_taken_one_by_one(lanes):
    one, other, engine = network(), network(), several()
    for at, net in ((eager_engine(), one), (engine, other)):
        for _ in at.epoch(net, Cursor(), RECIPE, 0.1, time_decay=0.1):
            pass
    assert_equal(one, other)
    assert not engine.step(other, RECIPE).replays_of_many


def test_one_network_alone_takes_single_steps(lanes):
    engine, net = tiny_engine(), network()
    epochs(engine, net, Cursor())
    assert not engine.step(net, RECIPE).replays_of_many


def test_few_steps_to_come_are_not_worth_a_capture_but_use_one(lanes, monkeypatch):
    engine, net, cursor = several(), network(), Cursor()
    monkeypatch.setattr(cuda_graphs, "WORTH_CAPTURING", 10)
    epochs(engine, net, cursor)
    step = engine.step(net, RECIPE)
    assert not step.replays_of_many
    monkeypatch.setattr(cuda_graphs, "WORTH_CAPTURING", 4)
    epochs(engine, net, cursor, count=1)
    before = sum(lane.replays for lane in lanes)
    monkeypatch.setattr(cuda_graphs, "WORTH_CAPTURING", 10)
    for _ in engine.epoch(net, cursor, RECIPE, 0.05, batches=3):
        pass
    assert sum(lane.replays for lane in lanes) == before + 1


def test_a_refused_launch_of_many_leaves_single_ones(lanes, monkeypatch):
    one, other, engine = network(), network(), several()
    capture = PretendedLane.capture

    def refuse(self, body):
        if self.captures:
            raise NotCapturable("too many nodes")
        return capture(self, body)

    monkeypatch.setattr(PretendedLane, "capture", refuse)
    assert epochs(engine, other, Cursor(), count=1) == epochs(eager_engine(), one, Cursor(), count=1)
    assert_equal(one, other)
    step = engine.step(other, RECIPE)
    assert step.replays and not step.replays_of_many and engine.notes == []


def test_a_loss_that_is_not_finite_within_a_launch_freezes_everything(lanes):
    engine, net, cursor = several(), network(), Cursor()
    images = engine.data.train.images = engine.data.train.images.float() / 255
    epoch = engine.epoch(net, cursor, RECIPE, 0.05)
    for _ in range(4):
        next(epoch)
    assert engine.step(net, RECIPE).replays_of_many
    before = {name: tensor.clone() for name, tensor in everything(net).items() if tensor.is_floating_point()}
    sums = cursor.sums.clone()
    images.fill_(torch.nan)
    next(epoch)
    assert cursor.outcome == "diverged"
    assert torch.equal(sums, cursor.sums)
    now = everything(net)
    assert not [name for name, tensor in before.items() if not torch.equal(tensor, now[name])]


def test_a_look_at_the_device_is_not_missed_by_a_launch_that_passes_it(lanes, monkeypatch):
    engine, net, looks = several(heartbeat=5), network(), []
    engine.device = torch.device("meta")  # no CPU, where the host looks after each step
    monkeypatch.setattr(Cursor, "sums", property(lambda self: torch.zeros(3), lambda self, value: None), raising=False)
    step = engine.step(net, RECIPE)
    monkeypatch.setattr(step, "take", lambda *args: 3)
    monkeypatch.setattr(step, "has_failed", lambda: looks.append(net.steps))
    for _ in range(6):
        engine.train_batch(net, Cursor(), RECIPE, 16)
    assert looks == [6, 12, 15]


def test_memory_given_back_is_that_of_many_steps_too(lanes):
    engine, net = several(), network()
    epochs(engine, net, Cursor(), count=1)
    assert engine.release_memory()
    step = engine.step(net, RECIPE)
    assert not step.replays and not step.replays_of_many


def test_weights_move_in_a_launch_as_often_as_it_has_steps(lanes):
    """The control: a launch of three is not one step."""
    engine, net, cursor = several(), network(), Cursor()
    epoch = engine.epoch(net, cursor, RECIPE, 0.05)
    used = []
    for _ in range(5):
        next(epoch)
        used.append(cursor.used)
    assert used == [16, 32, 80, 128, 144]
