"""What the code of a network does behind the trace's back is found by edits, and nothing else is frozen."""

import dataclasses
import gc
import random
from collections import namedtuple

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchvision
from sampling import part
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, widen

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Two(nn.Module):
    """Two convolutions of equal width, and what is made of them."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(3, width, 1), nn.Conv2d(width, width, 1)
        self.head = nn.Conv2d(width, 4, 1)

    def combine(self, a: Tensor, b: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor):
        a = self.first(x).relu()
        return self.head(self.combine(a, self.second(a)))


class FactorIfEquallyWide(Two):
    def combine(self, a, b):
        return b * 1.5 if a.shape == b.shape else b


class FactorIfWider(Two):
    def combine(self, a, b):
        return b * 1.5 if b.shape[1] > a.shape[1] else b


class FactorByBothWidths(Two):
    def combine(self, a, b):
        return b * (a.shape[1] / b.shape[1])


class FactorBySum(Two):
    def combine(self, a, b):
        return b if a.shape[1] + b.shape[1] == 12 else b.relu()


class LargeThreshold(Two):
    def combine(self, a, b):
        return b if b.shape[1] < 10 and a.shape[1] < 11 else b.relu()


class SmallThreshold(Two):
    def combine(self, a, b):
        return b if b.shape[1] > 3 and a.shape[1] > 3 else b.relu()


class FactorAbove(Two):
    """The larger width counts, and a number between them and their doubles."""

    def combine(self, a, b):
        return b * max(2 * a.shape[1], b.shape[1], 12)


class Divisible(Two):
    def combine(self, a, b):
        return b if b.shape[1] % 2 == 0 and a.shape[1] % 2 == 0 else b.relu()


class FactorByALoop(Two):
    def combine(self, a, b):
        return b * (1 + sum(1 for _ in range(a.shape[1])) - sum(1 for _ in range(b.shape[1])))


@pytest.mark.parametrize("kind", part(Two.__subclasses__()), ids=lambda kind: kind.__name__)
def test_code_that_looks_at_widths_freezes_them(kind):
    model = kind().double()
    groups = {group.name: group for group in channel_groups(model, X)}
    for name in ("first", "second"):
        assert groups[name].frozen and groups[name].unprunable, name
    with pytest.raises(UserError, match="unprunable"):
        prune(model, groups["first"], [0, 1])


class Ending(nn.Module):
    """A network whose output hides what the factor by its width does."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1)

    def ending(self, y: Tensor):
        raise NotImplementedError

    def forward(self, x: Tensor):
        h = self.first(x).relu()
        return self.ending(self.head(h / h.shape[1]))


class Clamped(Ending):
    def ending(self, y):
        return (1e9 * y).clamp(-1, 1)


class ClampedInPlace(Ending):
    def ending(self, y):
        return y.mul_(1e9).clamp_(-1, 1)


class Argmax(Ending):
    def ending(self, y):
        return y.argmax(1)


class Sign(Ending):
    def ending(self, y):
        return torch.where(y > 0, 1, 0)


class Imaginary(Ending):
    def ending(self, y):
        return torch.complex(torch.ones_like(y), y)


class OneHot(Ending):
    def ending(self, y):
        return F.one_hot(y.mean((2, 3)).argmax(1), 4)


class Saturated(Ending):
    def ending(self, y):
        return (1e6 * y.abs() + 1e3).tanh()


@pytest.mark.parametrize("kind", part(Ending.__subclasses__()), ids=lambda kind: kind.__name__)
def test_an_output_that_saturates_hides_nothing(kind):
    (group,) = [group for group in channel_groups(kind().double(), X) if group.name == "first"]
    assert group.frozen and "output" in group.frozen and group.unprunable


@dataclasses.dataclass
class Result:
    logits: Tensor
    more: object


Pair = namedtuple("Pair", "left right")
CONTAINERS = {
    "tuple": lambda y, h: (y, h),
    "dict": lambda y, h: {"logits": y, "features": [h]},
    "dataclass": lambda y, h: Result(y, {"features": h}),
    "named tuple": lambda y, h: Pair(y, Result(h, None)),
    "nested": lambda y, h: [(y, {"a": Result(y, (h, 3, "name", None))})],
}


