"""Sizes that code computes of channels and places, as people flatten maps: channels stay free, edits exact."""

import copy
import math
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.surgery import channel_groups, prune, widen

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Flattened(nn.Module):
    """A convolution, whose map a function makes flat, and a linear layer."""

    def __init__(self, flatten: Callable[["Flattened", Tensor], Tensor]) -> None:
        super().__init__()
        self.conv, self.head, self.flatten = nn.Conv2d(3, 6, 1), nn.Linear(96, 2), flatten
        self.channels, self.side, self.factor = 6, 4, nn.Parameter(torch.full((1,), 2.0))

    def forward(self, x):
        return self.head(self.flatten(self, self.conv(x)))


FLATTENED: dict[str, Callable[[Flattened, Tensor], Tensor]] = {
    "channels before places": lambda m, x: x.view(x.size(0), x.size(1) * x.size(2) * x.size(3)),
    "places before channels": lambda m, x: x.permute(0, 2, 3, 1).reshape(len(x), x.size(2) * x.size(3) * x.size(1)),
    "channels between places": lambda m, x: x.transpose(1, 2).reshape(len(x), x.size(2) * x.size(1) * x.size(3)),
    "rows with their channels": lambda m, x: x.transpose(1, 2).reshape(len(x), 4, x.size(1) * 4).flatten(1),
    "entries of a sample": lambda m, x: x.view(-1, x[0].numel()),
    "entries over samples": lambda m, x: x.view(len(x), x.numel() // len(x)),
    "a product of a shape": lambda m, x: x.view(len(x), math.prod(x.shape[1:])),
    "a number of the module": lambda m, x: x.view(-1, m.channels * 4 * 4),
    "numbers of the module": lambda m, x: x.view(-1, m.channels * m.side * m.side),
    "a power of one": lambda m, x: x.view(-1, m.channels * m.side**2),
    "a layer's number": lambda m, x: x.view(-1, m.conv.out_channels * m.side * m.side),
    "beside a constant": lambda m, x: x.flatten(1) + torch.zeros(len(x), x.size(1) * 16, dtype=x.dtype),
    "times a number spread": lambda m, x: x.flatten(1) * m.factor.expand(len(x), x.size(1) * 16),
    "times a number repeated": lambda m, x: x.flatten(1) * m.factor.repeat(m.channels * 16),
    "times a number of all maps, spread": lambda m, x: (
        x * m.factor.view(1, 1, 1, 1).expand(-1, m.channels, 4, 4)
    ).flatten(1),
    "picked by numbers spread": lambda m, x: (
        x.flatten(2).gather(2, torch.arange(15, -1, -1).expand(len(x), m.channels, 16)).flatten(1)
    ),
    "patches": lambda m, x: F.unfold(x, 2, stride=2).view(len(x), x.size(1) * 4, 4).reshape(len(x), x.size(1) * 4 * 4),
}


@pytest.mark.parametrize("name", FLATTENED)
def test_sizes_computed_of_channels_and_places_follow(name):
    torch.manual_seed(0)
    model = Flattened(FLATTENED[name]).double()
    (group,) = (each for each in channel_groups(model, X) if each.name == "conv")
    assert (group.size, group.step, group.frozen, group.unprunable) == (6, 1, None, None)
    before = model(X)
    widen(model, group, 11)
    torch.testing.assert_close(model(X), before, rtol=0, atol=1e-12)
    prune(model, group, range(6))
    silent = copy.deepcopy(model)
    with torch.no_grad():
        silent.conv.weight[[1, 4]] = silent.conv.bias[[1, 4]] = 0
    prune(model, group, [0, 2, 3, 5])
    assert model.conv.out_channels == 4
    torch.testing.assert_close(model(X), silent(X), rtol=0, atol=1e-12)


class Unflattened(nn.Module):
    """A linear layer, whose outputs become a map, and a convolution."""

    def __init__(self, unflatten: Callable[["Unflattened", Tensor], Tensor], channels: int) -> None:
        super().__init__()
        self.channels, self.side, self.shape = channels, 4, (channels, 4, 4)
        self.lift, self.conv = nn.Linear(3, channels * 16), nn.Conv2d(channels, 2, 1)
        self.layer, self.unflatten = nn.Unflatten(1, self.shape), unflatten

    def forward(self, x):
        return self.conv(self.unflatten(self, self.lift(x[:, :, 0, 0])))


UNFLATTENED: dict[str, Callable[[Unflattened, Tensor], Tensor]] = {
    "numbers of the module": lambda m, x: x.view(-1, m.channels, m.side, m.side),
    "channels last": lambda m, x: x.view(-1, m.side, m.side, m.channels).permute(0, 3, 1, 2),
    "a shape of the module": lambda m, x: x.view(len(x), *m.shape),
    "a layer": lambda m, x: m.layer(x),
}


@pytest.mark.parametrize("channels", [6, 4])
@pytest.mark.parametrize("name", UNFLATTENED)
def test_what_becomes_a_map_by_numbers_of_modules_has_channels(name, channels):
    torch.manual_seed(0)
    model = Unflattened(UNFLATTENED[name], channels).double()
    (group,) = (each for each in channel_groups(model, X) if each.name == "lift")
    assert (group.size, group.frozen, group.unprunable) == (channels, None, None)
    before = model(X)
    widen(model, group, 11)
    torch.testing.assert_close(model(X), before, rtol=0, atol=1e-12)
    prune(model, group, range(3))
    assert model(X).shape == before.shape and model.lift.out_features == 48


@pytest.mark.parametrize("name", ["numbers of the module", "a power of one"])
def test_as_many_channels_as_a_map_has_rows_follow_the_number_that_comes_once(name):
    model = Flattened(FLATTENED[name]).double()
    model.conv, model.head, model.channels = nn.Conv2d(3, 4, 1).double(), nn.Linear(64, 2).double(), 4
    (group,) = (each for each in channel_groups(model, X) if each.name == "conv")
    before = model(X)
    widen(model, group, 7)
    assert (model.channels, model.side) == (7, 4)
    torch.testing.assert_close(model(X), before, rtol=0, atol=1e-12)


class Neighbours(nn.Module):
    """An attention among nodes of a graph, whose sums are taken by numbers spread over heads and their channels."""

    def __init__(self) -> None:
        super().__init__()
        self.heads, self.size, self.lift, self.last = 2, 4, nn.Linear(3, 8), nn.Linear(8, 2)
        self.ours, self.theirs = nn.Parameter(torch.randn(1, 2, 4)), nn.Parameter(torch.randn(1, 2, 4))

    def forward(self, x, edges):
        source, target = edges
        h = self.lift(x).view(-1, self.heads, self.size)
        scores = F.leaky_relu((h * self.ours).sum(-1)[source] + (h * self.theirs).sum(-1)[target]).exp()
        total = torch.zeros(len(x), self.heads, dtype=x.dtype).index_add_(0, target, scores)
        message = (scores / total[target]).unsqueeze(-1) * h[source]
        places = target[:, None, None].expand(-1, self.heads, self.size)
        return self.last(F.elu(torch.zeros_like(h).scatter_add_(0, places, message).flatten(1)))


def test_numbers_spread_over_heads_and_their_channels_follow():
    torch.manual_seed(0)
    model = Neighbours().double()
    example = X[0, :, 0].T.contiguous(), torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]])
    before = model(*example)
    for heads in (False, True):
        (group,) = (each for each in channel_groups(model, example, heads=heads) if each.name == "lift")
        widen(model, group, group.size + 1)
        torch.testing.assert_close(model(*example), before, rtol=0, atol=1e-12)
        prune(model, group, range(group.size - 2, group.size))
        before = model(*example)


