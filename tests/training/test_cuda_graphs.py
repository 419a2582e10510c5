"""Captured steps: the parts that a CPU can show. What only a GPU can is in tests/gpu."""

import pytest
import torch
from algorithms.tiny import tiny_dataset, tiny_engine
from torch import nn
from training.replays import pretended_captures

from growsearch.data.augment import Augmentation
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe, set_drop_path
from growsearch.training import engine as engine_module
from growsearch.training import step as step_module
from growsearch.training.cuda_graphs import WARM_UPS
from growsearch.training.cuda_stream import NotCapturable
from growsearch.training.loader import Loader

SGD = OptimizerConfig(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
ADAM = OptimizerConfig(kind="adam", lr=1e-3, betas=(0.5, 0.999))
RECIPE = Recipe(batch_size=16, clip=1.0, augmentation=Augmentation(crop_padding=1))


@pytest.fixture
def cuda_streams():
    """Engines made in the test capture, where a GPU would, unless they are told ``eager``."""
    with pretended_captures() as cuda_streams:
        yield cuda_streams


@pytest.fixture
def eager():
    return tiny_engine()


def network(config=SGD, id=0):
    return Network(id, build(sequential_spec([4, 6], [10], (1, 8, 8), 10)), weights=config)


def epochs(engine, net, cursor, recipe=RECIPE, count=2, lr=0.05):
    stats = []
    for _ in range(count):
        epoch = engine.epoch(net, cursor, recipe, lr)
        while True:
            try:
                next(epoch)
            except StopIteration as end:
                stats.append(end.value)
                break
        cursor.next_pass()
    return stats


def everything(net):
    tensors = dict(net.module.state_dict())
    for role, states in net.optimizer_tensors().items():
        tensors |= {f"{role}/{name}/{q}": t for name, state in states.items() for q, t in state.items()}
    return tensors


def assert_equal(one, other):
    ours, theirs = everything(one), everything(other)
    assert ours.keys() == theirs.keys()
    assert not [name for name, tensor in ours.items() if not torch.equal(tensor, theirs[name])]


@pytest.mark.parametrize("config", [SGD, ADAM])
def test_replays_equal_eager_steps_to_the_bit(config, eager, cuda_streams):
    engine = tiny_engine()
    one, other = network(config), network(config)
    assert epochs(eager, one, Cursor()) == epochs(engine, other, Cursor())
    assert_equal(one, other)
    (cuda_stream,) = cuda_streams
    assert cuda_stream.captures == 1  # 150 images: nine whole batches, and one of six that is taken eagerly
    assert cuda_stream.replays == 2 * 9 - WARM_UPS


class Decoded:
    """Stands where pictures are decoded when a batch is asked for, each batch once and in order."""

    def __init__(self, images):
        self.images, self.shape, self.device = images, images.shape, images.device
        self.asked = []

    def dim(self):
        return 4

    def to(self, device):
        return self

    def index_select(self, dim, rows):
        self.asked += rows.tolist()
        return self.images.index_select(dim, rows)


def test_pictures_that_are_decoded_batch_by_batch_are_captured_too(eager, cuda_streams):
    data = tiny_dataset()
    pictures = Decoded(data.train.images)
    data.train.images = pictures
    engine = tiny_engine(data=data)
    one, other = network(), network()
    assert epochs(eager, one, Cursor()) == epochs(engine, other, Cursor())
    assert_equal(one, other)
    assert cuda_streams[0].replays == 2 * 9 - WARM_UPS and engine.notes == []
    assert len(pictures.asked) == 2 * len(data.train)


def test_a_resumed_stream_ends_the_same(cuda_streams):
    engine, again = tiny_engine(), tiny_engine()
    one, other, cursor, resumed = network(), network(), Cursor(), Cursor()
    for _ in range(12):
        engine.train_batch(one, cursor, RECIPE, 16)
    for step in range(12):
        if step in (3, 7, 8):  # as if a fresh process went on
            again._steps.clear()
        again.train_batch(other, resumed, RECIPE, 16)
    assert_equal(one, other)


def test_a_replay_keeps_all_addresses(cuda_streams):
    engine, net, cursor = tiny_engine(), network(), Cursor()

    def take():
        engine.train_batch(net, cursor, RECIPE, 16)
        return engine.step(net, RECIPE)

    for _ in range(WARM_UPS + 1):
        step = take()

    (replay,) = step.replays.values()

    def addresses():
        tensors = {
            **everything(net),
            **{f"rate {i}": group["lr"] for i, group in enumerate(step.optimizer.param_groups)},
            **{f"copy {i}": tensor for i, tensor in enumerate(step.statistics._copies)},
            "failed": step.failed,
            "rows": replay.reads[0],
            "sums": replay.sums,
        }
        return {name: tensor.data_ptr() for name, tensor in tensors.items()}

    before = addresses()
    net.set_rate(0.01)
    for _ in range(5):
        assert take().replayed
    assert addresses() == before


def test_rates_are_read_anew_by_each_replay(cuda_streams):
    engine, net, cursor = tiny_engine(), network(OptimizerConfig(momentum=0.0)), Cursor()
    for _ in range(WARM_UPS + 1):
        engine.train_batch(net, cursor, RECIPE, 16)
    before = [p.clone() for p in net.module.parameters()]
    net.set_rate(0.0)
    engine.train_batch(net, cursor, RECIPE, 16)
    assert engine.step(net, RECIPE).replayed
    assert all(torch.equal(a, b) for a, b in zip(before, net.module.parameters(), strict=True))


def test_a_structural_change_ends_a_capture(cuda_streams):
    engine, net, cursor = tiny_engine(), network(), Cursor()
    for _ in range(WARM_UPS + 1):
        engine.train_batch(net, cursor, RECIPE, 16)
    old = engine.step(net, RECIPE)
    net.settle()
    engine.train_batch(net, cursor, RECIPE, 16)
    new = engine.step(net, RECIPE)
    assert new is not old
    assert not new.replayed
    for _ in range(WARM_UPS):
        engine.train_batch(net, cursor, RECIPE, 16)
    assert engine.step(net, RECIPE).replayed
    assert cuda_streams[0].captures == 2


def test_a_batch_that_grew_is_captured_at_its_new_size_and_the_gauge_reads_eager_steps(cuda_streams):
    readings = iter([0.2, 0.3, 0.4, 0.5])
    engine, net, cursor = tiny_engine(), network(), Cursor()
    engine.gauge = lambda: next(readings)
    uses = []
    for size in (16, 32):
        for _ in range(WARM_UPS):
            engine.train_batch(net, cursor, RECIPE, size)
        uses.append(engine.memory_use())
        for _ in range(2):
            engine.train_batch(net, cursor, RECIPE, size)
            assert engine.step(net, RECIPE).replayed
        uses.append(engine.memory_use())
        assert engine.release_memory()
        assert not engine.step(net, RECIPE).replays
    assert not engine.release_memory()
    assert uses == [0.2, 0.0, 0.4, 0.0]
    assert cuda_streams[0].captures == 2


def test_drop_path_is_left_out_while_its_probability_is_zero(eager, cuda_streams, monkeypatch):
    spec = {"family": "darts", "genotype": "DL1", "channels": 2, "layers": 3, "in_channels": 1}
    recipe = Recipe(batch_size=16)

    def trained(engine):
        net, cursor = Network(0, build(spec, torch.Generator().manual_seed(0)), weights=SGD), Cursor()
        engine.place(net)
        for probability in (0.0, 0.3, 0.0):
            set_drop_path(net, probability)
            epochs(engine, net, cursor, recipe, count=1, lr=0.01)  # at 0.05 rounding grows to 0.3 in an epoch
            assert net.module.drops_paths
        return net

    every = trained(eager)
    assert_equal(every, trained(tiny_engine()))
    assert cuda_streams[0].captures == 1  # on a CPU none is left out
    monkeypatch.setattr(step_module, "pays", lambda probability: True)
    some = trained(eager)
    assert_equal(some, trained(tiny_engine()))
    assert cuda_streams[1].captures == 2  # without paths, and with them
    for ours, theirs in zip(everything(every).values(), everything(some).values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)


class ReadsBack(nn.Module):
    """A network that looks at its own data, as no graph can."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 10)

    def forward(self, x):
        return self.layer(x.flatten(1)) * (1.0 if x.sum().item() > 0 else 2.0)


def test_a_step_that_makes_the_host_wait_stays_eager_and_says_so_once(cuda_streams):
    engine, cursor = tiny_engine(), Cursor()
    net = Network(3, ReadsBack(), weights=SGD)
    for _ in range(WARM_UPS + 4):
        engine.train_batch(net, cursor, RECIPE, 16)
    assert cuda_streams[0].captures == 0
    (note,) = engine.notes
    assert "network 3" in note
    assert "_local_scalar_dense" in note


def test_a_capture_that_is_refused_leaves_no_trace_but_a_note(eager, cuda_streams):
    engine = tiny_engine()

    def refuse(body):
        raise NotCapturable("operation not permitted")

    cuda_streams[0].capture = refuse
    one, other = network(), network()
    assert epochs(eager, one, Cursor()) == epochs(engine, other, Cursor())
    assert_equal(one, other)
    assert engine.notes == [
        "steps of network 0 are not captured but taken one operation at a time: operation not permitted"
    ]


def test_a_capture_without_room_falls_back_to_eager_steps(eager, cuda_streams):
    engine = tiny_engine()

    def full(body):
        raise torch.OutOfMemoryError("CUDA out of memory")

    cuda_streams[0].capture = full
    one, other = network(), network()
    assert epochs(eager, one, Cursor()) == epochs(engine, other, Cursor())
    assert_equal(one, other)
    assert engine.divisors == {"training": 1, "evaluation": 1}
    assert engine.notes == [
        "steps of network 0 are not captured but taken one operation at a time: memory ran out while they were captured"
    ]


def test_a_tensor_that_moved_after_a_capture_is_seen_to_be_stale(eager, cuda_streams):
    """The control of the others: a replay works on the tensors that it was captured with."""
    engine = tiny_engine()
    one, other = network(), network()
    for at, net in ((eager, one), (engine, other)):
        cursor = Cursor()
        for step in range(WARM_UPS + 4):
            if step == WARM_UPS + 2:
                for parameter in net.module.parameters():
                    parameter.data = parameter.data.clone()
            at.train_batch(net, cursor, RECIPE, 16)
    with pytest.raises(AssertionError):
        assert_equal(one, other)


def test_statistics_are_put_back_within_the_step_that_failed(cuda_streams):
    engine, net, cursor = tiny_engine(), network(), Cursor()
    for _ in range(WARM_UPS + 2):
        engine.train_batch(net, cursor, RECIPE, 16)
    before = {name: t.clone() for name, t in everything(net).items() if t.is_floating_point()}
    images = engine.data.train.images
    engine.data.train.images = images.float() / 0
    engine._loaders.clear()
    engine._steps.clear()
    for _ in range(WARM_UPS + 2):
        engine.train_batch(net, cursor, RECIPE, 16)
    assert cursor.outcome == "diverged"
    now = everything(net)
    assert not [name for name, tensor in before.items() if not torch.equal(tensor, now[name])]


def test_a_step_goes_with_its_network(cuda_streams):
    engine, net, cursor = tiny_engine(), network(), Cursor()
    engine.train_batch(net, cursor, RECIPE, 16)
    assert len(engine._steps) == 1
    del net
    assert len(engine._steps) == 0


def test_capturing_on_a_cpu_is_refused():
    with pytest.raises(UserError, match=r"hardware\.step: captured is not accepted"):
        tiny_engine(data=tiny_dataset(), step="captured")
    with pytest.raises(UserError, match=r"hardware\.step: 'fast' is not accepted"):
        tiny_engine(step="fast")


def test_an_evaluation_without_room_gets_what_captures_hold(cuda_streams, monkeypatch):
    engine, net, cursor = tiny_engine(), network(), Cursor()
    evaluate, tries = engine_module.evaluate, []

    def full(*args):
        tries.append(args[2].position)
        if engine.step(net, RECIPE).replays:
            args[2].position = 40  # it fails on the way
            raise torch.OutOfMemoryError("CUDA out of memory")
        return evaluate(*args)

    monkeypatch.setattr(engine_module, "evaluate", full)
    for _ in range(WARM_UPS + 1):
        engine.train_batch(net, cursor, RECIPE, 16)
    assert engine.evaluate(net).images == 60
    assert tries == [0, 0]
    assert not engine.step(net, RECIPE).replays


def test_networks_side_by_side_get_streams_by_turns_and_keep_their_loaders(cuda_streams, monkeypatch):
    made, init = [], Loader.__init__

    def noted(self, *args, **kwargs):
        made.append(args[4])
        init(self, *args, **kwargs)

    monkeypatch.setattr(Loader, "__init__", noted)
    engine, several = tiny_engine(), 20
    engine.open_cuda_streams(several)
    nets, cursors = [network(id=several * id) for id in range(several)], [Cursor() for _ in range(several)]
    for _ in range(2):
        for net, cursor in zip(nets, cursors, strict=True):
            engine.train_batch(net, cursor, RECIPE, 16)
            engine.evaluate(net)
    assert len({engine._cuda_stream(net) for net in nets}) == several
    assert len(made) == 2 * several  # one to train with and one for evaluations
