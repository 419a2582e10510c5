import copy

import pytest
import torch
from algorithms.tiny import tiny_engine
from torch import nn
from training.host_reads import NoHostReads

from growsearch.data.augment import Augmentation
from growsearch.dispatch import DispatchMode
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.surgery.initialise import library_
from growsearch.training import Cursor, Network, OptimizerConfig, Recipe

SGD = OptimizerConfig(lr=0.1, momentum=0.9, nesterov=True, weight_decay=1e-4)
ADAM = OptimizerConfig(kind="adam", lr=1e-3, betas=(0.5, 0.999))


def network(config=SGD, id=0):
    return Network(id, build(sequential_spec([4, 6], [10], (1, 8, 8), 10)), weights=config)


@pytest.mark.parametrize("config", [SGD, ADAM])
@pytest.mark.parametrize("clip", [None, 0.5])
def test_a_step_reads_nothing_back_and_keeps_its_addresses(config, clip):
    engine, net, cursor = tiny_engine(), network(config), Cursor()
    recipe = Recipe(batch_size=32, clip=clip, augmentation=Augmentation(crop_padding=1))
    engine.train_batch(net, cursor, recipe, 32)
    step = engine.step(net, recipe)
    loader = engine.loader(net, cursor, recipe.augmentation)

    def addresses():
        state = [t.data_ptr() for s in step.optimizer.state.values() for t in s.values()]
        return [p.data_ptr() for p in step.parameters], state, step.failed.data_ptr(), loader._plan.table.data_ptr()

    before = addresses()
    with NoHostReads():
        step.take(loader, cursor, 32, net.steps)
    engine.train_batch(net, cursor, recipe, 32)
    assert addresses() == before


@pytest.mark.parametrize("kind", ["sgd", "adam"])
def test_a_step_equals_the_plain_loop(kind):
    """Same numbers as torch's ordinary, unfused optimizers on the same images."""
    config = SGD if kind == "sgd" else ADAM
    # Without batch norm: a bias before it has a gradient of pure rounding, which Adam would blow up.
    dense = nn.Sequential(nn.Flatten(), nn.Linear(64, 20), nn.Tanh(), nn.Linear(20, 10))
    library_(dense, torch.Generator().manual_seed(0))
    engine, net, twin = (
        tiny_engine(),
        Network(0, dense, weights=config),
        Network(0, copy.deepcopy(dense), weights=config),
    )
    recipe, cursor, cursor_again = Recipe(batch_size=40, clip=1.0), Cursor(), Cursor()
    plain = (
        torch.optim.SGD(twin.module.parameters(), 0.1, 0.9, weight_decay=1e-4, nesterov=True, foreach=False)
        if kind == "sgd"
        else torch.optim.Adam(twin.module.parameters(), 1e-3, betas=(0.5, 0.999), foreach=False)
    )
    loader = engine.loader(twin, cursor_again, recipe.augmentation)
    for _ in range(3):
        engine.train_batch(net, cursor, recipe, 40)
        images, labels = loader.take(cursor_again, 40)
        plain.zero_grad()
        nn.functional.cross_entropy(twin.module(images), labels).backward()
        nn.utils.clip_grad_norm_(twin.module.parameters(), 1.0)
        plain.step()
    for ours, theirs in zip(net.module.parameters(), twin.module.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)


class Twice(nn.Module):
    """A norm for each layer, and one that is used twice."""

    def __init__(self):
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(64, 64) for _ in range(4))
        self.norms = nn.ModuleList(nn.BatchNorm1d(64) for _ in range(4))
        self.unused, self.average = nn.BatchNorm1d(64), nn.BatchNorm1d(64, momentum=None)
        self.again = False

    def forward(self, x):
        x = x.flatten(1)
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(layer(x))
        return self.average(self.norms[0](x) if self.again else x)[:, :10]


@pytest.mark.parametrize("again", [False, True])
def test_batch_norms_are_counted_together(again):
    """One operator in place of one a norm; the counts are those of the norms themselves."""
    module = library_initialised(Twice())
    module.again = again
    engine, net, recipe, cursor = tiny_engine(), Network(0, module, weights=SGD), Recipe(batch_size=30), Cursor()
    for _ in range(2):
        engine.train_batch(net, cursor, recipe, 30)
    with Operators() as operators:
        engine.train_batch(net, cursor, recipe, 30)
    counts = [int(norm.num_batches_tracked) for norm in (*module.norms, module.unused, module.average)]
    assert counts == [6 if again else 3, 3, 3, 3, 0, 3]
    assert operators.names.count("_foreach_add_.Scalar") == (not again)
    assert operators.names.count("add_.Tensor") == (5 if again else 0) + 2  # the average's own, and the sums'


