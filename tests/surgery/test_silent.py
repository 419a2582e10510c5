"""Channels that change nothing at first: under norms over channels, and of queries and keys."""

import copy
from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from surgery_networks import randomise
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, transaction, widen

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Block(nn.Module):
    """A transformer's: norm first, queries and keys of one size, a branch scaled channel by channel."""

    def __init__(self, norm: type[nn.Module], scaled: bool) -> None:
        super().__init__()
        self.first, self.second, self.heads, self.head_dim = norm(8, eps=1e-3), norm(8, eps=1e-2), 2, 4
        self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 8)
        self.up, self.down = nn.Linear(8, 12), nn.Linear(12, 8)
        self.gamma = nn.Parameter(torch.rand(8)) if scaled else None

    def forward(self, x: Tensor) -> Tensor:
        n, length, _ = x.shape
        qkv = self.qkv(self.first(x)).reshape(n, length, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(*qkv).transpose(1, 2)
        x = x + self.out(mixed.reshape(n, length, self.heads * self.head_dim))
        branch = self.down(F.gelu(self.up(self.second(x))))
        return x + (branch if self.gamma is None else branch * self.gamma)


class Transformer(nn.Module):
    def __init__(self, norm: type[nn.Module], scaled: bool = False) -> None:
        super().__init__()
        self.stem, self.position = nn.Conv2d(3, 8, 2, 2), nn.Parameter(torch.randn(1, 4, 8))
        self.block, self.norm, self.head = Block(norm, scaled), norm(8, eps=0.1), nn.Linear(8, 2)
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, norm):
                    module.weight.uniform_(0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2) + self.position
        return self.head(self.norm(self.block(x)).mean(1))


def change(before: Tensor, after: Tensor) -> float:
    return float((before - after).detach().abs().max() / before.detach().abs().max())


def by_name(model: nn.Module):
    return {group.name: group for group in channel_groups(model, X) if group.unprunable is None}


@pytest.fixture(scope="module", params=[(nn.RMSNorm, False), (nn.RMSNorm, True), (nn.LayerNorm, False)], ids=str)
def transformer(request):
    torch.manual_seed(0)
    return Transformer(*request.param).double().eval()


@pytest.fixture
def traced(transformer):
    groups = by_name(transformer)
    assert {name: (group.frozen, group.step) for name, group in groups.items()} == dict.fromkeys(
        ("stem", "block.qkv", "block.up"), (None, 1)
    )
    return transformer, groups


def test_a_stream_under_norms_takes_any_size(traced):
    model, groups = traced
    before = model(X)
    with transaction(model) as snapshot:
        for size in (9, 16, 27, 54):
            widen(model, groups["stem"], size)
            assert change(before, model(X)) < 1e-12
        assert model.position.shape == (1, 4, 54) and model.norm.normalized_shape == (54,)
        model(X).sum().backward()
        assert model.stem.weight.grad[20].abs().max() > 1e-3  # new channels learn
        snapshot.restore()
    model.zero_grad()
    assert torch.equal(model(X), before) and model.norm.eps == 0.1


def test_queries_and_keys_take_any_size(traced):
    model, groups = traced
    before, group = model(X), groups["block.qkv"]
    with transaction(model) as snapshot:
        assert widen(model, group, 7) == [0, 1, 2, 3, -1, -1, -1]
        assert change(before, model(X)) < 1e-12 and model.block.head_dim == 7
        model(X).sum().backward()
        keys = model.block.qkv.weight.grad.view(3, 2, 7, -1)[1]
        assert keys[:, 4:].abs().max() > 0
        with pytest.raises(UserError, match="frozen"):
            remap(model, group, [*range(7), 0])
        snapshot.restore()
    model.zero_grad()


def test_gradients_and_averages_of_scaled_weights_follow(transformer):
    model = copy.deepcopy(transformer)
    optimizer = torch.optim.ASGD(model.parameters(), lr=1e-9, t0=0)
    model(X).square().sum().backward()
    optimizer.step()
    weight, gradient = model.norm.weight, model.norm.weight.grad.clone()
    average = optimizer.state[weight]["ax"].clone()
    widen(model, by_name(model)["stem"], 18, optimizer=optimizer)
    ratio = (8 / 18) ** 0.5
    assert torch.allclose(optimizer.state[model.norm.weight]["ax"][:8], average * ratio)
    optimizer.zero_grad()
    model(X).square().sum().backward()
    assert torch.allclose(model.norm.weight.grad[:8], gradient / ratio, rtol=1e-4)


