"""What an edit refuses, before it changes anything."""

import math

import numpy as np
import pytest
import torch
from sampling import part
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, widen

X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1))


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 2, 3))


def middle(model: nn.Module):
    return next(group for group in channel_groups(model, X, prove=False) if group.frozen is None)


NEW = {"producer": 1.0}
REFUSED = {
    "a smaller size": lambda m, g: widen(m, g, 3),
    "a fraction": lambda m, g: widen(m, g, 5.5),
    "a float": lambda m, g: widen(m, g, 6.0),
    "text": lambda m, g: widen(m, g, "6"),
    "true": lambda m, g: widen(m, g, True),
    "too many channels for any memory": lambda m, g: widen(m, g, 10**15),
    "a number beyond every integer": lambda m, g: widen(m, g, 10**30),
    "negative noise": lambda m, g: widen(m, g, 6, noise_std=-1.0),
    "noise that is no number": lambda m, g: widen(m, g, 6, noise_std=math.nan),
    "noise in text": lambda m, g: widen(m, g, 6, noise_std="0.1"),
    "a momentum that is none": lambda m, g: widen(m, g, 6, momentum="keep"),
    "nothing kept": lambda m, g: prune(m, g, []),
    "a channel twice": lambda m, g: prune(m, g, [1, 1]),
    "a negative channel": lambda m, g: prune(m, g, [-1]),
    "a channel that is not there": lambda m, g: prune(m, g, [4]),
    "a mask": lambda m, g: prune(m, g, torch.tensor([True, False, True, True])),
    "a list of truths": lambda m, g: prune(m, g, [True, False]),
    "a mask of numpy": lambda m, g: prune(m, g, np.array([True, False])),
    "fractions": lambda m, g: prune(m, g, [0.5, 1.5]),
    "one number": lambda m, g: prune(m, g, 2),
    "no sources": lambda m, g: remap(m, g, []),
    "sources below -1": lambda m, g: remap(m, g, [0, -2]),
    "a source that is not there": lambda m, g: remap(m, g, [0, 99]),
    "text for a source": lambda m, g: remap(m, g, "01"),
    "an unknown way to duplicate": lambda m, g: remap(m, g, [0], duplicate="both"),
    "an unknown momentum": lambda m, g: remap(m, g, [0], momentum="keep"),
    "no initialiser": lambda m, g: remap(m, g, [0, -1]),
    "an initialiser of an unknown role": lambda m, g: remap(m, g, [0, -1], fresh=NEW | {"producers": 1.0}),
    "an initialiser of another shape": lambda m, g: remap(m, g, [0, -1], fresh={"producer": torch.ones(2, 9)}),
    "an initialiser that gives text": lambda m, g: remap(m, g, [0, -1], fresh={"producer": lambda slab: "1"}),
    "an initialiser that gives nothing": lambda m, g: remap(m, g, [0, -1], fresh={"producer": lambda slab: None}),
    "an optimizer that is none": lambda m, g: widen(m, g, 6, optimizer=m),
    "parameters for optimizers": lambda m, g: widen(m, g, 6, optimizer=m.parameters()),
    "a number for an optimizer": lambda m, g: widen(m, g, 6, optimizer=3),
}


@pytest.mark.parametrize("case", part(REFUSED))
def test_wrong_arguments_are_refused_and_change_nothing(case):
    model = network()
    group = middle(model)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(UserError) as error:
        REFUSED[case](model, group)
    assert "; " in str(error.value), "it must say what to do"
    assert group.size == 4 and all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    prune(model, group, [0, 1])


@pytest.mark.parametrize(
    "sources", [range(3), (0, 1, 2), np.arange(3), torch.arange(3), [np.int32(0), torch.tensor(1), 2], iter([0, 1, 2])]
)
def test_whole_numbers_of_any_kind_are_taken(sources):
    model = network()
    group = middle(model)
    prune(model, group, sources)
    assert group.size == 3


def test_what_runs_before_a_cut_may_not_edit_the_group():
    model = network()
    group = middle(model)
    with pytest.raises(UserError, match="removed"):
        prune(model, group, [0, 1, 2], removed=lambda *_: prune(model, group, [0]))
    assert group.size == 4 and model[0].out_channels == 4


class Standardised(nn.Module):
    """Filters that a scale is multiplied into: no layer's own weight writes the channels."""

    def __init__(self, rank: int | None) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.rand(6, 1, 1, 1))
        self.filters = nn.Parameter(torch.randn(1 if rank else 6, 3, 1, 1))
        self.head = nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.conv2d(x, self.filters * self.scale))


class StandardisedBesideAnother(Standardised):
    def __init__(self) -> None:
        super().__init__(None)
        self.other = nn.Conv2d(3, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.conv2d(x, self.filters * self.scale) + self.other(x))


def test_noise_that_no_weight_could_take_is_refused():
    model = Standardised(None)
    group = next(group for group in channel_groups(model, X) if group.frozen is None and group.size == 6)
    with pytest.raises(UserError, match="noise_std"):
        widen(model, group, 8, noise_std=0.1)
    widen(model, group, 8)


@pytest.mark.parametrize("make", [lambda: Standardised(None), lambda: Standardised(1), StandardisedBesideAnother])
def test_fresh_filters_of_a_computed_weight_must_be_given(make):
    model = make()
    group = next(group for group in channel_groups(model, X) if group.frozen is None and group.size == 6)
    with pytest.raises(UserError, match="'scale'"):
        remap(model, group, [*range(6), -1], fresh={"producer": 0.5})
    assert group.size == 6
    before = model(X)
    remap(model, group, [*range(6), -1], fresh={"producer": 0.5, "scale": 2.0})
    assert (model.scale[6] == 2).all()
    assert torch.allclose(model(X), before, atol=1e-6)


class OwnNorm(nn.Module):
    """A batch norm whose tensors have names of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)
        self.gamma, self.beta = nn.Parameter(torch.ones(6)), nn.Parameter(torch.zeros(6))
        self.register_buffer("mean", torch.zeros(6))
        self.register_buffer("variance", torch.ones(6))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(nn.functional.batch_norm(self.conv(x), self.mean, self.variance, self.gamma, self.beta))


def test_a_fresh_channel_of_an_unknown_norm_gets_no_guess():
    model = OwnNorm()
    group = next(group for group in channel_groups(model, X, prove=False) if group.size == 6)
    with pytest.raises(UserError, match=r"'norm'.*gamma"):
        remap(model, group, [*range(6), -1], fresh={"producer": 0.5})


class ScaledLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)
        self.scale = nn.Parameter(torch.rand(6, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x) * self.scale)


def test_a_fresh_channel_of_a_layer_scale_is_passed_on():
    model = ScaledLayer()
    remap(model, middle(model), [*range(6), -1], fresh={"producer": 0.5})
    assert model.scale[6] == 1


@pytest.mark.parametrize("words, argument", [("fresh: 3", {"fresh": 3}), ("removed: 3", {"removed": 3})])
def test_arguments_of_another_kind_are_refused(words, argument):
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1))
    group = next(g for g in channel_groups(model, torch.zeros(2, 3, 4, 4), prove=False) if g.name == "0")
    with pytest.raises(UserError, match=f"^{words} is not accepted; use a"):
        remap(model, group, [0, 1], **argument)
    assert group.size == 6