def library_initialised(module):
    library_(module, torch.Generator().manual_seed(0))
    return module


class Operators(DispatchMode):
    """Names of the operators that run."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.__name__)
        return func(*args, **(kwargs or {}))


def test_a_loss_that_is_not_finite_changes_nothing():
    engine, net, cursor = tiny_engine(), network(), Cursor()
    recipe = Recipe(batch_size=32)
    engine.train_batch(net, cursor, recipe, 32)
    before = {name: tensor.clone() for name, tensor in net.module.state_dict().items()}
    momentum = {n: s["momentum_buffer"].clone() for n, s in net.optimizer_tensors()["weights"].items()}
    sums = cursor.sums.clone()
    engine.data.train.images = engine.data.train.images.float() / 0
    engine._loaders.clear()
    engine.train_batch(net, cursor, recipe, 32)
    assert cursor.outcome == "diverged"
    for name, tensor in net.module.state_dict().items():
        if tensor.is_floating_point():
            assert torch.equal(tensor, before[name]), name
    for name, state in net.optimizer_tensors()["weights"].items():
        assert torch.equal(state["momentum_buffer"], momentum[name])
    assert torch.equal(cursor.sums, sums)


def test_an_epoch_ends_where_it_failed():
    engine, net, cursor = tiny_engine(), network(), Cursor()
    engine.data.train.images = engine.data.train.images.float() / 0
    epoch = engine.epoch(net, cursor, Recipe(batch_size=32))
    yields = 0
    while True:
        try:
            next(epoch)
            yields += 1
        except StopIteration as end:
            assert end.value.outcome == "diverged"
            break
    assert yields == 1


def test_a_pass_serves_every_image_once_whatever_the_batch_size():
    engine, net = tiny_engine(), network()
    seen = {}
    for size in (7, 32):
        cursor, labels, images = Cursor(), [], []
        loader = engine.loader(net, cursor, Augmentation(crop_padding=1))
        while cursor.position < len(loader):
            batch = loader.take(cursor, min(size, len(loader) - cursor.position))
            images.append(batch[0])
            labels.append(batch[1])
        seen[size] = torch.cat(images), torch.cat(labels)
    assert torch.equal(seen[7][0], seen[32][0])
    assert torch.equal(seen[7][1].sort().values, engine.data.train.labels.sort().values)


def test_an_endless_stream_runs_on_across_passes():
    engine, net = tiny_engine(), network()
    whole, parts = Cursor(), Cursor()
    loader = engine.loader(net, whole, Augmentation())
    first = loader.take(whole, 100)[0], loader.take(whole, 100)[0]
    again = [loader.take(parts, 50)[0] for _ in range(4)]
    assert torch.equal(torch.cat(first), torch.cat(again))
    assert (whole.passes, whole.position, whole.used) == (1, 50, 200)


def test_a_single_image_left_over_joins_the_batch_before_it():
    engine, net = tiny_engine(), network()
    engine.data.train.images, engine.data.train.labels = engine.data.train.images[:33], engine.data.train.labels[:33]
    cursor = Cursor()
    assert sum(1 for _ in engine.epoch(net, cursor, Recipe(batch_size=16))) == 2
    assert cursor.used == 33


class TwoHeads(nn.Module):
    """Logits and auxiliary logits."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(64, 10), nn.Linear(64, 10)

    def forward(self, x):
        return self.first(x.flatten(1)), self.second(x.flatten(1))


def test_auxiliary_loss_is_weighted_and_labels_are_smoothed():
    engine, cursor, again = tiny_engine(), Cursor(), Cursor()
    net = Network(0, TwoHeads(), weights=OptimizerConfig(lr=0.1, momentum=0.0))
    twin = copy.deepcopy(net.module)
    recipe = Recipe(batch_size=40, aux_weight=0.4, label_smoothing=0.1)
    images, labels = engine.loader(net, again, recipe.augmentation).take(again, 40)
    first, second = (nn.functional.cross_entropy(y, labels, label_smoothing=0.1) for y in twin(images))
    (first + 0.4 * second).backward()
    engine.train_batch(net, cursor, recipe, 40)
    assert cursor.sums[0].item() == pytest.approx(40 * first.item(), rel=1e-5)
    for ours, theirs in zip(net.module.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs - 0.1 * theirs.grad)
