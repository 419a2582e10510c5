"""Steps replayed as CUDA graphs against the same steps taken operation by operation."""

import pytest
import torch
from algorithms.tiny import DENSENET_WITH_DROPOUT, tiny_dataset, tiny_engine
from torch import nn

from growsearch.data.augment import Augmentation
from growsearch.data.dataset import Split
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.surgery import channel_groups, widen
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe, cuda_graphs
from growsearch.training.cuda_graphs import WARM_UPS

pytestmark = pytest.mark.gpu

SGD = OptimizerConfig(lr=0.05, momentum=0.9, nesterov=True, weight_decay=1e-4)
ADAM = OptimizerConfig(kind="adam", lr=1e-3, betas=(0.5, 0.999))
RECIPE = Recipe(batch_size=16, clip=1.0, augmentation=Augmentation(crop_padding=1))
SPECS = {
    "sequential": sequential_spec([4, 6], [10], (1, 8, 8), 10),
    "densenet with dropout": DENSENET_WITH_DROPOUT,
}


def engine(step, **more):
    return tiny_engine(device="cuda", step=step, **more)


def placed(on, spec, config=SGD, id=0):
    network = Network(id, build(spec, torch.Generator().manual_seed(1)), weights=config)
    on.place(network)
    return network


def train(on, network, cursor, steps, size=16, recipe=RECIPE):
    network.module.train()
    for _ in range(steps):
        on.train_batch(network, cursor, recipe, size)