class Contained(nn.Module):
    def __init__(self, pack) -> None:
        super().__init__()
        self.first, self.head, self.pack = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 4, 1), pack

    def forward(self, x: Tensor):
        h = self.first(x)
        return self.pack(self.head(h.relu()), h)


@pytest.mark.parametrize("name", part(CONTAINERS, 4))
@pytest.mark.parametrize("prove", [True, False])
def test_tensors_in_any_container_are_outputs(name, prove):
    groups = {group.name: group for group in channel_groups(Contained(CONTAINERS[name]), X.float(), prove=prove)}
    assert groups["first"].frozen == groups["first"].unprunable == "network output"
    assert groups["head"].frozen == "network output"


@pytest.mark.parametrize("pack", [lambda y, h: (y, h.shape[1]), lambda y, h: {("width", h.shape[1]): y}])
def test_a_number_that_tells_the_width_is_an_output_too(pack):
    groups = {g.name: g for g in channel_groups(Contained(pack), X.float())}
    assert groups["first"].frozen


class Box:
    def __init__(self, y: Tensor) -> None:
        self.y = y


def test_an_output_that_cannot_be_searched_is_refused():
    for prove in (True, False):
        with pytest.raises(UserError, match="Box"):
            channel_groups(Contained(lambda y, h: Box(y)), X.float(), prove=prove)


class Drawing(nn.Module):
    """Something drawn between two convolutions, in train mode."""

    def __init__(self, width: int = 6) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, width, 1), nn.Conv2d(width, 5, 1), nn.Conv2d(5, 4, 1)
        self.prepare()

    def prepare(self) -> None:
        pass

    def draw(self, h: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x).relu()
        return self.head(self.second(self.draw(h) if self.training else h).relu())


class GaussianNoise(Drawing):
    def draw(self, h):
        return h + 0.1 * torch.randn_like(h)


class NoiseOfGivenShape(Drawing):
    def draw(self, h):
        return h + torch.rand(h.shape, dtype=h.dtype)


class NormalOfGivenShape(Drawing):
    def draw(self, h):
        return h + torch.normal(0.0, 0.1, h.shape, dtype=h.dtype)


class DropPathByHand(Drawing):
    def draw(self, h):
        return h / 0.9 * torch.floor(0.9 + torch.rand((h.shape[0], 1, 1, 1), dtype=h.dtype))


class BernoulliInPlace(Drawing):
    def draw(self, h):
        return h * h.new_empty((h.shape[0], 1, 1, 1)).bernoulli_(0.8)


class ChannelDrop(Drawing):
    def draw(self, h):
        return h * torch.bernoulli(torch.full_like(h[:, :, :1, :1], 0.8))


class BlockDrop(Drawing):
    def prepare(self):
        self.drop = torchvision.ops.DropBlock2d(0.3, 3)

    def draw(self, h):
        return self.drop(h)


class RandomSlope(Drawing):
    def draw(self, h):
        return F.rrelu(h - 0.5, training=True)


class Gumbel(Drawing):
    def draw(self, h):
        return h * F.gumbel_softmax(h.mean((2, 3)), dim=0)[:, :, None, None]


class Mixup(Drawing):
    def draw(self, h):
        share = random.random() * float(np.random.beta(1.0, 1.0))
        return share * h + (1 - share) * h[torch.randperm(h.shape[0])]


class OwnGenerator(Drawing):
    def prepare(self):
        self.generator = torch.Generator().manual_seed(3)

    def draw(self, h):
        return h * torch.rand(h.shape[0], 1, 1, 1, generator=self.generator, dtype=h.dtype)


class Counter(Drawing):
    def prepare(self):
        self.register_buffer("steps", torch.zeros(()))
        self.calls, self.seen = 0, []

    def draw(self, h):
        self.steps = self.steps + 1
        self.calls += 1
        self.seen.append(self.calls)
        return h * (self.steps + len(self.seen))


@pytest.mark.parametrize("kind", part(Drawing.__subclasses__()), ids=lambda kind: kind.__name__)
def test_draws_and_counters_freeze_nothing_and_are_put_back(kind):
    model = kind().double()
    state = {name: buffer.clone() for name, buffer in model.named_buffers()}
    streams = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()
    answers = [[(g.name, g.frozen, g.unprunable) for g in channel_groups(model, X)] for _ in range(2)]
    assert answers[0] == answers[1]
    assert [name for name, frozen, _ in answers[0] if frozen is None] == ["first", "second"]
    assert torch.equal(torch.get_rng_state(), streams[0]) and random.getstate() == streams[1]
    assert np.array_equal(np.random.get_state()[1], streams[2])
    assert all(torch.equal(buffer, state[name]) for name, buffer in model.named_buffers())
    assert not getattr(model, "calls", 0) and not getattr(model, "seen", [])


