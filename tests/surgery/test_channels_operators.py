"""Operators of fewer networks: recurrent layers, products of two inputs, sorting, norms over neighbouring channels."""

import copy

import pytest
import torch
import torch.nn.functional as F
from prunable_networks import silenced
from sampling import part
from torch import nn
from torch.nn.utils import parametrizations

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, widen
from growsearch.surgery.stand_in import StandIn

X = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


class Recurrent(nn.Module):
    """A recurrent layer, or cell, between linear ones."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.first, self.layer, self.last = nn.Linear(5, 7), layer, nn.Linear(width, 2)

    def forward(self, x):
        x, state = self.first(x), None
        if isinstance(self.layer, nn.RNNBase):
            return self.last(self.layer(x)[0][:, -1])
        for step in x.unbind(1):
            state = self.layer(step, state)
        return self.last(state[0] if isinstance(state, tuple) else state)


class Product(nn.Module):
    """A weight that reads two inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.left, self.right, self.both, self.last = (
            nn.Linear(5, 6),
            nn.Linear(5, 7),
            nn.Bilinear(6, 7, 5),
            nn.Linear(5, 2),
        )

    def forward(self, x):
        x = x.mean(1)
        return self.last(self.both(self.left(x).relu(), self.right(x).tanh()))


class Sorted(nn.Module):
    """The largest places of each channel, and their median."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(4, 6, 1), nn.Linear(6, 2)

    def forward(self, x):
        x = self.first(x)
        return self.last(x.topk(2, 2)[0].mean(2) + x.sort(2)[0][:, :, 0] + x.kthvalue(3, 2)[0])


class Unpooled(nn.Module):
    """Entries that go back to where a pooling found them, beside places of another size."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.inner, self.last = nn.Conv2d(4, 6, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 2, 1)
        self.places = nn.Parameter(torch.randn(1, 6, 1, 3))

    def forward(self, x):
        x = self.first(x.unsqueeze(2))
        for mode in ("bilinear", "bicubic"):
            x = x + F.interpolate(self.places, size=x.shape[2:], mode=mode, antialias=True)
        small, where = F.max_pool2d(x, (1, 2), return_indices=True)
        return self.last(F.max_unpool2d(self.inner(small), where, (1, 2), output_size=x.shape[2:]))


NETWORKS = {
    **{kind: lambda kind=kind: Recurrent(getattr(nn, kind)(7, 6, batch_first=True), 6) for kind in ("RNN", "GRU")},
    **{kind: lambda kind=kind: Recurrent(getattr(nn, kind)(7, 6), 6) for kind in ("RNNCell", "LSTMCell", "GRUCell")},
    "LSTM": lambda: Recurrent(nn.LSTM(7, 6, 2, batch_first=True, bidirectional=True), 12),
    "projected LSTM": lambda: Recurrent(nn.LSTM(7, 6, batch_first=True, proj_size=3), 3),
    "bilinear": Product,
    "sorted places": Sorted,
    "unpooled": Unpooled,
}


@pytest.mark.parametrize("kind", part(NETWORKS))
def test_all_channels_are_cut_as_if_silent_and_widened_exactly(kind):
    torch.manual_seed(0)
    model = NETWORKS[kind]().double()
    ends = ("network input", "network output", "combined with a dimension of fixed size")
    groups = [group for group in channel_groups(model, X) if group.frozen not in ends]
    assert len(groups) >= (1 if kind in ("sorted places", "unpooled") else 2)
    assert all(group.frozen is None and group.unprunable is None for group in groups), groups
    expected = silenced(model, [(group, [1]) for group in groups])(X)
    for group in groups:
        prune(model, group, [channel for channel in range(group.size) if channel != 1])
    assert torch.allclose(model(X), expected, rtol=0, atol=1e-12)
    for group in groups:
        widen(model, group, 2 * group.size + 1)
    assert torch.allclose(model(X), expected, rtol=0, atol=1e-12)
    again = {(group.name, group.size, group.frozen) for group in channel_groups(model, X, prove=False)}
    assert {(group.name, group.size, group.frozen) for group in groups} <= again