def assert_close(one, other):
    for (name, ours), theirs in zip(one.module.state_dict().items(), other.module.state_dict().values(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("layout", ["contiguous", "channels_last"])
@pytest.mark.parametrize("config", [SGD, ADAM], ids=["sgd", "adam"])
@pytest.mark.parametrize("name", SPECS)
def test_replays_equal_eager_steps(name, config, layout, precision):
    """Dropout included: a replay draws what the eager step of that number draws."""
    cursors, networks = [], []
    for kind in ("eager", "captured"):
        on = engine(kind, layout=layout, precision=precision)
        network, cursor = placed(on, SPECS[name], config), Cursor()
        train(on, network, cursor, WARM_UPS + 6)
        assert on.step(network, RECIPE).replayed == (kind == "captured")
        assert on.notes == []
        networks.append(network)
        cursors.append(cursor)
    assert_close(*networks)
    torch.testing.assert_close(*(cursor.sums for cursor in cursors), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("precision", ["float32", "bf16"])
@pytest.mark.parametrize("name", SPECS)
def test_replays_of_compiled_passes_equal_eager_steps_to_rounding(name, precision):
    """And a process that begins anew, as a resumed run does, has them to the bit."""
    ends = []
    for kind in ("eager", "fused", "fused"):
        on = engine(kind, layout="auto", precision=precision)
        network, cursor = placed(on, SPECS[name]), Cursor()
        assert (network.layout == torch.channels_last) == (precision == "bf16")
        train(on, network, cursor, WARM_UPS + 6)
        assert on.step(network, RECIPE).replayed == (kind == "fused")
        assert on.notes == []
        ends.append(network.module.state_dict())
    rough = {"rtol": 1e-3, "atol": 1e-4} if precision == "float32" else {"rtol": 0.1, "atol": 0.02}
    for name in ends[0]:
        torch.testing.assert_close(ends[0][name], ends[1][name], **rough, msg=lambda text, name=name: f"{name}: {text}")
        assert torch.equal(ends[1][name], ends[2][name]), name


def test_a_capture_leaves_no_trace():
    on = engine("captured")
    network, cursor = placed(on, SPECS["sequential"]), Cursor()
    train(on, network, cursor, WARM_UPS)
    step = on.step(network, RECIPE)
    loader = on.loader(network, cursor, RECIPE.augmentation)

    def everything():
        state = [t for s in step.optimizer.state.values() for t in s.values()]
        return [*network.module.state_dict().values(), *state, cursor.sums, step.failed]

    before = [tensor.clone() for tensor in everything()]
    assert step._capture(loader, (cursor.split, 16, True), (loader._plan.table[:16],)) is not None
    assert all(torch.equal(a, b) for a, b in zip(before, everything(), strict=True))
    assert all(p.grad is None for p in network.module.parameters())


def test_the_host_waits_for_nothing_between_heartbeats():
    """Across the end of a pass too, where the next one is drawn and copied."""
    on = engine("captured", heartbeat=10_000)
    network, cursor = placed(on, SPECS["densenet with dropout"]), Cursor()
    train(on, network, cursor, WARM_UPS + 1)
    torch.cuda.set_sync_debug_mode("error")
    try:
        train(on, network, cursor, 20)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert cursor.passes == 2
    assert on.step(network, RECIPE).replayed


def test_an_edit_is_followed_by_a_new_capture():
    networks = []
    for kind in ("eager", "captured"):
        on = engine(kind)
        network, cursor = placed(on, SPECS["sequential"]), Cursor()
        for size in (6, 9):
            train(on, network, cursor, WARM_UPS + 3)
            assert on.step(network, RECIPE).replayed == (kind == "captured")
            example = torch.zeros(2, 1, 8, 8, device=on.device)
            group = next(g for g in channel_groups(network.module, example) if not g.frozen)
            widen(network.module, group, size, generator=torch.Generator().manual_seed(size))
            network.settle()
            assert not on.step(network, RECIPE).replayed
        train(on, network, cursor, WARM_UPS + 3)
        networks.append(network)
    assert_close(*networks)


def test_rates_and_probabilities_are_read_anew():
    on = engine("captured")
    network, cursor = placed(on, SPECS["sequential"], OptimizerConfig(momentum=0.0)), Cursor()
    train(on, network, cursor, WARM_UPS + 1)
    before = [p.clone() for p in network.module.parameters()]
    network.set_rate(0.0)
    train(on, network, cursor, 1)
    assert on.step(network, RECIPE).replayed
    assert all(torch.equal(a, b) for a, b in zip(before, network.module.parameters(), strict=True))


def test_a_loss_that_is_not_finite_freezes_everything():
    data = tiny_dataset()
    data.train = Split(data.train.images.float() / 255, data.train.labels)
    on = tiny_engine(data=data, device="cuda", step="captured", heartbeat=4)
    network, cursor = placed(on, SPECS["sequential"]), Cursor()
    train(on, network, cursor, 8)
    assert on.step(network, RECIPE).replayed
    floats = {n: t.clone() for n, t in network.module.state_dict().items() if t.is_floating_point()}
    sums = cursor.sums.clone()
    on.data.train.images.fill_(torch.nan)  # in place: the graph reads it there
    train(on, network, cursor, 4)
    assert cursor.outcome == "diverged"
    now = network.module.state_dict()
    assert all(torch.equal(tensor, now[name]) for name, tensor in floats.items())
    assert torch.equal(sums, cursor.sums)


def test_a_batch_grows_and_its_old_memory_is_given_back():
    on = engine("captured")
    network, cursor = placed(on, SPECS["sequential"]), Cursor()
    train(on, network, cursor, WARM_UPS + 1, size=16)
    assert on.release_memory()
    assert on.memory_use() > 0
    train(on, network, cursor, WARM_UPS, size=64)
    assert on.memory_use() > 0
    train(on, network, cursor, 2, size=64)
    assert on.step(network, RECIPE).replayed
    assert on.memory_use() == 0


class Waits(nn.Module):
    """A network whose forward pass waits for the device, seen or unseen by a watch on operators."""

    def __init__(self, seen):
        super().__init__()
        self.layer, self.seen = nn.Linear(64, 10), seen

    def forward(self, x):
        if self.seen:
            return self.layer(x.flatten(1)) * (1.0 if x.sum().item() > 0 else 2.0)
        torch.cuda.current_stream().synchronize()
        return self.layer(x.flatten(1))


@pytest.mark.parametrize("seen", [True, False])
def test_a_network_that_cannot_be_captured_is_trained_eagerly_and_noted(seen):
    on = engine("captured")
    network, cursor = Network(3, Waits(seen), weights=SGD), Cursor()
    on.place(network)
    train(on, network, cursor, WARM_UPS + 4)
    assert network.steps == WARM_UPS + 4
    assert not on.step(network, RECIPE).replayed
    (note,) = on.notes
    assert "network 3" in note
    other, stream = placed(on, SPECS["sequential"], id=4), Cursor()
    train(on, other, stream, WARM_UPS + 3)  # others are captured as ever
    assert on.step(other, RECIPE).replayed
    assert torch.cuda.current_stream() == torch.cuda.default_stream()


def test_networks_side_by_side_equal_one_after_another():
    ends = []
    for cuda_streams in (1, 3):
        on = engine("captured")
        on.open_cuda_streams(cuda_streams)
        networks = [placed(on, SPECS["sequential"], id=id) for id in range(3)]
        cursors = [Cursor() for _ in networks]
        for _ in range(2):
            pairs = list(zip(networks, cursors, strict=True))
            epochs = [on.epoch(network, cursor, RECIPE, 0.05) for network, cursor in pairs]
            if cuda_streams == 1:
                stats = [finish(epoch) for epoch in epochs]
            else:
                for _ in range(9):
                    for epoch in epochs:
                        next(epoch)
                stats = [finish(epoch) for epoch in epochs]
            for cursor in cursors:
                cursor.next_pass()
        ends.append((networks, stats))
    for one, other in zip(ends[0][0], ends[1][0], strict=True):
        assert_close(one, other)
    for one, other in zip(ends[0][1], ends[1][1], strict=True):
        assert one.loss == pytest.approx(other.loss, rel=1e-4)
        assert one.images == other.images == 150


def test_many_steps_in_one_launch_equal_single_ones(monkeypatch):
    monkeypatch.setattr(cuda_graphs, "WORTH_CAPTURING", 16)
    data, ends = tiny_dataset(train=16 * 40), []
    for cuda_streams in (1, 2):
        on = tiny_engine(data=data, device="cuda", step="captured")
        on.open_cuda_streams(cuda_streams)
        network, cursor = placed(on, SPECS["sequential"]), Cursor()
        stats = finish(on.epoch(network, cursor, RECIPE, 0.05))
        assert len(on.step(network, RECIPE).replays_of_many) == cuda_streams - 1
        assert network.steps == 40 and stats.images == len(data.train)
        ends.append((network, stats))
    assert_close(ends[0][0], ends[1][0])
    assert ends[0][1].loss == pytest.approx(ends[1][1].loss, rel=1e-4)


def finish(epoch):
    while True:
        try:
            next(epoch)
        except StopIteration as end:
            return end.value
