"""Entries written by numbers, constants of the code, weights of several dimensions, and sizes that are too few."""

import copy

import pytest
import torch
import torch.nn.functional as F
from prunable_networks import silenced
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import ChannelGroup, channel_groups, prune, remap, widen

X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
ROWS = torch.tensor([0, 2])


class Between(nn.Module):
    """Two convolutions, and what is made of the first one's result."""

    def __init__(self, between, norm: nn.Module | None = None) -> None:
        super().__init__()
        self.first, self.second, self.norm = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1), norm
        self.between, self.groups = between, 6

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self, self.first(x)).relu())


def handle(model: nn.Module, name: str = "first", x: Tensor = X) -> ChannelGroup:
    return next(group for group in channel_groups(model, x) if group.name == name)


def assert_free(model: nn.Module, name: str, x: Tensor = X) -> None:
    """Widening keeps what is computed, in both modes, and a cut is that of channels that nothing reads."""
    group = handle(model, name, x)
    assert group.frozen is group.unprunable is None, group
    modes = (False, True)
    before = [copy.deepcopy(model).train(mode)(x) for mode in modes]
    widen(model, group, 2 * group.size + 1)
    assert all(
        torch.allclose(copy.deepcopy(model).train(mode)(x), y, rtol=1e-10, atol=1e-10)
        for mode, y in zip(modes, before, strict=True)
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.rand(parameter.shape, generator=torch.Generator().manual_seed(2)))
    expected = silenced(model, [(group, [1, 3])])(x)
    prune(model, group, [channel for channel in range(group.size) if channel not in (1, 3)])
    assert torch.allclose(model(x), expected, rtol=1e-10, atol=1e-10)


def rows_put(model, h):
    z = torch.zeros_like(h)
    z[ROWS] = h[:2] * 2
    z[:, :, ROWS, ROWS] = h[..., :2, 0]
    return z


def masked(model, h):
    h = h.clone()
    h[h < 0] = -1
    h.permute(0, 2, 3, 1)[:, ROWS] = 0.5
    return h


