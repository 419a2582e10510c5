"""What no edit could keep exact is refused or frozen with a reason, and never silently wrong."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from sampling import part
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, remap, widen

X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Between(nn.Module):
    """Two convolutions with something between them."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, width, 3, padding=1)
        self.second = nn.Conv2d(width, 4, 3, padding=1)
        self.prepare(width)

    def prepare(self, width: int) -> None:
        pass

    def between(self, h: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self.first(x)))


class SoftmaxOverChannels(Between):
    def between(self, h):
        return h.softmax(1)


class MeanOverChannels(Between):
    def between(self, h):
        return h - h.mean(1, keepdim=True)


class MaxOverChannels(Between):
    def between(self, h):
        return h * torch.sigmoid(h.amax(1, keepdim=True))


class LayerNormOverChannels(Between):
    def prepare(self, width):
        self.norm = nn.GroupNorm(2, width)

    def between(self, h):
        return self.norm(h)


class UnknownOperator(Between):
    def between(self, h):
        return h * torch.histc(h, 4)[0]


class FlippedChannels(Between):
    def between(self, h):
        return h + h.flip(1)


class TakenApart(Between):
    def between(self, h):
        return torch.stack([each * 2 for each in h.unbind(1)], 1)


class IndexedChannels(Between):
    def between(self, h):
        return h[:, torch.arange(h.shape[1]).flip(0)]


class SlicedChannels(Between):
    def between(self, h):
        return torch.cat([h[:, :2].relu(), h[:, 2:]], 1)


class WrittenSize(Between):
    def between(self, h):
        return h.view(-1, 6, 64).relu().view(-1, 6, 8, 8)


class WrittenSplit(Between):
    def between(self, h):
        a, b = h.split(3, 1)
        return torch.cat([a.relu(), b], 1)


class FunctionalDepthwise(Between):
    def prepare(self, width):
        self.kernel = nn.Parameter(torch.randn(width, 1, 3, 3))

    def between(self, h):
        return F.conv2d(h, self.kernel, padding=1, groups=6)


class ConstantMask(Between):
    def between(self, h):
        return h * torch.ones(1, 6, 1, 1, dtype=h.dtype)


class BranchOnWidth(Between):
    def between(self, h):
        return h.relu() if h.shape[1] == 6 else h.sigmoid()


class WeightStandardisation(Between):
    def between(self, h):
        weight = self.second.weight
        return F.conv2d(h, (weight - weight.mean((1, 2, 3), keepdim=True))[:, :, :1, :1]).mean() + h


class WeightReadTwice(Between):
    def between(self, h):
        return h * self.second.weight.cos().sum((0, 2, 3)).prod()


class AttentionAmongPixels(Between):
    def between(self, h):
        flat = h.flatten(2)
        return (flat @ (flat.transpose(1, 2) @ flat)).view_as(h)


class WrittenPlace(Between):
    def between(self, h):
        h = h.clone()
        h[:, 1] = 0
        return h


HOSTILE = list(Between.__subclasses__())
CUT = {
    WeightStandardisation,
    SoftmaxOverChannels,
    WeightReadTwice,
    AttentionAmongPixels,
}
"""What no copy leaves exact, but may be cut."""
ZERO = {AttentionAmongPixels}
"""Of these, what new channels that are zero leave exact."""
EVEN = {MeanOverChannels, MaxOverChannels, LayerNormOverChannels}
"""What even copies leave exact."""


def middle(model: nn.Module, prove: bool):
    return next(g for g in channel_groups(model, X, prove=prove) if "first" in g.producers)


@pytest.mark.parametrize("kind", part(HOSTILE, 4), ids=lambda kind: kind.__name__)
def test_hostile_middle_is_frozen_with_a_reason(kind):
    model = kind().double()
    group = middle(model, prove=True)
    assert bool(group.frozen) == (kind not in EVEN | ZERO)
    assert (group.unprunable is None) == (kind in CUT | EVEN)
    if kind in ZERO:
        before = model(X)
        assert widen(model, group, 8)[6:] == [-1, -1] and torch.allclose(model(X), before, rtol=0, atol=1e-9)
        return
    with pytest.raises(UserError, match="copied equally often" if kind in EVEN else "frozen"):
        widen(model, group, 8)


NEEDS_PROOF = {WrittenSize, BranchOnWidth, WrittenSplit}


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind not in NEEDS_PROOF], ids=lambda kind: kind.__name__)
def test_the_trace_alone_sees_what_operators_show(kind):
    group = middle(kind().double(), prove=False)
    assert group.frozen or (group.step > 1 and kind in EVEN)


@pytest.mark.parametrize("kind", sorted(NEEDS_PROOF, key=lambda kind: kind.__name__))
def test_the_proof_sees_what_code_hides(kind):
    assert middle(kind().double(), prove=False).frozen is None