def test_recurrent_layers_know_their_sizes():
    model = NETWORKS["LSTM"]()
    (group,) = (group for group in channel_groups(model, X.float(), prove=False) if group.name == "layer")
    prune(model, group, [3, 0])
    assert model.layer.hidden_size == 2 and model.layer.input_size == 7
    assert model.last.in_features == 4


class Windowed(nn.Module):
    """Efficient channel attention: a window slides along the channels, and gates them."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv1d(4, 6, 1, bias=False), nn.BatchNorm1d(6)
        self.window, self.last = nn.Conv1d(1, 1, 3, padding=1, bias=False), nn.Conv1d(6, 2, 1)

    def forward(self, x):
        x = self.norm(self.first(x)).relu()
        return self.last(x * self.window(x.mean(2)[:, None]).sigmoid().transpose(1, 2))


class Unbiased(nn.Module):
    """A norm by the variance with one degree of freedom less, before a depthwise convolution and after."""

    class Norm(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight, self.eps = nn.Parameter(torch.rand(6, 1)), 1e-3

        def forward(self, x):
            return x * (x.var(1, keepdim=True) + self.eps).rsqrt() * self.weight

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm, self.last = nn.Conv1d(4, 6, 1), Unbiased.Norm(), nn.Conv1d(6, 2, 1)
        self.each = nn.Conv1d(6, 6, 3, padding=1, groups=6)

    def forward(self, x):
        return self.last(self.norm(self.each(self.norm(self.first(x)))))


@pytest.mark.parametrize(("network", "step"), [(Windowed, 1), (Unbiased, 6)])
def test_channels_that_change_nothing_are_added_where_copies_would_be_seen(network, step):
    torch.manual_seed(0)
    model = network().double()
    group = next(group for group in channel_groups(model, X) if group.name == "first")
    assert group.frozen is None and group.step == step and group.map.frozen[group.number] is not None
    before = {mode: model.train(mode)(X) for mode in (True, False)}
    for _ in range(2):
        assert -1 in widen(model, group, group.size + group.step) or step > 1
        for mode, expected in before.items():
            norm = getattr(model, "norm", None)
            kept = {name: buffer.clone() for name, buffer in norm.named_buffers()}
            assert torch.allclose(model.train(mode)(X), expected, rtol=0, atol=1e-9)
            norm.load_state_dict(kept, strict=False)


@pytest.mark.parametrize("norm", [nn.LocalResponseNorm(3), nn.LocalResponseNorm(4)])
def test_a_norm_over_neighbours_lets_channels_be_cut(norm):
    model = nn.Sequential(nn.Conv1d(4, 6, 1), norm, nn.Conv1d(6, 5, 1), nn.ReLU(), nn.Conv1d(5, 2, 1)).double()
    first, second = (
        group for group in channel_groups(model, X) if group.producers and group.frozen != "network output"
    )
    assert first.map.frozen[first.number] == "avg_pool2d over channels" and first.frozen is None
    assert first.unprunable is None and second.frozen is None
    kept = nn.Sequential(nn.Conv1d(4, 4, 1), norm, nn.Conv1d(4, 5, 1), nn.ReLU(), nn.Conv1d(5, 2, 1)).double()
    state = model.state_dict()
    keep = [0, 2, 3, 5]
    state |= {
        "0.weight": state["0.weight"][keep],
        "0.bias": state["0.bias"][keep],
        "2.weight": state["2.weight"][:, keep],
    }
    kept.load_state_dict(state)
    prune(model, first, keep)
    assert torch.equal(model(X), kept(X))


def test_what_is_picked_among_channels_can_be_cut_or_not():
    class Picked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.last = nn.Linear(5, 6), nn.Linear(6, 7), nn.Linear(3, 2)

        def forward(self, x):
            return self.last(self.second(self.first(x.mean(1)).sort(1)[0]).topk(3, 1)[0])

    groups = {group.name: group for group in channel_groups(Picked(), X.float())}
    assert groups["first"].frozen == "sort over channels" and groups["first"].unprunable is None
    assert "topk" in groups["second"].frozen or "fails" in groups["second"].frozen


class Rotary(nn.Module):
    """Pairs of places of each head are rotated by angles that a buffer holds, neighbours or halves."""

    def __init__(self, halves: bool) -> None:
        super().__init__()
        self.halves, self.heads = halves, 2
        self.qk, self.last = nn.Linear(4, 24), nn.Linear(25, 2)
        angles = torch.rand(5, 3)
        self.register_buffer("angles", torch.cat([angles, angles], 1) if halves else angles.repeat_interleave(2, 1))

    def rotated(self, x):
        if self.halves:
            first, second = x.chunk(2, -1)
            turned = torch.cat([-second, first], -1)
        else:
            turned = torch.stack([-x[..., 1::2], x[..., ::2]], -1).reshape(x.shape)
        return x * self.angles.cos() + turned * self.angles.sin()

    def forward(self, x):
        q, k = self.qk(x.transpose(1, 2)).reshape(len(x), 5, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        return self.last((self.rotated(q) @ self.rotated(k).transpose(-2, -1)).mean(1).flatten(1))


class Chunked(nn.Module):
    """Parts of ten channels by ``chunk``, of which the last is shorter."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv1d(4, 10, 1), nn.Conv1d(10, 2, 1)
        self.parts = nn.ModuleList(nn.Conv1d(4, 4, 3, padding=1, groups=4) for _ in range(2))

    def forward(self, x):
        one, two, rest = self.first(x).chunk(3, 1)
        one = self.parts[0](one)
        return self.last(torch.cat([one, self.parts[1](one + two), rest], 1))