WRITTEN = {
    "rows": rows_put,
    "where a mask says": masked,
    "summed": lambda m, h: torch.zeros_like(h).index_add(0, torch.tensor([0, 0, 1, 1]), h),
    "filled and copied": lambda m, h: h.index_fill(3, ROWS, 0).index_copy(2, ROWS, h[:, :, :2]),
    "spread": lambda m, h: h + torch.ones(1, dtype=h.dtype).broadcast_to(h.shape),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_what_is_written_beside_the_channels_leaves_them_free(name):
    torch.manual_seed(0)
    assert_free(Between(WRITTEN[name]).double(), "first")


LINE = torch.linspace(-1, 1, 6, dtype=torch.float64)


@pytest.mark.parametrize(
    "between",
    [lambda m, h: h + LINE, lambda m, h: torch.where(LINE > 0, h, -h), lambda m, h: h.masked_fill(LINE > 0, 0)],
)
def test_constants_that_lie_outside_of_the_network_are_known(between):
    torch.manual_seed(0)
    assert_free(Between(between).double(), "first")


class Tokens(nn.Module):
    """Asks whether anything is padded by a mask that is made in its code."""

    def __init__(self, mask) -> None:
        super().__init__()
        self.first, self.last, self.mask = nn.Embedding(9, 6), nn.Linear(6, 2), mask

    def forward(self, numbers: Tensor) -> Tensor:
        h = self.first(numbers)
        return self.last(h.mean(1) if self.mask(numbers, h).all() else h.sum(1))


def test_a_tensor_filled_with_one_number_is_known_unless_its_shape_is_to_change():
    groups = channel_groups(Tokens(lambda numbers, h: torch.ones_like(numbers)), torch.zeros(2, 5, dtype=torch.int64))
    assert [group.frozen for group in groups if group.name == "first"] == [None]
    with pytest.raises(UserError, match="without values"):
        channel_groups(Tokens(lambda numbers, h: torch.ones_like(h)), torch.zeros(2, 5, dtype=torch.int64))


def channels_put(model, h):
    h = h.clone()
    h[:, ROWS] = 1.0
    return h


@pytest.mark.parametrize("between", [channels_put, lambda m, h: h.index_fill(1, ROWS, 1)])
def test_channels_written_by_their_numbers_stay(between):
    group = handle(Between(between).double())
    assert group.unprunable == "entries put in places by their numbers"


NORMS = {
    "layer": lambda m, h: m.norm(h),
    "attribute": lambda m, h: F.group_norm(h, m.groups),
    "size": lambda m, h: F.group_norm(h, h.shape[1]),
}


@pytest.mark.parametrize("name", NORMS)
def test_a_group_norm_of_single_channels_has_as_many_groups_as_channels(name):
    torch.manual_seed(0)
    model = Between(NORMS[name], nn.GroupNorm(6, 6) if name == "layer" else None).double()
    assert_free(model, "first")
    group = handle(model)
    prune(model, group, [0])
    widen(model, group, 3)
    with torch.no_grad():
        model.first.weight[1:] += 1.0  # a norm of one group would mix these
    before = model(X)
    widen(model, group, 4)
    assert torch.allclose(model(X), before, rtol=1e-10, atol=1e-10)
    assert model.groups == (4 if name == "attribute" else 6) and (name != "layer" or model.norm.num_groups == 4)


class Einsum(nn.Module):
    """Weights with a dimension of heads and one of places in them."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Parameter(torch.randn(3, 2, 4)) for _ in range(3))
        self.out = nn.Parameter(torch.randn(2, 4, 5))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (torch.einsum("bti,ihd->bthd", x, each) for each in (self.query, self.key, self.value))
        scores = torch.einsum("bqhd,bkhd->bhqk", q, k).softmax(-1)
        return torch.einsum("bhqk,bkhd,hdo->bqo", scores, v, self.out)


class Experts(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.route = nn.Linear(3, 3)
        self.up, self.down = nn.Parameter(torch.randn(3, 3, 8)), nn.Parameter(torch.randn(3, 8, 2))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.einsum("bti,eih->bteh", x, self.up).relu()
        return torch.einsum("bteh,eho,bte->bto", hidden, self.down, self.route(x).softmax(-1))


class Mixed(nn.Module):
    """A kernel for each sample, mixed from some."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.route, self.last = nn.Linear(3, 6), nn.Linear(6, 3), nn.Linear(5, 2)
        self.kernels = nn.Parameter(torch.randn(3, 7, 6, 3))
        self.reduce = nn.Conv1d(7, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).transpose(1, 2)
        weight = torch.einsum("bk,koiw->boiw", self.route(h.mean(2)).sigmoid(), self.kernels)
        y = F.conv1d(h.reshape(1, -1, h.shape[2]), weight.flatten(0, 1), padding=1, groups=len(h))
        return self.last(self.reduce(y.view(len(h), -1, h.shape[2]).relu()).transpose(1, 2))


@pytest.mark.parametrize(("kind", "name"), [(Einsum, "value"), (Experts, "up"), (Mixed, "kernels")])
def test_one_of_several_dimensions_of_channels_that_a_view_merges_is_free(kind, name):
    torch.manual_seed(0)
    assert_free(kind().double(), name, X.flatten(2).transpose(1, 2).contiguous())


def second_largest(model, h):
    return h * h.topk(2, 1)[0].sum(1, keepdim=True)


LEAST = {
    "picked": (second_largest, 2),
    "half of them": (lambda m, h: h * (h >= h.topk(h.shape[1] // 2, 1)[0][:, -1:]), 2),
    "squeezed": (lambda m, h: h.mean((2, 3), True).squeeze().unsqueeze(-1).unsqueeze(-1).expand(-1, -1, 6, 6), 2),
    "any": (lambda m, h: h, 1),
}


@pytest.mark.parametrize("name", LEAST)
def test_no_cut_leaves_fewer_channels_than_the_code_needs(name):
    between, least = LEAST[name]
    torch.manual_seed(0)
    model = Between(between).double()
    group = handle(model)
    assert group.unprunable is None and group.least == least
    prune(model, group, range(least))
    model(X)
    if least > 1:
        with pytest.raises(UserError, match=r"1 channels are too few .*; keep at least 2"):
            prune(model, group, [0])
        with pytest.raises(UserError, match="too few"):
            remap(model, group, [1])
    assert model.first.out_channels == least


@pytest.mark.parametrize("end", ["distances", "product with a vector"])
def test_what_mixes_channels_last_shows_no_order_of_theirs(end):
    class Ending(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.table = nn.Linear(3, 6), nn.Parameter(torch.randn(7, 6))

        def forward(self, x: Tensor) -> Tensor:
            h = self.first(x.mean((2, 3))).softmax(1)
            return torch.cdist(h, self.table) if end == "distances" else h @ self.table[0]

    assert handle(Ending().double()).unprunable is None


@pytest.mark.parametrize(
    "between",
    [
        lambda m, h: h * (h > 0).nonzero().shape[0],
        lambda m, h: h * h[h > 0].mean(),
        lambda m, h: h + h[:, h.mean((0, 2, 3)) > 0].sum(1, keepdim=True),
    ],
)
def test_channels_that_values_pick_are_frozen(between):
    assert handle(Between(between).double()).frozen in ("an index", "places found by values")


class MeanOfNeighbours(nn.Module):
    """A layer of a graph, whose code counts the edges of each node."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.first, self.last, self.options = nn.Linear(4, 6), nn.Linear(6, 2), options

    def forward(self, x, edges):
        h = self.first(x)
        count = torch.bincount(edges[1], **self.options).clamp(min=1)
        return self.last((torch.zeros_like(h).index_add_(0, edges[1], h[edges[0]]) / count[:, None]).relu())


def test_channels_beside_counts_of_edges_are_widened_and_cut():
    torch.manual_seed(0)
    x, edges = torch.randn(5, 4, dtype=torch.float64), torch.tensor([[0, 1, 2, 3, 0], [1, 2, 3, 4, 2]])
    model = MeanOfNeighbours(minlength=5).double()
    (group,) = (each for each in channel_groups(model, (x, edges)) if each.name == "first")
    before = model(x, edges)
    widen(model, group, 9)
    torch.testing.assert_close(model(x, edges), before, rtol=0, atol=1e-12)
    prune(model, group, range(4))
    assert model(x, edges).shape == before.shape
    with pytest.raises(UserError, match="depends on values; give it minlength"):
        channel_groups(MeanOfNeighbours().double(), (x, edges))