class WrittenSizeInTraining(nn.Module):
    """Fails halfway through a pass in train mode, after a norm has taken up its statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 5, 1), nn.BatchNorm2d(5), nn.ReLU())
        self.bad, self.good, self.head = nn.Conv2d(5, 6, 1), nn.Conv2d(6, 7, 1), nn.Conv2d(7, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.bad(self.stem(x))
        if self.training:
            h = h.view(2, 6, 8, 8)
        return self.head(self.good(h))


def test_a_proof_that_fails_leaves_the_others_alone():
    groups = {group.name: group.frozen for group in channel_groups(WrittenSizeInTraining().double(), X)}
    assert groups["bad"] and not any(groups[name] for name in ("stem.0", "good"))


class ValueDependent(Between):
    def between(self, h):
        return h if h.sum() > 0 else -h


def test_control_flow_that_depends_on_values_is_refused():
    with pytest.raises(UserError, match="without values"):
        channel_groups(ValueDependent().double(), X)


def test_a_shared_module_is_edited_once_and_stays_shared():
    model = nn.Sequential(
        nn.Conv2d(3, 5, 1), shared := nn.Conv2d(5, 5, 1), nn.ReLU(), shared, nn.Conv2d(5, 2, 1)
    ).double()
    before = model(X)
    (group,) = [g for g in channel_groups(model, X) if g.frozen is None]
    widen(model, group, 8)
    assert model[1] is model[3] and model[1].weight.shape == (8, 8, 1, 1)
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


class TiedConvolutions(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.a, self.b = nn.Conv2d(3, 5, 1), nn.Conv2d(5, 4, 1), nn.Conv2d(5, 4, 1)
        self.b.weight = self.a.weight
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = self.stem(x).relu()
        return self.head(self.a(h) + self.b(h).sigmoid())


def test_tied_weights_stay_tied():
    model = TiedConvolutions().double()
    before = model(X)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for group in channel_groups(model, X):
        if group.frozen is None:
            widen(model, group, group.size + 2, optimizer=optimizer)
    assert model.a.weight is model.b.weight and model.a.weight.shape == (6, 7, 1, 1)
    assert [id(p) for p in optimizer.param_groups[0]["params"]] == [id(p) for p in model.parameters()]
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


class TiedTranspose(nn.Module):
    """An autoencoder whose decoder is its encoder's transpose: copies cannot be divided among readers."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Linear(3, 5)

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(self.encoder(x.mean((2, 3))).relu(), self.encoder.weight.t())


def test_a_weight_that_writes_and_reads_the_same_channels_is_frozen():
    (group,) = [g for g in channel_groups(TiedTranspose().double(), X, prove=False) if g.size == 5]
    assert "used otherwise" in group.frozen


class BufferOfChannelSize(Between):
    def prepare(self, width):
        self.register_buffer("shift", torch.randn(width))

    def between(self, h):
        return h + self.shift[:, None, None]


class LayerScale(Between):
    def prepare(self, width):
        self.scale = nn.Parameter(torch.randn(width, 1, 1))

    def between(self, h):
        return h * self.scale