class CastInside(Drawing):
    def forward(self, x):
        h = self.first(x).float().relu().to(self.second.weight.dtype)
        return F.softmax(self.head(self.second(h)), 1, dtype=torch.float32)


def test_casts_to_lower_precision_do_not_blur_the_proof():
    free = [g.name for g in channel_groups(CastInside().double(), X) if g.frozen is None]
    assert free == ["first", "second"]


def test_sizes_that_the_code_takes_from_another_tensor_tie_groups():
    class Reshaped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.v, self.o = nn.Conv2d(3, 6, 1), nn.Linear(6, 6), nn.Linear(6, 6)
            self.b = nn.Conv2d(6, 5, 1)

        def forward(self, x):
            h = self.a(x)
            n, c, height, width = h.shape
            tokens = self.o(self.v(h.flatten(2).transpose(1, 2)).relu())
            return self.b(tokens.transpose(1, 2).reshape(n, c, height, width))

    model = Reshaped().double()
    before = model(X)
    groups = {g.name: g for g in channel_groups(model, X) if g.frozen is None}
    assert list(groups) == ["a", "v"] and groups["a"].producers == ("a", "o")
    widen(model, groups["a"], 9)
    widen(model, groups["v"], 7)
    assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


def test_hooks_are_not_run_and_stay():
    seen = []
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)).double()
    model[0].register_forward_hook(lambda module, inputs, output: seen.append(output))
    channel_groups(model, X)
    assert not seen
    model(X)
    assert len(seen) == 1


UNSUITABLE = {
    "lazy": lambda: nn.Sequential(nn.LazyConv2d(6, 1), nn.Conv2d(6, 2, 1)),
    "weight_norm": lambda: nn.Sequential(torch.nn.utils.weight_norm(nn.Conv2d(3, 6, 1)), nn.Conv2d(6, 2, 1)),
    "prune.remove": lambda: _masked(),
    "TorchScript": lambda: nn.Sequential(torch.jit.script(nn.Conv2d(3, 6, 1)), nn.Conv2d(6, 2, 1)),
    "no parameters": lambda: nn.Sequential(nn.ReLU(), nn.Flatten()),
}


def _masked() -> nn.Module:
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), nn.Conv2d(6, 2, 1))
    torch.nn.utils.prune.l1_unstructured(model[0], "weight", 0.5)
    return model


@pytest.mark.parametrize("words", UNSUITABLE)
@pytest.mark.filterwarnings("ignore")
def test_networks_without_weights_to_look_at_are_refused(words):
    with pytest.raises(UserError, match=words):
        channel_groups(UNSUITABLE[words](), X.float())


def test_an_empty_batch_is_refused():
    with pytest.raises(UserError, match="has no entries"):
        channel_groups(nn.Sequential(nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)), torch.zeros(0, 3, 8, 8))


