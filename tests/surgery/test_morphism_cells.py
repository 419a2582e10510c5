"""ECToNAS' convolution cells on a plain ``nn.Sequential``, as the authors' code puts them in and takes them out."""

import json
from pathlib import Path

import pytest
import torch
from torch import nn

from growsearch.surgery import channel_groups
from growsearch.surgery.morphisms import (
    cyclic_sources,
    fold_shift,
    follow_pooling,
    follow_removed_pooling,
    identity_conv,
    insert_module,
    remove_module,
    reset_norm,
    size_before_last_pooling,
)
from growsearch.surgery.remap import remap
from growsearch.surgery.scores import gamma_signed, weakest

CASES = json.loads((Path(__file__).parents[1] / "golden/surgery_ectonas.json").read_text())["conv_cell_full_models"]
CHILDREN = [(case, child) for case in CASES for child in case["children"]]


def network(layers):
    """The Keras layers as a float64 network that gives logits."""
    modules, shape = [], None
    for record in layers:
        weights = [torch.tensor(w, dtype=torch.float64) for w in record["weights"]]
        match record["layer"]:
            case "Conv2D":
                kernel = weights[0].permute(3, 2, 0, 1).contiguous()
                module = nn.Conv2d(kernel.shape[1], kernel.shape[0], 3, padding=1).double()
                module.load_state_dict({"weight": kernel, "bias": weights[1]})
            case "Dense":
                rows = weights[0]
                if shape is not None:
                    rows = rows.reshape(*shape, -1).permute(2, 0, 1, 3).flatten(0, 2)
                    shape = None
                elif isinstance(modules[-1], nn.Linear):
                    modules.append(nn.ReLU())
                module = nn.Linear(*rows.shape).double()
                module.load_state_dict({"weight": rows.T, "bias": weights[1]})
            case "BatchNormalization":
                module = nn.BatchNorm2d(len(weights[0]), eps=1e-3).double()
                names = ("weight", "bias", "running_mean", "running_var")
                module.load_state_dict(dict(zip(names, weights, strict=True)), strict=False)
            case "AveragePooling2D" | "MaxPooling2D" as pool:
                module = (nn.AvgPool2d if pool == "AveragePooling2D" else nn.MaxPool2d)(2, 2, ceil_mode=True)
            case "Activation":
                module = nn.ReLU()
            case "Flatten":
                module = nn.Flatten()
        modules.append(module)
        if record["layer"] not in ("Flatten", "Dense"):
            shape = record["out_shape"]
        elif record["layer"] == "Flatten" and shape is None:
            shape = list(record["input_shape"])
    return nn.Sequential(*modules).eval()


def outputs(model, x):
    return model(torch.tensor(x, dtype=torch.float64).permute(0, 3, 1, 2)).softmax(1)


def weighted_after(model, at):
    return next(m for m in list(model)[at:] if isinstance(m, nn.Conv2d | nn.Linear))


def first_dense(model):
    return next(m for m in model if isinstance(m, nn.Linear))


def side_lengths(model, case, poolings):
    height, width = case["input_shape"][:2]
    return size_before_last_pooling(height, poolings + 1), size_before_last_pooling(width, poolings + 1)


def add_cell(model, case, at):
    """Pool, relu and norm in the code's order, behind a convolution that sums all channels."""
    channels = case["input_shape"][2] if at == 0 else model[at - 4].out_channels
    size = side_lengths(model, case, len(case["conv"]))
    cell = [
        identity_conv(channels, kind="sum", like=model[0].weight),
        nn.MaxPool2d(2, 2, ceil_mode=True),
        nn.ReLU(),
        nn.BatchNorm2d(channels, eps=1e-3).double().eval(),
    ]
    for offset, module in enumerate(cell):
        insert_module(model, at + offset, module)
    follow_pooling(first_dense(model), size, "max_signed")


def remove_cell(model, case, at):
    """Bring the cell's channels to its input's, fold what the norm added and take everything out."""
    conv, norm, following = model[at], model[at + 2], weighted_after(model, at + 4)
    example = torch.zeros(2, case["input_shape"][2], *case["input_shape"][:2], dtype=torch.float64)
    group = next(g for g in channel_groups(model, example) if str(at) in g.producers)
    inputs, channels = conv.in_channels, conv.out_channels
    if channels > inputs:
        gone = weakest(gamma_signed(norm.weight), channels - inputs)
        fold_shift(norm, [following], gone)
        remap(model, group, [channel for channel in range(channels) if channel not in gone])
    elif channels < inputs:
        remap(model, group, cyclic_sources(channels, inputs), duplicate="scale_producers")
        reset_norm(norm, range(channels, inputs))
    fold_shift(norm, [following])
    poolings = len(case["conv"])
    follow_removed_pooling(
        first_dense(model), side_lengths(model, case, poolings), side_lengths(model, case, poolings - 1)
    )
    for _ in range(4):
        remove_module(model, at)


@pytest.mark.parametrize("case", CASES)
def test_the_start_networks_are_read_rightly(case):
    expected = torch.tensor(case["eval_output"], dtype=torch.float64)
    assert torch.allclose(outputs(network(case["layers"]), case["x"]), expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize(("case", "child"), CHILDREN, ids=[child["description"].strip() for _, child in CHILDREN])
def test_children_golden(case, child):
    model = network(case["layers"])
    at = int(child["description"].split(" L ")[1].split(" ")[0])
    (add_cell if child["op"] == "ADD_CONV_BLOCK" else remove_cell)(model, case, at)

    layers = list(child["layers"])
    if layers[0]["layer"] == "Flatten":
        layers[0] = {**layers[0], "input_shape": case["input_shape"]}
    expected = network(layers)
    assert [type(m) for m in model] == [type(m) for m in expected]
    for name, tensor in expected.state_dict().items():
        assert torch.allclose(model.state_dict()[name].double(), tensor.double(), rtol=0, atol=1e-5), name
    wanted = torch.tensor(child["eval_output"], dtype=torch.float64)
    assert torch.allclose(outputs(model, case["x"]), wanted, rtol=0, atol=1e-5)