class ShuffledChannels(Between):
    def between(self, h):
        n, c, height, width = h.shape
        return h.view(n, 2, c // 2, height, width).transpose(1, 2).reshape(n, c, height, width)


class ChunkedGate(Between):
    """A gated linear unit: its halves have one size."""

    def prepare(self, width):
        self.second = nn.Conv2d(width // 2, 4, 3, padding=1)

    def between(self, h):
        a, b = h.chunk(2, 1)
        return a * b.sigmoid()


class Grouped(Between):
    def prepare(self, width):
        self.conv = nn.Conv2d(width, width, 3, padding=1, groups=2)

    def between(self, h):
        return self.conv(h).relu()


class DepthwiseWithMultiplier(Between):
    def prepare(self, width):
        self.conv = nn.Conv2d(width, 2 * width, 3, padding=1, groups=width)
        self.second = nn.Conv2d(2 * width, 4, 1)

    def between(self, h):
        return self.conv(h).relu()


class SqueezeExcite(Between):
    def prepare(self, width):
        self.down, self.up = nn.Conv2d(width, 2, 1), nn.Conv2d(2, width, 1)

    def between(self, h):
        return h * self.up(self.down(h.mean((2, 3), keepdim=True)).relu()).sigmoid()


class ConcatenatedTwice(Between):
    def prepare(self, width):
        self.second = nn.Conv2d(2 * width, 4, 1)

    def between(self, h):
        return torch.cat([h, h.relu()], 1)


class PReLU(Between):
    def prepare(self, width):
        self.act = nn.PReLU(width)

    def between(self, h):
        return self.act(h)


class Transposed(Between):
    def prepare(self, width):
        self.up = nn.ConvTranspose2d(width, width, 2, stride=2)

    def between(self, h):
        return self.up(h)


class ChannelsLast(Between):
    def prepare(self, width):
        self.dense = nn.Linear(width, width)

    def between(self, h):
        return self.dense(h.permute(0, 2, 3, 1)).relu().permute(0, 3, 1, 2)


class PaddedShortcut(Between):
    """ResNet's option A: a shortcut with channels of zeros."""

    def between(self, h):
        return h + F.pad(self.narrow(h), (0, 0, 0, 0, 1, 1))

    def prepare(self, width):
        self.narrow = nn.Conv2d(width, width - 2, 1)


class Halved(Between):
    def prepare(self, width):
        self.second = nn.Conv2d(width // 2, 4, 1)

    def between(self, h):
        return F.glu(h, 1)


class Blurred(Between):
    def prepare(self, width):
        self.register_buffer("blur", torch.ones(1, 1, 3, 3) / 9)

    def between(self, h):
        once = F.conv2d(h, self.blur.repeat(h.shape[1], 1, 1, 1), groups=h.shape[1])
        return F.conv2d(once, self.blur.expand(h.shape[1], -1, -1, -1), groups=h.shape[1])


class Resampled(Between):
    def prepare(self, width):
        self.where = nn.Linear(width, 6)

    def between(self, h):
        places = F.affine_grid(self.where(h.mean((2, 3))).view(-1, 2, 3), list(h.shape), align_corners=False)
        return F.grid_sample(h, places, align_corners=False)


class Deformed(Between):
    def prepare(self, width):
        self.offsets, self.bent = nn.Conv2d(width, 18, 1), torchvision.ops.DeformConv2d(width, width, 3, padding=1)

    def between(self, h):
        return self.bent(h, self.offsets(h))


class InFrequencies(Between):
    def between(self, h):
        return torch.fft.irfft2(torch.fft.rfft2(h) * 0.5, s=h.shape[-2:]) + torch.fft.fft(h, dim=2).abs()


class ReadInTurn(Between):
    """Two pixels are the steps of recurrent layers, whose inputs may have any width."""

    def prepare(self, width):
        self.turns, self.cell = (
            nn.GRU(width, 4, batch_first=True, num_layers=2, bidirectional=True),
            nn.GRUCell(width, 8),
        )
        self.second = nn.Conv2d(8, 4, 1)

    def between(self, h):
        steps = h[:, :, 0, :2].transpose(1, 2)
        return (self.turns(steps)[0].mean(1) + self.cell(steps[:, 0]))[:, :, None, None]


FRIENDLY = [
    Halved,
    Blurred,
    Resampled,
    Deformed,
    InFrequencies,
    ReadInTurn,
    BufferOfChannelSize,
    LayerScale,
    ChunkedGate,
    ShuffledChannels,
    Grouped,
    DepthwiseWithMultiplier,
    SqueezeExcite,
    ConcatenatedTwice,
    PReLU,
    Transposed,
    ChannelsLast,
]


@pytest.mark.parametrize("kind", part(FRIENDLY, 4), ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("width", [6, 4])
def test_friendly_modules_are_edited_exactly(kind, width):
    model = kind(width).double()
    before = model(X)
    free = [group for group in channel_groups(model, X) if group.frozen is None]
    assert any("first" in group.producers for group in free)
    for group in free:
        remap(model, group, [group.size - 1, *range(group.size), 0])
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


def test_a_gate_whose_halves_have_one_channel_is_frozen():
    """Its two entries look like one channel repeated, which the proof finds out."""
    assert middle(ChunkedGate(2).double(), prove=True).frozen


def test_a_padded_shortcut_freezes_what_meets_the_padding_only():
    groups = {g.name: g for g in channel_groups(PaddedShortcut().double(), X, prove=False)}
    assert groups["first"].frozen is not None


@pytest.mark.parametrize("count", [1, 2, 3])
def test_single_channels_repeat_as_the_code_does(count):
    """With one channel a flatten and a concatenation look alike; whichever edit is allowed must be exact."""
    flat = nn.Sequential(nn.Conv2d(3, 1, 3), nn.Flatten(), nn.Linear(36, 2)).double()
    twice = ConcatenatedTwice(1).double()
    for model in (flat, twice):
        before = model(X)
        for group in channel_groups(model, X):
            if group.frozen is None:
                remap(model, group, [0] * (1 + count))
        assert torch.allclose(model(X), before, rtol=0, atol=1e-12)
    assert flat[0].out_channels == 1 + count


def test_tracing_leaves_the_network_as_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Conv2d(4, 2, 1)).double().eval()
    tensors = {key: (id(value), value.clone()) for key, value in model.state_dict(keep_vars=True).items()}
    random = torch.get_rng_state()
    channel_groups(model, X)
    assert torch.equal(torch.get_rng_state(), random) and not model.training and model[2].p == 0.5
    for key, value in model.state_dict(keep_vars=True).items():
        assert id(value) == tensors[key][0] and torch.equal(value, tensors[key][1])