class Halves(nn.Module):
    """Two layers, between which a function takes parts of the channels."""

    def __init__(self, parts: Callable[["Halves", Tensor], Tensor]) -> None:
        super().__init__()
        self.first, self.last, self.parts = nn.Linear(4, 12), nn.Linear(6, 2), parts
        self.half, self.share = 6, 0.5

    def forward(self, x):
        return self.last(self.parts(self, self.first(x[:, :, 0, :]).tanh()))


def gated(a: Tensor, n: int) -> Tensor:
    return a[..., :n] * torch.sigmoid(a[..., n:])


def gated_by(a: Tensor, numbers: Tensor) -> Tensor:
    n = numbers[0]
    return a[..., :n] * torch.sigmoid(a[..., n:])


def both(a: Tensor, b: Tensor) -> Tensor:
    return a * b.sigmoid()


compiled, compiled_by = torch.jit.script(gated), torch.jit.script(gated_by)
HALVES: dict[str, Callable[[Halves, Tensor], Tensor]] = {
    "a quotient": lambda m, h: gated(h, int(h.shape[-1] / 2)),
    "a product": lambda m, h: gated(h, int(h.shape[-1] * m.share)),
    "rounded": lambda m, h: gated(h, round(h.shape[-1] / 2)),
    "floored": lambda m, h: gated(h, math.floor(h.shape[-1] * 0.5)),
    "of four parts": lambda m, h: sum(
        both(h[..., i * (n := int(h.shape[-1] / 4)) : (i + 1) * n], h[..., (3 - i) * n : (4 - i) * n]).repeat(1, 1, 2)
        for i in range(4)
    ),
    "from their starts": lambda m, h: both(
        *(h[..., i * (n := h.shape[-1] // 2) : i * n + n] for i in range(2)),
    ),
    "from the end": lambda m, h: both(h[..., : -(h.shape[-1] // 2)], h[..., -(h.shape[-1] // 2) :]),
    "rounded from the end": lambda m, h: both(h[..., : -round(h.shape[-1] / 2)], h[..., -int(h.shape[-1] / 2) :]),
    "what is left": lambda m, h: both(h[..., : h.shape[-1] // 2], h[..., h.shape[-1] - h.shape[-1] // 2 :]),
    "of a split": lambda m, h: both(*h.split([int(h.shape[-1] / 2), h.shape[-1] - int(h.shape[-1] / 2)], -1)),
    "begun with zeros": lambda m, h: (
        torch.zeros(len(h), 3, h.shape[-1] // 2, dtype=h.dtype) + h[..., : h.shape[-1] // 2]
    ),
    "begun with zeros of a quotient": lambda m, h: h.new_zeros(len(h), 3, int(h.shape[-1] / 2)).add_(h.chunk(2, -1)[1]),
    "compiled": lambda m, h: compiled(h, h.shape[-1] // 2),
    "compiled, a number of the module": lambda m, h: compiled(h, m.half),
    "a number in a tensor": lambda m, h: gated_by(h, torch.tensor([m.half])),
    "compiled, a number in a tensor": lambda m, h: compiled_by(h, torch.IntTensor([m.half])),
    "of several layers": lambda m, h: both(*(h[..., i * m.half : i * m.half + m.half] for i in range(2))),
}


@pytest.mark.parametrize("name", HALVES)
def test_parts_of_channels_at_computed_places_follow(name):
    torch.manual_seed(0)
    model = Halves(HALVES[name]).double()
    groups = [each for each in channel_groups(model, X) if each.name not in ("last", "first (input)")]
    assert all(each.frozen is None and each.unprunable is None for each in groups)
    before = model(X)
    for group in groups:
        widen(model, group, group.size + 3)
    assert model.first.out_features > 12
    torch.testing.assert_close(model(X), before, rtol=0, atol=1e-12)
    for group in groups:
        prune(model, group, range(group.size - 4))
    assert model(X).shape == before.shape and model.first.out_features < 12


@pytest.mark.parametrize("side", [2, 4])
def test_sides_of_a_map_that_equal_its_channels_are_none(side):
    model = nn.Sequential(nn.Conv2d(3, 8, 1), Halved(side), nn.Conv2d(4, 2, 1)).double()
    (group,) = (each for each in channel_groups(model, X[..., :side, :side]) if each.name == "0")
    assert (group.size, group.frozen, group.unprunable) == (4, None, None)


class Halved(nn.Module):
    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, x):
        half = int(x.shape[1] / 2)
        return (
            torch.zeros(len(x), half, self.side * 1, x.shape[3], dtype=x.dtype).add_(x[:, : x.shape[1] // 2, :4])
            * x[:, half:]
        )


class Written(Halves):
    def __init__(self) -> None:
        super().__init__(lambda m, h: gated(h, 6) * int(h.shape[-1] / 2) + gated_by(h, torch.tensor([6])))


def test_numbers_that_only_equal_a_part_are_found_out():
    torch.manual_seed(0)
    (first,) = (each for each in channel_groups(Written().double(), X) if each.name == "first")
    assert first.frozen and first.unprunable


class Modulated(nn.Module):
    """Two layers, whose factors and shifts lie one after another in what a third one writes."""

    def __init__(self, sizes: Callable[["Modulated", int, Tensor], int], narrow: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 6), nn.Linear(6, 8)])
        self.factors, self.last, self.widths = nn.Linear(4, 28), nn.Linear(8, 2), [6, 8]
        self.sizes, self.narrow = sizes, narrow

    def forward(self, x):
        x = x[:, :, 0, :].mean(1)
        factors, at = self.factors(x), 0
        for number, layer in enumerate(self.layers):
            x = layer(x)
            size = self.sizes(self, number, x)
            if self.narrow:
                x = (x * factors.narrow(1, at, size) + factors.narrow(1, at + size, size)).tanh()
            else:
                x = (x * factors[:, at : at + size] + factors[:, at + size : at + 2 * size]).tanh()
            at += 2 * size
        return self.last(x)


@pytest.mark.parametrize("narrow", [False, True])
@pytest.mark.parametrize(
    "sizes",
    [lambda m, i, x: m.layers[i].out_features, lambda m, i, x: m.widths[i], lambda m, i, x: x.shape[1]],
    ids=["a layer's number", "a number in a list", "a tensor's size"],
)
def test_parts_that_lie_one_after_another_follow(sizes, narrow):
    torch.manual_seed(0)
    model = Modulated(sizes, narrow).double()
    groups = [each for each in channel_groups(model, X) if each.name.startswith("layers") and each.size > 4]
    assert [(each.size, each.frozen, each.unprunable) for each in groups] == [(6, None, None), (8, None, None)]
    before = model(X)
    widen(model, groups[0], 9)
    widen(model, groups[1], 11)
    torch.testing.assert_close(model(X), before, rtol=0, atol=1e-12)
    prune(model, groups[0], range(3))
    prune(model, groups[1], [2, 5])
    assert model.factors.out_features == 10 and model(X).shape == before.shape