class Rest(nn.Module):
    """Some channels, whose number the module holds, and what they leave."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.first, self.few, self.last = nn.Conv1d(4, dim, 1), nn.Conv1d(3, 3, 3, padding=1), nn.Conv1d(dim, 2, 1)
        self.dim, self.part = dim, 3

    def forward(self, x):
        one, rest = torch.split(self.first(x), [self.part, self.dim - self.part], dim=1)
        return self.last(torch.cat([self.few(one), rest.relu()], 1))


class Blocks(nn.Module):
    """Linear attention whose heads are blocks of a grouped convolution, of a size that the code holds."""

    def __init__(self) -> None:
        super().__init__()
        self.dim, heads = 2, 3
        self.qkv, self.last = nn.Conv1d(4, 3 * heads * self.dim, 1), nn.Conv1d(2 * heads * self.dim, 2, 1)
        self.local = nn.Conv1d(3 * heads * self.dim, 3 * heads * self.dim, 1, groups=3 * heads)

    def forward(self, x):
        x = self.qkv(x)
        x = torch.cat([x, self.local(x)], 1).reshape(len(x), -1, 3 * self.dim, 5).transpose(-1, -2)
        q, k, v = x.chunk(3, -1)
        return self.last((q @ (k.transpose(-1, -2) @ v)).transpose(-1, -2).reshape(len(x), -1, 5))


def cut(group):
    """All but the second channel."""
    return [channel for channel in range(group.size) if channel != 1]


@pytest.mark.parametrize("halves", [True, False])
def test_pairs_that_are_rotated_are_cut_together(halves):
    torch.manual_seed(0)
    model = Rotary(halves).double()
    (group,) = (group for group in channel_groups(model, X) if group.name == "qk")
    assert group.size == 3 and group.unprunable is None
    expected = silenced(model, [(group, [1])])(X)
    prune(model, group, cut(group))
    assert model.angles.shape == (5, 4) and torch.allclose(model(X), expected, rtol=0, atol=1e-12)


def test_parts_of_a_chunk_keep_what_the_last_has_less():
    torch.manual_seed(0)
    model = Chunked().double()
    (group,) = (group for group in channel_groups(model, X) if group.name == "first" and group.frozen is None)
    assert group.size == 2
    expected = silenced(model, [(group, [1])])(X)
    prune(model, group, cut(group))
    assert model.first.out_channels == 7 and [part.groups for part in model.parts] == [3, 3]
    assert torch.allclose(model(X), expected, rtol=0, atol=1e-12)
    widen(model, group, 4)
    assert model.first.out_channels == 16 and torch.allclose(model(X), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dim", [7, 6])
def test_what_a_part_leaves_of_all_channels_may_change(dim):
    torch.manual_seed(0)
    model = Rest(dim).double()
    groups = [group for group in channel_groups(model, X) if "first" in group.producers]
    assert [(group.size, group.frozen) for group in groups] == [(3, None), (dim - 3, None)]
    before = model(X)
    widen(model, groups[1], 6)
    widen(model, groups[0], 5)
    assert (model.dim, model.part) == (11, 5) and torch.allclose(model(X), before, rtol=0, atol=1e-12)


def test_blocks_of_a_grouped_convolution_come_and_go_where_they_are_heads():
    torch.manual_seed(0)
    model = Blocks().double()
    (group,) = (group for group in channel_groups(model, X) if group.name == "qkv")
    assert group.size == 3 and group.frozen is None
    before = model(X)
    widen(model, group, 5)
    assert model.local.groups == 15 and torch.allclose(model(X), before, rtol=0, atol=1e-12)
    prune(model, group, [0, 2])
    assert model.local.groups == 6 and model.last.in_channels == 8 and model(X).shape == before.shape


@pytest.mark.parametrize("edit", ["fewer states", "wider projection"])
def test_a_projection_as_wide_as_its_states_is_refused_and_nothing_is_changed(edit):
    model = NETWORKS["projected LSTM"]().double()
    states, projection = (next(g for g in channel_groups(model, X) if g.size == size) for size in (6, 3))
    before = model(X)
    with pytest.raises(UserError, match=r"LSTM: a projection of \d is not accepted with states of \d; leave more"):
        prune(model, states, [0, 1, 2]) if edit == "fewer states" else widen(model, projection, 6)
    assert torch.equal(model(X), before)
    prune(model, states, [0, 1, 2, 3])
    assert model(X).shape == before.shape


@pytest.mark.parametrize(("states", "width"), [(6, 5), (6, 3), (12, 9)])
def test_no_plan_of_a_proof_makes_a_projection_as_wide_as_its_states(monkeypatch, states, width):
    failures, plans, outputs = [], [], StandIn.outputs

    def watched(self, plan, modes, alone):
        plans.append(plan)
        try:
            return outputs(self, plan, modes, alone)
        except RuntimeError as error:
            failures.append(error)
            raise

    monkeypatch.setattr(StandIn, "outputs", watched)
    layers = nn.ModuleList(
        [nn.LSTM(7, states, batch_first=True, proj_size=width), nn.Linear(width, 4), nn.Linear(4, 7)]
    )

    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.layers, self.last = nn.Linear(5, 7), layers, nn.Linear(width, 2)

        def forward(self, x):
            x = self.first(x)
            x = x + self.layers[2](self.layers[1](self.layers[0](x)[0]).relu())
            return self.last(self.layers[0](x)[0][:, -1])

    groups = channel_groups(Twice().double(), X)
    assert plans and not failures
    assert {group.name for group in groups if group.frozen is None} >= {"first", "layers.0", "layers.0 (2)", "layers.1"}


def test_states_of_an_lstm_are_not_to_be_cut_to_its_projection():
    model = Recurrent(nn.LSTM(7, 6, batch_first=True, proj_size=3), 3).double()
    states, projection = (group for group in channel_groups(model, X) if group.name.startswith("layer"))
    assert (states.size, states.least, projection.least) == (6, 4, 1)
    prune(model, projection, [0, 2])
    assert states.least == 3
    prune(model, states, [0, 2, 5])
    with pytest.raises(UserError, match="leave more states"):
        prune(model, states, [0, 1])


class OnNamedDevice(nn.Module):
    """States that begin on a device that the module holds, and sizes given to constructors of old."""

    def __init__(self) -> None:
        super().__init__()
        self.device, self.hidden = "cpu", 6
        self.first, self.cell, self.last = nn.Linear(5, 7), nn.GRUCell(7, 6), nn.Linear(6, 2)

    def forward(self, x):
        x = self.first(x)
        shifted = torch.zeros(x.shape, dtype=x.dtype, device=self.device)
        shifted[:, 1:] = x[:, :-1]
        x = x + shifted + x.new(1, 1, x.shape[2]).fill_(1.0)
        state = torch.zeros(len(x), self.hidden, dtype=x.dtype, device=torch.device(self.device))
        for step in x.unbind(1):
            state = self.cell(step, state)
        return self.last(state)


def test_constants_follow_on_whatever_device_the_code_makes_them():
    model = OnNamedDevice().double()
    groups = {group.name: group for group in channel_groups(model, X)}
    before = model(X)
    for name, size in {"first": 9, "cell": 11}.items():
        widen(model, groups[name], size)
    assert model.hidden == 11 and torch.allclose(model(X), before, rtol=0, atol=1e-12)


def normed(bias: bool, middle: type[nn.Module] = nn.Conv1d) -> nn.Sequential:
    """A network whose layers all compute their weights."""
    torch.manual_seed(0)
    kinds = (nn.Conv1d, 4, 6), (middle, 6, 7), (nn.Conv1d, 7, 2)
    first, second, last = (parametrizations.weight_norm(kind(a, b, 3, padding=1, bias=bias)) for kind, a, b in kinds)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), last).double()


@pytest.mark.parametrize("bias", [True, False])
def test_channels_between_layers_that_all_compute_their_weights_have_handles(bias):
    model = normed(bias)
    groups = {group.name: group for group in channel_groups(model, X)}
    sizes = {name: (group.size, group.frozen) for name, group in groups.items()}
    inputs, outputs = (4, "network input"), (2, "network output")
    assert sizes == {"0": (6, None), "0 (input)": inputs, "2": (7, None), "4": outputs}
    before = model(X)
    for name, size in {"0": 9, "2": 16}.items():
        widen(model, groups[name], size)
    assert (model[0].out_channels, model[2].out_channels) == (9, 16)
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)
    for name, size in {"0": 6, "2": 7}.items():
        prune(model, groups[name], range(size))
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


def test_such_layers_are_named_by_the_dimension_that_they_write():
    model = normed(False, nn.ConvTranspose1d)
    groups = {group.name: group for group in channel_groups(model, X)}
    assert {name: group.size for name, group in groups.items()} == {"0": 6, "0 (input)": 4, "2": 7, "4": 2}
    prune(model, groups["2"], [0, 2, 5])
    assert model[2].out_channels == model[4].in_channels == 3 and model(X).shape == (3, 2, 5)


def judge(bias: bool) -> nn.Sequential:
    """A discriminator: all its weights are divided by their largest singular value, of which buffers hold estimates."""
    torch.manual_seed(0)
    kinds = (nn.Conv1d, 4, 6), (nn.Conv1d, 6, 7), (nn.Linear, 7, 2)
    first, second, last = (
        parametrizations.spectral_norm(kind(a, b, **({"kernel_size": 1, "bias": bias} if b > 2 else {})))
        for kind, a, b in kinds
    )
    norms = (nn.Identity(), nn.Identity()) if bias else (nn.BatchNorm1d(6), nn.BatchNorm1d(7))
    pool = nn.AdaptiveMaxPool1d(1), nn.Flatten()
    return nn.Sequential(first, norms[0], nn.ReLU(), second, norms[1], nn.ReLU(), *pool, last).double()


@pytest.mark.parametrize("bias", [True, False])
def test_channels_between_weights_divided_by_their_norms_begin_as_constants_and_learn(bias):
    model = judge(bias)
    groups = {group.name: group for group in channel_groups(model, X) if group.frozen is None}
    assert {name: group.size for name, group in groups.items()} == {"0": 6, "3": 7}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    before = [copy.deepcopy(model).train(mode)(X) for mode in (False, True)]
    for group in groups.values():
        widen(model, group, group.size + 3, optimizer=optimizer)
    after = [copy.deepcopy(model).train(mode)(X) for mode in (False, True)]
    torch.testing.assert_close(after, before, rtol=0, atol=1e-12)
    for _ in range(3):
        optimizer.zero_grad()
        model(X).square().sum().backward()
        optimizer.step()
    for layer, reader in ((model[0], model[3]), (model[3], model[-1])):
        for weight, dim in ((layer.parametrizations.weight.original, 0), (reader.parametrizations.weight.original, 1)):
            assert (weight.detach().abs().transpose(0, dim).flatten(1).amax(1) > 0).all()
