"""Starts by singular vectors, against gradients and least squares that are worked out by other ways."""

import copy

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from algorithms.tiny import tiny_dataset, tiny_engine
from torch import nn

from growsearch.algorithms.budgets import example
from growsearch.algorithms.grow.directions import directions
from growsearch.algorithms.grow.edits import aim, grow_groups
from growsearch.networks import build
from growsearch.surgery import channel_groups
from growsearch.training import Network

SHAPE = (1, 8, 8)
IMAGES = 24


@pytest.fixture(scope="module")
def engine():
    return tiny_engine(data=tiny_dataset(train=40, val=10, test=10))


@pytest.fixture(scope="module")
def batch(engine):
    split = engine.data.train
    return (split.images[:IMAGES] / 255 - 0.5) / 0.5, split.labels[:IMAGES]


def linear_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1),
        nn.Conv2d(3, 4, 3, stride=2, padding=1, bias=False),
        nn.Conv2d(4, 2, (1, 3)),
        nn.Flatten(),
        nn.Linear(2 * 4 * 2, 10),
    ).eval()


def handles(module):
    return {group.name: group for group in channel_groups(module, example(module, SHAPE), prove=False)}


def widened(module, name, more):
    twin = copy.deepcopy(module)
    groups = handles(twin)
    size = groups[name].size
    grow_groups(twin, groups, {name: size + more}, "gradmax", 0.0, torch.Generator().manual_seed(1))
    return twin, groups, {name: size}


def slope(module, writer, reader, filters, batch, old, repeat=1):
    """Gradient of the weights of the reader that read new channels with these filters, as a matrix of a row each."""
    with torch.no_grad():
        module[writer].weight[old:] = filters.view(-1, *module[writer].weight.shape[1:])
    images, labels = batch
    (gradient,) = torch.autograd.grad(F.cross_entropy(module(images), labels), module[reader].weight)
    return gradient[:, old * repeat :].unflatten(1, (-1, repeat)).movedim(1, 0).flatten(1)


@pytest.mark.parametrize(("writer", "reader", "repeat"), [(0, 1, 1), (1, 2, 1), (2, 4, 8)])
def test_gradmax_has_the_singular_values_of_the_gradient_and_beats_other_filters(engine, batch, writer, reader, repeat):
    module, more = linear_net(), 3
    old, fan_in = module[writer].out_channels, module[writer].weight[0].numel()
    basis, _, _ = widened(module, str(writer), fan_in)
    matrix = slope(basis, writer, reader, torch.eye(fan_in), batch, old, repeat).double().numpy()
    expected = np.linalg.svd(matrix, compute_uv=False) ** 2

    twin, groups, sizes = widened(module, str(writer), more)
    found = directions(Network(0, twin), engine, groups, sizes, IMAGES, natural=False)[str(writer)]
    assert found.gains.numpy() == pytest.approx(expected[: len(found.gains)], rel=1e-3, abs=1e-6 * expected[0])
    aim(twin, groups, sizes, {str(writer): found})
    length = module[writer].weight.detach().flatten(1).norm(dim=1).mean()
    filters = twin[writer].weight.detach()[old:].flatten(1)
    assert torch.allclose(filters @ filters.T, length**2 * torch.eye(more), atol=1e-4)
    gain = slope(twin, writer, reader, filters, batch, old, repeat).square().sum().item()
    assert gain == pytest.approx(length.item() ** 2 * expected[:more].sum(), rel=1e-3)
    others = [length * torch.linalg.qr(torch.randn(fan_in, more))[0].T for _ in range(10)]
    assert gain > max(slope(twin, writer, reader, each, batch, old, repeat).square().sum().item() for each in others)


def test_tiny_takes_what_new_channels_can_add_to_the_best_update(engine, batch):
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 5), nn.Linear(5, 10)).eval()
    found = directions(Network(0, module), engine, handles(module), {"1": 5}, IMAGES, natural=True)["1"]
    images, labels = batch
    seen = images.flatten(1).double().numpy()
    hidden = np.c_[module[1](images.flatten(1)).detach().double().numpy(), np.ones(IMAGES)]
    wanted = np.eye(10)[labels] - F.softmax(module(images), 1).detach().double().numpy()
    left = wanted - hidden @ np.linalg.lstsq(hidden, wanted, rcond=None)[0]

    def decrease(filters):
        features = seen @ filters.T
        return (left**2).sum() / IMAGES - np.linalg.lstsq(features, left, rcond=None)[1].sum() / IMAGES

    for count in (1, 3):
        best = decrease(found.filters["1.weight"][:count].numpy())
        assert best == pytest.approx(found.gains[:count].sum().item(), rel=1e-3)
        rng = np.random.default_rng(count)
        assert best > max(decrease(rng.standard_normal((count, 64))) for _ in range(10))


def test_all_groups_of_a_residual_network_get_directions_and_the_function_stays(engine):
    torch.manual_seed(0)
    spec = {"family": "resnet", "depths": [1, 1], "width": 4, "classes": 10, "in_channels": 1}
    module = build({**spec, "bias": True, "norm_momentum": 0.1})
    before = copy.deepcopy(module).double()
    groups = handles(module)
    sizes = {name: group.size for name, group in groups.items() if group.frozen is None}
    grow_groups(module, groups, {name: size + 3 for name, size in sizes.items()}, "tiny", 0.0, torch.Generator())
    for natural in (False, True):
        drawn = copy.deepcopy(module.state_dict())
        found = directions(Network(0, module), engine, groups, sizes, IMAGES, natural)
        assert found.keys() == sizes.keys()
        aim(module, groups, sizes, found)
        assert any(not torch.equal(drawn[name], tensor) for name, tensor in module.state_dict().items())
        images = torch.randn(6, *SHAPE, dtype=torch.float64)
        for training in (False, True):
            ours, theirs = (copy.deepcopy(each).double().train(training)(images) for each in (module, before))
            assert (ours - theirs).abs().max() < 1e-9


def test_depthwise_filters_of_new_channels_pass_them_on(engine):
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1, groups=4), nn.Conv2d(4, 2, 1), nn.Flatten()
    )
    module.append(nn.Linear(128, 10))
    twin, groups, sizes = widened(module.eval(), "0", 2)
    assert directions(Network(0, twin), engine, groups, sizes, 8, natural=False).keys() == {"0"}
    images = torch.randn(2, *SHAPE)
    assert torch.equal(twin[1](twin[0](images))[:, 4:], twin[0](images)[:, 4:])


@pytest.mark.parametrize("natural", [False, True])
def test_groups_beside_weights_that_are_not_finite_get_no_directions(engine, natural):
    module = linear_net()
    nn.init.constant_(module[4].weight, torch.inf)
    twin, groups, sizes = widened(module, "0", 2)
    assert directions(Network(0, twin), engine, groups, sizes, IMAGES, natural) == {}
