"""Operators that few networks use: diagonals and inverses of matrices, masks, tables of bounds, losses, gradients."""

import copy
import random

import pytest
import torch
import torch.nn.functional as F
from random_networks import silenced
from sampling import part
from torch import Tensor, nn

from growsearch.surgery import channel_groups, prune, widen
from growsearch.surgery.labels import Bond

X = torch.randn(3, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
PLACES = torch.arange(6)
BOUNDS = torch.tensor([-0.5, 0.0, 0.5], dtype=torch.float64)


class Between(nn.Module):
    """A function of six channels between a convolution and what reads them."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function, self.first = function, nn.Conv2d(3, 6, 1)
        self.second, self.third = nn.Conv2d(6, 5, 1), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        h = self.function(self.first(x))
        return self.third(self.second(h).tanh().mean((2, 3)))


def last(h: Tensor) -> Tensor:
    return h.movedim(1, -1)


def gram(h: Tensor) -> tuple[Tensor, Tensor]:
    """Places as columns, and the products of each two channels."""
    flat = h.flatten(2)
    return flat, flat @ flat.transpose(1, 2) / 36


def applied(h: Tensor, matrix: Tensor) -> Tensor:
    return (matrix @ h.flatten(2)).view(h.shape)


def regular(h: Tensor) -> Tensor:
    return gram(h)[1] + torch.eye(h.shape[1], dtype=h.dtype)


def picked_rows(h: Tensor) -> Tensor:
    rows = last(h)
    return rows.masked_select((PLACES > -1)[:, None]).view(rows.shape).movedim(-1, 1)


def put_rows(h: Tensor) -> Tensor:
    rows = last(h)
    mask = (PLACES > 2)[:, None].expand_as(rows)
    return rows.masked_scatter(mask, rows.tanh().reshape(-1, rows.shape[-1])).movedim(-1, 1)


def descended(h: Tensor) -> Tensor:
    """Against the slope of what a norm, a softmax and poolings make of it."""
    with torch.enable_grad():
        h = h.detach().requires_grad_()
        small = F.avg_pool2d(F.interpolate(h, scale_factor=2, mode="bilinear"), 2)[:, :, 1:, 2]
        (slope,) = torch.autograd.grad((small.softmax(2) * h[:, :, 1:, 0]).tanh(), h, torch.ones_like(small))
    return h - slope


EXACT = {
    "bucketize": lambda h: h * torch.bucketize(h, BOUNDS),
    "searchsorted": lambda h: h * torch.searchsorted(BOUNDS, h),
    "rows that are searched": lambda h: h * torch.searchsorted(h.sort(-1)[0], h.tanh()),
    "isin": lambda h: h * torch.isin(h.round(), torch.tensor([0.0, 1.0])),
    "fractional": lambda h: F.fractional_max_pool2d(h, 2, (3, 3), _random_samples=h.new_full((*h.shape[:2], 2), 0.3)),
    "fractional in three dimensions": lambda h: F.fractional_max_pool3d(
        h[:, :, None].expand(-1, -1, 5, -1, -1), 2, (2, 3, 3), _random_samples=h.new_full((*h.shape[:2], 3), 0.3)
    ).mean(2),
    "diagonal of places": lambda h: h + h.diagonal(dim1=2, dim2=3).unsqueeze(-1),
    "diagonal of channels": lambda h: h * gram(h)[1].diagonal(dim1=1, dim2=2)[..., None, None],
    "einsum": lambda h: h * torch.einsum("bcc->bc", gram(h)[1])[..., None, None],
    "rows by a mask": picked_rows,
    "rows put by a mask": put_rows,
    "places by rank": lambda h: torch.take_along_dim(h, h.argsort(2), 2),
    "extremes": lambda h: h * torch.aminmax(h.flatten(2), dim=2)[1][..., None, None],
    "spread": lambda h: h * torch.std_mean(h, (2, 3), keepdim=True)[0],
    "sums": lambda h: h.nansum(2, keepdim=True) * h.relu().count_nonzero((2, 3))[..., None, None],
    "pointwise": lambda h: torch.polar(torch.heaviside(h, h.exp()), h).real * torch.special.i0e(h) - h.deg2rad(),
    "turned": lambda h: h.rot90(1, (2, 3)),
    "product across": lambda h: torch.linalg.cross(h[..., :3], h[..., 3:], dim=-1),
    "inverse of places": lambda h: torch.linalg.inv(h + 9 * torch.eye(6, dtype=h.dtype)),
    "triangle of places": lambda h: h.tril(1),
    "put in place": lambda h: h.select_scatter(h.mean(2), 2, 1).slice_scatter(h[..., :2].tanh(), 3, 3, 5),
    "squeezed in place": lambda h: h.mean(3, keepdim=True).squeeze_(3).unsqueeze_(-1),
    "loss entry by entry": lambda h: F.mse_loss(h, h.tanh(), reduction="none"),
    "runs": lambda h: torch.segment_reduce(h.movedim(2, 0).contiguous(), "max", lengths=torch.tensor([2, 4])).movedim(
        0, 2
    ),
    "derivative": lambda h: torch.func.jvp(torch.tanh, (h,), (h,))[1],
    "against a slope": descended,
}
COPIES_ARE_EVEN = {
    "mean loss": lambda h: h * F.smooth_l1_loss(h, h.tanh()) + F.binary_cross_entropy_with_logits(h, h.sigmoid()),
    "extremes of channels": lambda h: h * torch.aminmax(h, dim=1, keepdim=True)[1],
}
ONLY_CUT = {
    "on a diagonal": lambda h: applied(h, torch.diag_embed(h.mean((2, 3)))),
    "inverse": lambda h: applied(h, torch.linalg.inv(regular(h))),
    "equations": lambda h: torch.linalg.solve(regular(h), h.flatten(2)).view(h.shape),
    "determinant": lambda h: h * torch.logdet(regular(h))[:, None, None, None],
    "exponential": lambda h: applied(h, torch.matrix_exp(gram(h)[1])),
    "bounded": lambda h: h.renorm(2, 0, 1.0),
    "distance": lambda h: h * torch.dist(h, h.tanh()),
    "pairs": lambda h: h * torch.stack([F.pdist(each.flatten(1).T).mean() for each in h])[:, None, None, None],
    "summed loss": lambda h: h * F.mse_loss(h, h.tanh(), reduction="sum"),
}
NEITHER = {
    "a diagonal beside": lambda h: h * h.diagonal(1, dim1=1, dim2=2).mean(2)[:, None, :, None][:, :, :1],
    "eigenvectors": lambda h: applied(h, torch.linalg.eigh(gram(h)[1])[1]),
    "entries by a mask": lambda h: h * h.masked_select(h > 0).mean(),
    "entries put by a mask": lambda h: h.masked_scatter(h > 0, h.tanh()),
    "classes": lambda h: h * F.cross_entropy(h, h.new_zeros(len(h), 6, 6).long()),
    "drawn channels": lambda h: h * torch.multinomial(h.mean((2, 3)).softmax(1), 2).sum(),
}


def made(function, seed: int = 0) -> tuple[nn.Module, list]:
    torch.manual_seed(seed)
    model = Between(function).double().eval()
    groups = [group for group in channel_groups(model, X) if "first" in group.producers]
    assert len(groups) == 1
    return model, groups[0]


@pytest.mark.parametrize("name", part([*EXACT, *COPIES_ARE_EVEN], 4))
def test_channels_are_widened_exactly_and_cut_as_if_silent(name):
    model, group = made(EXACT.get(name) or COPIES_ARE_EVEN[name])
    assert (group.frozen, group.unprunable) == (None, None)
    assert group.map.bonds[group.number] is (Bond.FREE if name in EXACT else Bond.EVEN)
    before, net = model(X), copy.deepcopy(model)
    widen(net, group.on(group.map.on(net)), group.size + 2 * group.step)
    assert torch.allclose(net(X), before, rtol=0, atol=1e-9)
    keep = sorted(random.Random(0).sample(range(6), 4))
    expected = silenced(model, group, keep)(X)
    prune(model, group, keep)
    assert name not in EXACT or torch.allclose(model(X), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", part(ONLY_CUT))
def test_channels_whose_copies_would_show_are_cut(name):
    model, group = made(ONLY_CUT[name])
    assert group.unprunable is None and group.map.frozen[group.number] is not None
    prune(model, group, [0, 2, 3])
    assert model(X).shape == (3, 2)


@pytest.mark.parametrize("name", NEITHER)
def test_channels_whose_numbers_count_stay(name):
    _, group = made(NEITHER[name])
    assert group.frozen is not None and group.unprunable is not None


def test_a_sum_over_a_weight_that_is_read_too_is_no_copy():
    class Read(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 6), nn.Linear(6, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x.mean((2, 3))).tanh()) * self.second.weight.amax(1)

    group = next(group for group in channel_groups(Read().double(), X, prove=False) if "first" in group.producers)
    assert "otherwise" in group.frozen and group.unprunable is None


class Graph(nn.Module):
    """Layers of a graph, whose neighbours a sparse matrix sums up."""

    def __init__(self, gather, matrix) -> None:
        super().__init__()
        self.first, self.last, self.gather = nn.Linear(5, 6), nn.Linear(6, 2), gather
        self.register_buffer("neighbours", matrix)

    def forward(self, x):
        return self.last(self.gather(self.neighbours, self.first(x)).relu())


NEIGHBOURS = torch.tensor([[0.5, 0.5, 0, 0], [0, 0.2, 0.8, 0], [1, 0, 0, 0], [0, 0, 0, 1]], dtype=torch.float64)
GATHERED = {
    "a sparse product": torch.sparse.mm,
    "a product": lambda a, h: a @ h,
    "transposed": lambda a, h: torch.spmm(a.t(), h),
    "made dense": lambda a, h: a.to_dense() @ h,
}


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize("name", GATHERED)
def test_channels_behind_sparse_matrices_are_widened_and_cut(name, rows):
    torch.manual_seed(0)
    x = torch.randn(4, 5, dtype=torch.float64)
    model = Graph(GATHERED[name], NEIGHBOURS.to_sparse_csr() if rows else NEIGHBOURS.to_sparse()).double()
    (group,) = (each for each in channel_groups(model, x) if each.name == "first")
    before = model(x)
    widen(model, group, 9)
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-12)
    prune(model, group, range(6))
    torch.testing.assert_close(model(x), before, rtol=0, atol=1e-12)
    assert model.neighbours.layout is not torch.strided


def test_channels_that_a_sparse_matrix_mixes_stay():
    model = Graph(lambda a, h: (a @ h.t()).t(), torch.eye(6, dtype=torch.float64).to_sparse()).double()
    groups = channel_groups(model, torch.randn(4, 5, dtype=torch.float64))
    assert {each.unprunable for each in groups if each.name == "first"} == {"a sparse tensor"}
