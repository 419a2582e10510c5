"""ECToNAS' channels and units: remaps of the shared core, with the options of paper and code."""

import copy
import json
from pathlib import Path

import pytest
import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery import channel_groups
from growsearch.surgery.initialise import library_
from growsearch.surgery.morphisms import cyclic_sources, fold_shift, random_sources, reset_norm
from growsearch.surgery.remap import remap
from growsearch.surgery.scores import gamma_absolute, gamma_signed, weakest

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/surgery_ectonas.json").read_text())
NORM = {"gamma": "weight", "beta": "bias", "mean": "running_mean", "var": "running_var"}


def tensor(values):
    return torch.tensor(values, dtype=torch.float64)


def kernel(values):
    """Keras (h, w, in, out) to (out, in, h, w)."""
    return tensor(values).permute(3, 2, 0, 1)


def rows(values, hwc):
    """Keras rows (h, w, c) x units to (units, c * h * w)."""
    return tensor(values).reshape(*hwc, -1).permute(3, 2, 0, 1).flatten(1)


def successor_weight(case, values, channels):
    if case["successor"] == "conv":
        return kernel(values)
    return rows(values, [*case["flatten_hwc"][:2], channels])


def cell(case):
    """The cell's convolution and norm, and what reads them, with an input that fits."""
    weight = kernel(case["kernel"])
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    norm = nn.BatchNorm2d(weight.shape[0], eps=1e-3)
    following = successor_weight(case, case["successor_weight"], weight.shape[0])
    if case["successor"] == "conv":
        size, last = (5, 5), [nn.Conv2d(following.shape[1], following.shape[0], 3)]
    else:
        size, last = case["flatten_hwc"][:2], [nn.Flatten(), nn.Linear(following.shape[1], following.shape[0])]
    model = nn.Sequential(conv, norm, nn.ReLU(), *last).double()
    library_(model, generator(0, "cell"))
    conv.weight, conv.bias = nn.Parameter(weight), nn.Parameter(tensor(case["bias"]))
    norm.load_state_dict({NORM[k]: tensor(v) for k, v in case["bn"].items()}, strict=False)
    last[-1].weight = nn.Parameter(following)
    if "successor_bias" in case:
        last[-1].bias = nn.Parameter(tensor(case["successor_bias"]))
    return model.eval(), torch.randn(4, weight.shape[1], *size, dtype=torch.float64, generator=generator(0))


def group_of(model, example, layer):
    return next(group for group in channel_groups(model, example) if layer in group.producers)


def check(model, case, expected):
    conv, norm, last = model[0], model[1], model[-1]
    assert torch.allclose(conv.weight, kernel(expected["kernel"]), rtol=0, atol=1e-9)
    assert torch.allclose(conv.bias, tensor(expected["bias"]), rtol=0, atol=1e-9)
    for key, name in NORM.items():
        assert torch.allclose(getattr(norm, name), tensor(expected["bn"][key]), rtol=0, atol=1e-9)
    weight = successor_weight(case, expected["successor_weight"], len(expected["bias"]))
    assert torch.allclose(last.weight, weight, rtol=0, atol=1e-9)


@pytest.mark.parametrize("case", GOLDEN["widen_conv"])
def test_widen_channels_golden(case):
    size = case["new_channels"]
    for variant, scale in (("paper", "scale_consumers"), ("code", "scale_producers")):
        model, x = cell(case)
        old, channels = copy.deepcopy(model), model[0].out_channels
        sources = case["paper"]["mapping"] if variant == "paper" else cyclic_sources(channels, size)
        assert sources == case[variant]["mapping"]
        remap(model, group_of(model, x, "0"), sources, duplicate=scale)
        if variant == "code":
            reset_norm(model[1], range(channels, size))
        check(model, case, case[variant])
        if variant == "paper":
            for train in (False, True):
                assert torch.allclose(model.train(train)(x), old.train(train)(x), atol=1e-9)


@pytest.mark.parametrize("case", GOLDEN["widen_dense"])
def test_widen_units_golden(case):
    for variant, scale in (("paper", "scale_consumers"), ("code", "scale_producers")):
        W1, W2 = tensor(case["W1"]).T, tensor(case["W2"]).T
        model = nn.Sequential(nn.Linear(*W1.T.shape), nn.ReLU(), nn.Linear(*W2.T.shape)).double()
        library_(model, generator(0, "units"))
        model[0].weight, model[0].bias = nn.Parameter(W1), nn.Parameter(tensor(case["b1"]))
        model[2].weight = nn.Parameter(W2)
        x = torch.randn(5, W1.shape[1], dtype=torch.float64, generator=generator(0))
        before = model(x)
        sources = case["paper"]["mapping"] if variant == "paper" else cyclic_sources(len(W1), case["q"])
        assert sources == case[variant]["mapping"]
        remap(model, group_of(model, x, "0"), sources, duplicate=scale)
        assert torch.allclose(model[0].weight.T, tensor(case[variant]["W1_new"]), rtol=0, atol=1e-9)
        assert torch.allclose(model[0].bias, tensor(case[variant]["b1_new"]), rtol=0, atol=1e-9)
        assert torch.allclose(model[2].weight.T, tensor(case[variant]["W2_new"]), rtol=0, atol=1e-9)
        assert torch.allclose(model(x), before, atol=1e-9)


@pytest.mark.parametrize("case", GOLDEN["remove_channels"])
@pytest.mark.parametrize(("order", "score"), [("signed", gamma_signed), ("abs", gamma_absolute)])
def test_remove_channels_golden(case, order, score):
    model, x = cell(case)
    gone = weakest(score(model[1].weight), case["n_remove"])
    assert gone == case[order]["removed"]

    def fold(group, channels):
        fold_shift(model[1], [model.get_submodule(name) for name in group.consumers], channels)

    kept = [channel for channel in range(model[0].out_channels) if channel not in gone]
    remap(model, group_of(model, x, "0"), kept, removed=fold)
    check(model, case, case[order])
    assert torch.allclose(model[-1].bias, tensor(case[order]["successor_bias"]), rtol=0, atol=1e-9)
    model(x).sum().backward()


def test_cyclic_sources_copy_everything_equally_often():
    assert cyclic_sources(3, 3) == [0, 1, 2]
    assert cyclic_sources(3, 8) == [0, 1, 2, 0, 0, 1, 1, 2]
    assert cyclic_sources(1, 4) == [0, 0, 0, 0]


def test_random_sources_keep_the_old_and_name_their_generator():
    sources = random_sources(4, 40, generator(0))
    assert sources[:4] == [0, 1, 2, 3]
    assert set(sources[4:]) == {0, 1, 2, 3}
    assert sources == random_sources(4, 40, generator(0))
    assert sources != random_sources(4, 40, generator(1))


def test_sources_refuse_to_shrink():
    for call in (lambda: cyclic_sources(3, 2), lambda: random_sources(3, 2, generator(0))):
        with pytest.raises(UserError, match="2 channels are fewer than the 3 before"):
            call()
