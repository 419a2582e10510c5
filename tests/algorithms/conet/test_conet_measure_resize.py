from collections import OrderedDict

import pytest
import torch
from torch import nn

from growsearch.algorithms.conet import members
from growsearch.algorithms.conet.decisions import fitting_size
from growsearch.algorithms.conet.edits import Resize, resize
from growsearch.algorithms.conet.measure import conv_weights, measured
from growsearch.algorithms.conet.members import find_variables
from growsearch.networks import build
from growsearch.surgery import channel_groups
from growsearch.training import Network

EXAMPLE = torch.zeros(2, 3, 16, 16)


@pytest.fixture
def resnet() -> nn.Module:
    return build({"family": "resnet_channels", "blocks": [1, 1], "channels": 8}).eval()


def images() -> torch.Tensor:
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


def test_every_convolution_is_measured_in_the_order_of_parameters() -> None:
    network = build({"family": "channel_darts", "cells": 3, "channels": 8})
    names = [name for name, _ in conv_weights(network)]
    record = measured(network, None, transpose=True, tolerance=0.0)
    assert names[:3] == ["stem.0.0.weight", "cells.0.preprocess0.conv.weight", "cells.0.preprocess1.conv.weight"]
    assert set(record) == {f"{q}_{s}" for q in ("rank", "condition", "gain") for s in ("in", "out")}
    assert all(len(values) == len(names) for values in record.values())


def test_without_a_solution_the_value_of_the_epoch_before_stays() -> None:
    layer = nn.Conv2d(32, 128, 1, bias=False)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=torch.Generator().manual_seed(1)))
    first = measured(layer, None, transpose=False, tolerance=1e-5)
    assert first["rank_out"] == [0.0]
    before = {key: [0.25] for key in first}
    later = measured(layer, before, transpose=False, tolerance=1e-5)
    assert later["rank_out"] == later["gain_out"] == later["condition_out"] == [0.25]
    assert later["rank_in"] == [0.0]  # the other side has one
    assert measured(layer, before, transpose=True, tolerance=0.0)["rank_out"] == [0.0]


def test_growth_alone_changes_no_output(resnet: nn.Module) -> None:
    before = resnet(images())
    found = find_variables(resnet, EXAMPLE, prove=False)
    resize(resnet, found, {one.variable.name: 12 for one in found}, torch.Generator().manual_seed(0))
    assert resnet.spec()["sizes"] == [[12] * 3, [12] * 2]
    assert torch.allclose(resnet(images()), before, atol=1e-6)
    new_filters = resnet.stages[1][0].conv1.weight.detach()[8:, :8]
    bound = 1 / (9 * 12) ** 0.5
    assert 0.5 * bound < float(new_filters.abs().max())


@pytest.mark.parametrize(
    "spec",
    [
        {"family": "resnet_channels", "blocks": [1, 1], "channels": 8},
        {"family": "channel_darts", "genotype": "darts_plus", "cells": 3, "channels": 8},
    ],
)
def test_a_trials_network_needs_no_trace_of_its_own(spec, monkeypatch) -> None:
    traces, drawn, images = [], torch.Generator().manual_seed(0), torch.zeros(8, 3, 16, 16)
    monkeypatch.setattr(members, "_TRACED", OrderedDict())

    def traced(*args, **options):
        traces.append(args)
        return channel_groups(*args, **options)

    monkeypatch.setattr(members, "channel_groups", traced)

    def shown(found):
        return [(one.variable, [(g.name, g.size, g.frozen, g.step, carried(g)) for g in one.groups]) for one in found]

    def carried(group):
        return [
            (axis.name, axis.dim, axis.role, [group.map.length(segment) for segment in axis.segments])
            for axis in group.axes
        ]

    network = Network(0, build(spec))
    for trial in range(4):
        found = find_variables(network.module, images, prove=False)
        fresh = channel_groups(network.module, images, prove=False)
        assert shown(found) == shown(find_variables(network.module, images, prove=False, groups=fresh))
        changes = torch.randint(-1, 4, (len(found),), generator=drawn).tolist()
        sizes = {
            one.variable.name: fitting_size(one.variable.size + change, len(one.groups))
            for one, change in zip(found, changes, strict=True)
        }
        Resize(sizes, (3, 16, 16), "graph", True).apply(network, lambda: drawn)
        assert {
            one.variable.name: one.variable.size for one in find_variables(network.module, images, prove=False)
        } == sizes
        network = Network(trial, build(network.module.spec()))
    assert len(traces) == 1


def test_a_network_with_a_single_channel_is_traced_again(monkeypatch) -> None:
    monkeypatch.setattr(members, "_TRACED", OrderedDict())
    network = Network(0, build({"family": "resnet_channels", "blocks": [1, 1], "channels": 8}))
    for count, size in ((1, 8), (2, 4), (2, 1), (3, 6)):  # networks that are known afterwards
        found = find_variables(network.module, torch.zeros(8, 3, 16, 16), prove=False)
        sizes = {one.variable.name: one.variable.size for one in found} | {found[1].variable.name: size}
        Resize(sizes, (3, 16, 16), "graph", False).apply(network, lambda: None)
        assert len(members._TRACED) == count


def test_networks_of_others_are_traced_each_time(monkeypatch) -> None:
    traces = []
    monkeypatch.setattr(members, "channel_groups", lambda *args, **options: traces.append(args) or [])
    for _ in range(2):
        members.traced_groups(nn.Conv2d(3, 4, 3), EXAMPLE)
    assert len(traces) == 2


def test_the_weakest_filters_go(resnet: nn.Module) -> None:
    weight = resnet.stages[0][0].conv1.weight
    with torch.no_grad():
        weight[[1, 4]] *= 0.01
    kept = weight.detach()[[0, 2, 3, 5, 6, 7]].clone()
    found = find_variables(resnet, EXAMPLE, prove=False)
    sizes = {one.variable.name: one.variable.size for one in found} | {"stages.0.0.conv1": 6}
    resize(resnet, found, sizes, torch.Generator().manual_seed(0))
    assert torch.equal(resnet.stages[0][0].conv1.weight, kept)


def test_halves_of_a_factorised_reduction_grow_alike() -> None:
    network = build({"family": "channel_darts", "cells": 3, "channels": 8})
    found = find_variables(network, EXAMPLE, prove=False)
    pair = next(one for one in found if len(one.groups) == 2)
    assert (fitting_size(13, len(pair.groups)), fitting_size(1, len(pair.groups))) == (12, 2)
    resize(network, found, {one.variable.name: fitting_size(13, len(one.groups)) for one in found}, None)
    reduction = network.cells[2].preprocess0
    assert reduction.even.weight.shape[0] == reduction.odd.weight.shape[0] == 6
    assert network(EXAMPLE).shape == (2, 10)
