"""Copies that have moved apart are channels of their own, in every edit that touches one of them."""

import copy
import math
from itertools import product

import pytest
import torch
from sampling import drawn, sampled
from torch import nn

from growsearch.surgery import ChannelGroup, channel_groups, prune, remap, widen

X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
Y = torch.tensor([0, 1, 1, 0])


def network(norm: bool = True) -> nn.Sequential:
    torch.manual_seed(0)
    norms = [nn.BatchNorm2d(4)] if norm else []
    layers = [nn.Conv2d(3, 4, 3), *norms, nn.ReLU(), nn.Conv2d(4, 2, 3), nn.Flatten(), nn.Linear(8, 2)]
    return nn.Sequential(*layers).double()


def first(model: nn.Module) -> ChannelGroup:
    return channel_groups(model, X)[0]


def trained(model, group):
    """A step behind dropout of whole channels, whose gradients differ among copies."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(3)
    for _ in range(3):
        optimizer.zero_grad()
        hidden = nn.functional.dropout2d(model[:-3](X), 0.4)
        nn.functional.cross_entropy(model[-3:](hidden), Y).backward()
        optimizer.step()


def other_weights(model, group):
    generator = torch.Generator().manual_seed(5)
    for key, tensor in (state := model.state_dict()).items():
        if tensor.is_floating_point():
            state[key] = torch.rand(tensor.shape, generator=generator, dtype=tensor.dtype) + 0.1
    model.load_state_dict(state)


def one_statistic(model, group):
    model[1].running_var[5] *= 2


def one_reader(model, group):
    with torch.no_grad():
        model[-3].weight[1, 4] += 0.5


def noise(model, group):
    widen(model, group, group.size + 2, noise_std=0.1)


EDITS = {
    "widen": lambda model, group: widen(model, group, 11),
    "copy one": lambda model, group: remap(model, group, [*range(group.size), 0]),
    "copy all, shuffled": lambda model, group: remap(model, group, [*reversed(range(group.size)), *range(group.size)]),
    "permute": lambda model, group: remap(model, group, [*reversed(range(group.size))]),
}


MOVED_APART = list(product([trained, other_weights, one_statistic, one_reader, noise], EDITS))


@pytest.mark.parametrize(("drift", "edit"), sampled(MOVED_APART, *drawn(MOVED_APART, 10)))
def test_an_edit_after_copies_moved_apart_keeps_the_function(drift, edit):
    model = network().eval()
    group = first(model)
    widen(model, group, 8)
    drift(model, group)
    before = model(X)
    EDITS[edit](model, group)
    assert torch.allclose(model(X), before, rtol=1e-10, atol=1e-10)


UNKNOWN = list(
    product(
        [trained, other_weights],
        [[*range(8), 0], [0, 1, 2, 4, 5, 6, 0], [3, 3, 7], [4, 5, 6, 7]],
        ["scale_consumers", "scale_producers", "none"],
    )
)


@pytest.mark.parametrize(("drift", "sources", "duplicate"), sampled(UNKNOWN, *drawn(UNKNOWN, 6)))
def test_an_edit_is_that_of_a_network_that_knows_no_copies(drift, sources, duplicate):
    model = network(norm=False)
    group = first(model)
    widen(model, group, 8)
    drift(model, group)
    twin = copy.deepcopy(model)
    remap(model, group, sources, duplicate=duplicate)
    remap(twin, first(twin), sources, duplicate=duplicate)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, twin.state_dict()[name]), name


def test_only_the_twin_that_moved_is_a_channel_of_its_own():
    model = network(norm=False)
    group = first(model)
    remap(model, group, [0, 1, 2, 3, 0, 0, 0])
    with torch.no_grad():
        model[0].weight[5] += 0.1
    read = model[-3].weight.detach().clone()
    prune(model, group, [0, 1, 2, 3, 6])  # of 0, 4, 5 and 6 the copies 0, 4 and 6 are equal still
    assert torch.allclose(model[-3].weight[:, [0, 4]], read[:, [0, 6]] * 3 / 2, rtol=1e-15)
    assert torch.equal(model[-3].weight[:, 1:4], read[:, 1:4])


def test_copies_that_moved_together_are_twins_of_each_other():
    model = network(norm=False)
    group = first(model)
    remap(model, group, [0, 1, 2, 3, 0, 0])
    with torch.no_grad():
        model[0].weight[4:] += 0.1
    before = model(X)
    prune(model, group, [0, 1, 2, 3, 4])
    assert torch.allclose(model(X), before, rtol=1e-12, atol=1e-12)


def test_copies_of_a_diverged_network_are_channels_of_their_own():
    model = network(norm=False)
    group = first(model)
    widen(model, group, 8)
    with torch.no_grad():
        model[0].weight.fill_(math.nan)
    widen(model, group, 10)
    prune(model, group, range(3))
    assert model[0].weight.shape[0] == model[-3].weight.shape[1] == 3


def test_equal_copies_keep_the_function_in_every_edit():
    model = network()
    group = first(model)
    before = model.eval()(X)
    for sources in ([0, 1, 2, 3, 0, 1, 0], [6, 0, 1, 1, 2, 3], [*range(6), *range(6), 0], [0, 1, 2, 4, 5]):
        remap(model, group, sources)
        assert torch.allclose(model(X), before, rtol=1e-12, atol=1e-12), sources


def test_channels_that_happen_to_be_equal_are_no_copies():
    model = network(norm=False)
    group = first(model)
    remap(model, group, [0, 1, 2, 3, -1, -1], fresh={"producer": 0.5, "consumer": 1.0})
    read = model[-3].weight.detach().clone()
    prune(model, group, range(5))
    assert torch.equal(model[-3].weight, read[:, :5])