def test_a_network_whose_weights_are_buffers_is_refused():
    class Buffers(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.register_buffer("weight", torch.randn(6, 3, 1, 1))

        def forward(self, x):
            return F.conv2d(x, self.weight)

    with pytest.raises(UserError, match="no parameters"):
        channel_groups(Buffers(), X.float())


class UnderANorm(Two):
    """Groups that only even copies leave exact, and code that compares their widths."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        self.norms = nn.ModuleList([nn.GroupNorm(1, width), nn.GroupNorm(1, width)])

    def combine(self, a, b):
        a, b = self.norms[0](a), self.norms[1](b)
        return b * 1.5 if a.shape == b.shape else b


def test_code_that_looks_at_widths_under_a_norm_is_found_too():
    groups = {group.name: group for group in channel_groups(UnderANorm().double(), X)}
    assert groups["first"].unprunable and groups["second"].unprunable


class AlongTheChannels(Two):
    """An attention over channels by a convolution along them."""

    def __init__(self) -> None:
        super().__init__()
        self.along = nn.Conv1d(1, 1, 3, padding=1, bias=False)

    def combine(self, a, b):
        weight = self.along(b.mean((2, 3)).unsqueeze(1)).sigmoid().transpose(1, 2).unsqueeze(-1)
        return b * weight.expand_as(b)


def test_channels_whose_order_matters_are_cut_in_their_order():
    model = AlongTheChannels().double()
    group = next(g for g in channel_groups(model, X) if g.name == "second")
    assert group.frozen is None and group.unprunable is None
    with pytest.raises(UserError, match="frozen"):
        remap(model, group, [*range(group.size), 0])
    with pytest.raises(UserError, match="order"):
        prune(model, group, [3, 2, 0])
    prune(model, group, [0, 2, 3])
    assert model(X).shape == (3, 4, 8, 8) and model.head.in_channels == 3


class Whole(nn.Module):
    """Takes as many channels as a number says, which is all of them; the number is an attribute, or written down."""

    def __init__(self, written: bool) -> None:
        super().__init__()
        self.first, self.cheap, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(12, 2, 1)
        self.wanted, self.written = 12, written

    def forward(self, x):
        x = self.first(x)
        return self.head(torch.cat([x, self.cheap(x)], 1)[:, : 13 if self.written else self.wanted])


def test_a_number_that_is_all_channels_follows_them():
    model = Whole(False).double()
    groups = {group.name: group for group in channel_groups(model, X)}
    before = model(X)
    assert groups["first"].frozen is None
    widen(model, groups["first"], 13)
    assert model.wanted == 19 and torch.allclose(model(X), before)


def test_a_number_just_above_all_channels_is_found():
    groups = {group.name: group for group in channel_groups(Whole(True).double(), X)}
    assert groups["first"].frozen and groups["cheap"].frozen


class Doubled(nn.Module):
    """Many layers, one of which is not what it was from just above twice its width on."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(4, 20), *[nn.Linear(20, 20) for _ in range(17)]])
        self.head = nn.Linear(20, 3)

    def forward(self, x: Tensor) -> Tensor:
        for index, layer in enumerate(self.layers):
            x = layer(x).relu()
            if index == 4 and x.shape[1] > 40:
                x = x * 2
        return self.head(x)


def test_each_of_many_groups_is_tried_at_twice_its_width():
    groups = channel_groups(Doubled().double(), torch.zeros(2, 4))
    assert [group.name for group in groups if group.frozen and "changes" in group.frozen] == ["layers.4"]


@pytest.mark.parametrize("training", [True, False])
def test_a_spectral_norm_keeps_its_estimate(training):
    layer = spectral_norm(nn.Conv2d(6, 5, 1))
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), layer, nn.Conv2d(5, 2, 1)).double().train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    groups = channel_groups(model, X)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    first = next(group for group in groups if group.name == "0")
    assert first.frozen is None and first.unprunable is None
    outputs = [model.train(mode)(X) for mode in (False, True)]
    model.load_state_dict(before)
    widen(model, first, 8)
    for mode, expected in zip((False, True), outputs, strict=True):
        assert torch.allclose(model.train(mode)(X), expected, rtol=0, atol=1e-12)
    prune(model.train(training), first, [0, 2, 5])
    layer.parametrizations.weight[0]._u.copy_(before["2.parametrizations.weight.0._u"])
    assert layer.in_channels == 3 and layer.training is training
    assert torch.equal(layer.parametrizations.weight[0]._u, before["2.parametrizations.weight.0._u"])


def test_a_compiled_network_is_not_compiled_anew(monkeypatch):
    model = torch.compile(Two().double(), backend=lambda graph, inputs: pytest.fail("compiled"))
    monkeypatch.setattr(Two, "combine", lambda self, a, b: a + b)
    assert [group.size for group in channel_groups(model, X) if group.frozen is None] == [6]


def test_the_collector_passes_over_what_was_there_before_a_proof_and_only_then():
    seen = []

    class Looking(Two):
        def combine(self, a, b):
            seen.append(seen[0] if seen else gc.get_freeze_count())  # counting takes long
            return a + b

    gc.unfreeze()  # as in a program; conftest.py freezes
    try:
        channel_groups(Looking().double(), X)
        assert max(seen) > 0 and gc.get_freeze_count() == 0
    finally:
        gc.freeze()