class Stream(nn.Module):
    """A torch layer whose heads share the width of the stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 2, 2)
        self.layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True, norm_first=True)
        self.head = nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(self.stem(x).flatten(2).transpose(1, 2)).mean(1))


class Pooled(nn.Module):
    """What pools queries, keys or values: a convolution, and a norm over the size of a head."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.pool, self.norm_act = nn.Conv1d(width, width, 2, 2, groups=width), nn.Sequential(nn.LayerNorm(width))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm_act(self.pool(x.transpose(1, 2)).transpose(1, 2))


class MultiscaleAttention(nn.Module):
    """Scores are divided by a number that was set when it was built."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.qkv, self.project = nn.Conv2d(3, 8, 1), nn.Linear(8, 18), nn.Linear(6, 2)
        self.pool_k, self.pool_v, self.head_dim, self.scaler = Pooled(6), Pooled(6), 6, 6**-0.5

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).reshape(*x.shape[:2], 3, self.head_dim).unbind(2)
        scores = self.scaler * q @ self.pool_k(k).transpose(1, 2)
        return self.project(scores.softmax(-1) @ self.pool_v(v)).mean(1)


def test_norms_of_keys_that_lie_in_what_pools_them_are_divided():
    torch.manual_seed(0)
    model = randomise(MultiscaleAttention().double())
    group, before = by_name(model)["qkv"], model(X)
    assert group.frozen is None and group.step == 6
    widen(model, group, 18)
    assert change(before, model(X)) < 1e-12


def test_heads_that_share_the_width_of_the_stream_are_copied_as_wholes():
    torch.manual_seed(0)
    model = Stream().double()
    group, before = by_name(model)["stem"], model(X)
    assert group.frozen is None and group.step == group.size == 4  # a place in each of two heads
    for size in (8, 24):
        widen(model, group, size)
        assert change(before, model(X)) < 1e-12 and model.layer.self_attn.head_dim == size
    with pytest.raises(UserError, match="multiple of 24"):
        widen(model, group, 25)


def test_what_is_divided_by_a_norm_without_weights_takes_multiples_alone():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.GroupNorm(1, 4, affine=False), nn.Conv2d(4, 2, 1), nn.Flatten())
    (group,) = by_name(model.double()).values()
    before = model(X)
    assert group.frozen is None and group.step == 4
    widen(model, group, 12)
    assert change(before, model(X)) < 1e-12


class Windows(nn.Module):
    """Heads whose number is an attribute, with a learned bias for each."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.stem, self.heads, self.head_dim, self.table = (
            nn.Conv2d(3, 8, 2, 2),
            3,
            size,
            nn.Parameter(torch.randn(7, 3)),
        )
        self.qkv, self.out = nn.Linear(8, 36), nn.Linear(12, 2)
        self.register_buffer("places", (torch.arange(4)[:, None] - torch.arange(4)) + 3)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x).flatten(2).transpose(1, 2)
        q, k, v = self.qkv(x).reshape(len(x), 4, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
        bias = self.table[self.places.flatten()].view(4, 4, -1).permute(2, 0, 1)[None]
        return self.out(F.scaled_dot_product_attention(q, k, v, bias).transpose(1, 2).flatten(2)).mean(1)


@pytest.mark.parametrize("size", [4, -1])
def test_whole_heads_come_and_go_and_so_do_places_in_them(size):
    torch.manual_seed(0)
    model = Windows(size).double()
    places = by_name(model)["qkv"]
    heads = {group.name: group for group in channel_groups(model, X, heads=True)}["qkv"]
    assert (places.size, heads.size, heads.frozen, heads.step) == (4, 3, None, 1)
    before = model(X)
    widen(model, heads, 5)
    assert change(before, model(X)) < 1e-12 and model.heads == 5 and model.table.shape == (7, 5)
    init = {"producer": lambda slab: torch.randn(slab.shape), "scale": 0.0}
    remap(model, heads, [*range(5), -1], fresh=init)
    assert change(before, model(X)) < 1e-12 and model.qkv.weight[60 : 60 + 4].shape == (4, 8)
    prune(model, heads, [0, 1, 2])
    assert change(before, model(X)) < 1e-12 and model.heads == 3
    expected = copy.deepcopy(model)
    with torch.no_grad():
        expected.out.weight[:, 4:8] = 0
    prune(model, heads, [0, 2])
    assert change(expected(X), model(X)) < 1e-12 and model.out.in_features == 8
    with pytest.raises(UserError, match="stale"):
        prune(model, places, [0, 1])
    prune(model, by_name(model)["qkv"], [0, 1, 3])
    assert model.out.in_features == 6 and model(X).shape == (3, 2)


class Written(Windows):
    """Heads of at most as many places as they begin with."""

    def forward(self, x: Tensor) -> Tensor:
        assert self.head_dim <= 4
        return super().forward(x)


def test_sizes_beyond_those_that_the_code_bears_are_not_offered():
    group = by_name(Written(4).double())["qkv"]
    assert group.frozen == "sum over channels without a parameter to scale" and group.unprunable is None


@pytest.mark.parametrize("training", [False, True])
def test_whole_heads_of_torchs_attention_come_and_go_with_their_part_of_the_stream(training):
    torch.manual_seed(0)
    model = Stream().double().train(training)
    group = {g.name: g for g in channel_groups(model, X, heads=True)}["stem"]
    attention, before = model.layer.self_attn, model(X)
    assert (group.size, group.frozen, group.unprunable, group.step) == (2, None, None, 2)
    widen(model, group, 4)
    assert (attention.num_heads, attention.embed_dim, attention.head_dim) == (4, 16, 4)
    assert change(before, model(X)) < 1e-12 and model.stem.out_channels == 16
    prune(model, group, [3])
    assert (attention.num_heads, attention.embed_dim, attention.head_dim) == (1, 4, 4)
    assert model(X).shape == before.shape and model.stem.out_channels == 4


class Mixed(nn.Module):
    """Attentions of several kinds that share a stream: packed or not, scaled by a number or by the width of a head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.heads, self.scale, self.head = nn.Linear(3, 8), 2, 0.5, nn.Linear(8, 2)
        self.qkv, self.kv, self.q, self.proj = nn.Linear(8, 24), nn.Linear(8, 16), nn.Linear(8, 8), nn.Linear(8, 8)
        self.norm, self.k_norm = nn.LayerNorm(8), nn.LayerNorm(4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x.flatten(2).transpose(1, 2)))
        n, length, width = x.shape
        shape = (n, length, self.heads, width // self.heads)
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        x = x + ((q * self.scale) @ k.transpose(-2, -1)).softmax(-1).matmul(v).transpose(1, 2).reshape(n, length, width)
        k, v = self.kv(x).reshape(n, length, 2, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(self.q(x).reshape(shape).transpose(1, 2), k, v)
        return self.head(self.proj(mixed.transpose(1, 2).reshape(n, length, width)).mean(1))


class NormedKeys(Mixed):
    """Keys that go through a norm of their own."""

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.stem(x.flatten(2).transpose(1, 2)))
        n, length, width = x.shape
        q, k, v = self.qkv(x).reshape(n, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, self.k_norm(k), v)
        return self.head(self.proj(mixed.transpose(1, 2).reshape(n, length, width)).mean(1))


@pytest.mark.parametrize("kind", [Mixed, NormedKeys])
def test_keys_of_attentions_of_several_kinds_are_divided_as_their_code_asks(kind):
    torch.manual_seed(0)
    model = kind().double()
    stream, before = by_name(model)["stem"], model(X)
    assert (stream.size, stream.frozen, stream.step) == (4, None, 4)
    widen(model, stream, 12)
    assert change(before, model(X)) < 1e-12 and model.stem.out_features == 24


class Standardised(nn.Module):
    """Weights that are standardised, as in networks without norms, and factors of theirs."""

    class Conv(nn.Conv2d):
        def __init__(self, *arguments: int, groups: int = 1) -> None:
            super().__init__(*arguments, padding=1, groups=groups)
            self.gain, self.eps = nn.Parameter(torch.rand(arguments[1], 1, 1, 1)), 1e-4

        def forward(self, x: Tensor) -> Tensor:
            flat = self.weight.reshape(1, self.out_channels, -1)
            weight = F.batch_norm(flat, None, None, self.gain.view(-1), training=True, eps=self.eps)
            return F.conv2d(x, weight.reshape_as(self.weight), self.bias, padding=1, groups=self.groups)

    def __init__(self) -> None:
        super().__init__()
        conv = Standardised.Conv
        self.first, self.second, self.third = conv(3, 6, 3), conv(6, 4, 3, groups=2), conv(4, 6, 3)
        self.last = nn.Linear(6, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x).relu()
        return self.last((x + self.third(self.second(x).relu())).mean((2, 3)))


def test_standardised_weights_read_new_channels_by_their_mean():
    torch.manual_seed(0)
    model = Standardised().double()
    groups, before = by_name(model), model(X)
    assert {name: (group.frozen, group.step) for name, group in groups.items()} == dict.fromkeys(
        ("first", "second"), (None, 1)
    )
    for group in groups.values():
        for more in (1, 4):
            widen(model, group, group.size + more)
            assert change(before, model(X)) < 1e-12
    assert model.last.in_features == 16 and model.third.eps < 1e-4
    model(X).square().sum().backward()
    assert model.second.weight.grad[:, -1].abs().max() > 1e-6  # what reads new channels learns


class Preactivated(nn.Module):
    """Standardised weights without factors, which read norms through rectifiers; a plain layer reads the last norm."""

    class Conv(nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            flat = self.weight.reshape(1, self.out_channels, -1)
            weight = F.batch_norm(flat, None, None, training=True, eps=1e-4)
            return F.conv2d(x, weight.reshape_as(self.weight), None, padding=1)

    def __init__(self, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        conv = Preactivated.Conv
        self.stem, self.norm1, self.conv1 = conv(3, 8, 3), norm(8), conv(8, 12, 3)
        self.norm2, self.conv2, self.norm3, self.head = norm(12), conv(12, 8, 3), norm(8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.conv2(self.norm2(self.conv1(self.norm1(x).relu())).relu())
        return self.head(self.norm3(x).relu().mean((2, 3)))


@pytest.mark.parametrize("norm", [lambda width: nn.GroupNorm(4, width), nn.BatchNorm2d])
def test_norms_before_standardised_weights_are_divided_among_copies(norm):
    torch.manual_seed(0)
    model = Preactivated(norm).double()
    model(X)  # a batch norm has statistics then
    randomise(model.eval())
    groups, before = by_name(model), model(X)
    assert {name: (group.frozen, group.step) for name, group in groups.items()} == {
        name: (None, groups[name].size) for name in ("stem", "conv1")
    }
    for name, copies in (("stem", 3), ("conv1", 2), ("stem", 2)):
        widen(model, groups[name], groups[name].size * copies)
        assert change(before, model(X)) < 1e-12
    assert (model.head.in_features, model.norm2.weight.shape) == (48, (24,))


class Unit(nn.Module):
    """Channels divided by their length."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.last(F.normalize(self.first(x), dim=1))


def test_channels_that_are_divided_by_their_length_take_zeros():
    torch.manual_seed(0)
    model = Unit().double()
    group, before = by_name(model)["first"], model(X)
    widen(model, group, 8)
    assert change(before, model(X)) < 1e-12
    model(X).square().sum().backward()
    assert model.first.weight.grad[6:].abs().max() > 1e-6  # new channels learn


class Counting(nn.Module):
    """Channels divided by their length, and something that another number of them changes."""

    def __init__(self, factor: Callable[[int], float]) -> None:
        super().__init__()
        self.stem, self.head, self.factor = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1), factor

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(x)
        return self.head(F.normalize(y, dim=1)) * self.factor(y.shape[1])


