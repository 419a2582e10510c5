import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import CODE_ORDER, TOPOLOGIES, Cell, Sequential, sequential_spec, start_topology

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "ectonas.json").read_text())
SHAPES = {
    "cifar10": (3, 32, 32, 10),
    "svhn": (3, 32, 32, 10),
    "cifar100": (3, 32, 32, 100),
    "eurosat": (3, 64, 64, 10),
    "mnist": (1, 28, 28, 10),
    "fashion_mnist": (1, 28, 28, 10),
    "adult": (1, 10, 10, 2),
}


def trainable(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("data", SHAPES)
def test_trainable_parameters_of_table_6(data: str) -> None:
    *shape, classes = SHAPES[data]
    counts = {name: trainable(build(start_topology(name, tuple(shape), classes))) for name in TOPOLOGIES}
    assert counts == GOLDEN["param_counts"][data]


def test_spec_is_inverse_of_build() -> None:
    spec = sequential_spec([3, 5], [7], (2, 9, 6), 4)
    spec["cells"][1] |= {"pool": "max", "order": CODE_ORDER}
    spec["cells"].append({"channels": 2, "pool": "none", "order": CODE_ORDER})
    module = build(spec)
    assert module.spec() == spec
    assert build(json.loads(json.dumps(spec))).spec() == spec
    assert module(torch.rand(2, 2, 9, 6)).shape == (2, 4)


def test_input_without_channel_axis_is_reshaped() -> None:
    module = build(start_topology("medium_cnn", (10, 10), 2)).eval()
    assert module.spec()["reshape"]
    x = torch.rand(3, 10, 10)
    assert torch.equal(module(x), module(x.unsqueeze(1)))
    dense = build(start_topology("small_ffnn", (10, 10), 2)).eval()
    assert not dense.spec()["reshape"]
    assert torch.equal(dense(x), dense(x.unsqueeze(1)))


def test_adapter_stays_when_no_cell_is_left() -> None:
    spec = start_topology("small_ffnn", (10, 10), 2) | {"reshape": True}
    assert build(spec).spec() == spec


def test_pooling_ignores_what_lies_beyond_an_odd_border() -> None:
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    average = Cell(1, 1, "avg").pool(x)[0, 0]
    assert torch.equal(average, torch.tensor([[2.0, 3.5], [6.5, 8.0]]))
    assert torch.equal(Cell(1, 1, "max").pool(x)[0, 0], torch.tensor([[4.0, 5.0], [7.0, 8.0]]))


@pytest.mark.parametrize("order", ["conv-pool-norm-act", CODE_ORDER])
def test_order_inside_a_cell(order: str) -> None:
    spec = sequential_spec([2], [], (1, 4, 4), 3)
    spec["cells"][0]["order"] = order
    module = build(spec, torch.Generator().manual_seed(1)).train()
    cell, x = module.cells[0], torch.randn(5, 1, 4, 4)
    pooled = F.avg_pool2d(F.conv2d(x, cell.conv.weight, cell.conv.bias, padding=1), 2)
    before = pooled.relu() if order == CODE_ORDER else pooled
    expected = (before - before.mean((0, 2, 3), keepdim=True)) / (
        before.var((0, 2, 3), keepdim=True, unbiased=False) + 1e-3
    ).sqrt()
    expected = expected if order == CODE_ORDER else expected.relu()
    torch.testing.assert_close(cell(x), expected)
    torch.testing.assert_close(cell.norm.running_mean, 0.01 * before.mean((0, 2, 3)))


def test_initialisation_draws_from_the_generator_alone() -> None:
    spec = start_topology("small_cnn", (3, 8, 8), 10)
    first, again = (build(spec, torch.Generator().manual_seed(5)).state_dict() for _ in range(2))
    other = build(spec, torch.Generator().manual_seed(6)).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["output.weight"], other["output.weight"])
    limit = (6 / (10 + 10)) ** 0.5
    assert first["output.weight"].abs().max() <= limit
    assert not first["cells.0.conv.bias"].any() and torch.equal(first["cells.2.norm.weight"], torch.ones(9))


def test_one_pixel_maps_still_run() -> None:
    module = build(sequential_spec([2, 2, 2], [3], (1, 4, 4), 2))
    assert module.flat_size == (1, 1)
    module = build(sequential_spec([2, 2, 2, 2], [3], (1, 4, 4), 2))
    assert module(torch.rand(2, 1, 4, 4)).shape == (2, 2)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"input_shape": [4]}, "input_shape"),
        ({"hidden": [0]}, "at least 1"),
        ({"cells": [{"channels": 2, "pool": "mean", "order": CODE_ORDER}]}, "pool 'mean'"),
        ({"input_shape": [4, 4], "reshape": False}, "reshape=true"),
    ],
)
def test_specs_that_cannot_be_built(change: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        build(sequential_spec([2], [3], (1, 4, 4), 2) | change)


def test_unknown_topology() -> None:
    with pytest.raises(UserError, match="small_cnn"):
        start_topology("tiny", (1, 4, 4), 2)


def test_networks_by_options() -> None:
    options = Sequential.spec_from_options
    assert options({"topology": "small_cnn"}, (3, 8, 8), 5) == start_topology("small_cnn", (3, 8, 8), 5)
    expected = sequential_spec([4], [7], (3, 8, 8), 5, pool="max")
    assert options({"cells": [4], "hidden": [7], "pool": "max"}, (3, 8, 8), 5) == expected
    for wrong in ({}, {"topology": "small_cnn", "cells": [3]}, {"cell": [3]}):
        with pytest.raises(UserError, match="either topology or"):
            options(wrong, (3, 8, 8), 5)