@pytest.mark.parametrize(
    ("factor", "offered"),
    [
        (lambda width: 1.0, True),
        (lambda width: 2.0 if width > 97 else 1.0, False),
        (lambda width: {97: 2.0}.get(width, 1.0), False),
        (lambda width: 1.0 + (len(range(width)[97:]) > 0), False),
        (lambda width: 1.0 + float(torch.ones(width, device="cpu").sum() > 97), False),
    ],
    ids=["nothing", "a branch", "a table", "a count", "a sum"],
)
def test_channels_are_not_added_silently_where_the_code_counts_them(factor, offered):
    groups = {group.name: group for group in channel_groups(Counting(factor).double(), X)}
    assert (groups["stem"].frozen is None) == offered


class Dear(nn.Module):
    """Few channels that the code counts, behind maps that are large however few channels they have."""

    def __init__(self) -> None:
        super().__init__()
        self.early, self.stem, self.head = nn.Conv2d(1, 4, 1), nn.Conv2d(4, 6, 1), nn.Conv2d(6, 2, 1)
        self.places = nn.Parameter(torch.randn(1, 1, 450, 450))

    def forward(self, x: Tensor) -> Tensor:
        y = self.stem(F.relu(self.early(x + self.places)).mean((2, 3), keepdim=True))
        return self.head(F.normalize(y, dim=1)) * (2.0 if y.shape[1] > 97 else 1.0)


def test_sizes_that_the_code_names_are_tried_in_a_network_that_takes_much_memory():
    image = torch.randn(1, 1, 450, 450, generator=torch.Generator().manual_seed(0))
    groups = {group.name: group for group in channel_groups(Dear(), image)}
    assert groups["early"].frozen is None
    assert groups["stem"].frozen is not None


class Shorter(Unit):
    """It makes constants of the usual precision, which do not go with those of another."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) @ torch.eye(4)


def test_channels_are_added_where_a_run_in_double_precision_takes_more_than_the_code_gives():
    groups = {group.name: group for group in channel_groups(Shorter(), X.float())}
    assert any(group.frozen is None and group.number in group.map.silent for group in groups.values())
