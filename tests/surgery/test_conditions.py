"""What code compares with a width is found at any number, and what it draws or asks of the meta device is known."""

import collections
import fractions
import itertools
import math
import operator
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sampling import part
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, widen
from growsearch.surgery.comparisons import noted
from growsearch.surgery.conditions import Condition, Size
from growsearch.surgery.remembering import UNSEEN, Computed
from growsearch.surgery.widths import Width
from growsearch.surgery.written import read_code

X = torch.randn(3, 3, 8, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Most:
    """An object of its own with a number and code."""

    number = 801

    def factor(self, count: int) -> float:
        return 2.0 if count >= self.number else 1.0


class Between(nn.Module):
    """Two convolutions, and what is made of both before the last one."""

    def __init__(self, combine) -> None:
        super().__init__()
        self.first, self.second, self.head = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 6, 1), nn.Conv2d(6, 4, 1)
        self.combine, self.table, self.limit = combine, {192: 2.0}, 701
        self.options = SimpleNamespace(most=Most())

    def forward(self, x: Tensor) -> Tensor:
        a = self.first(x).relu()
        return self.head(self.combine(self, a, self.second(a).relu()))


def frozen(combine) -> list[str]:
    ends = ("network input", "network output", None)
    return [group.name for group in channel_groups(Between(combine).double(), X) if group.frozen not in ends]


TABLE = {320: 2.0}


def put(x: Tensor, number: int) -> Tensor:
    x[0] = number
    return x


@torch.jit.script
def doubled(x):
    return x * 2 if x.size(1) > 90 else x


COMPARED = {
    "a multiple": lambda m, a, b: b if b.shape[1] % 32 else b * 2,
    "far above": lambda m, a, b: b * 2 if b.shape[1] > 900 else b,
    "a layer's own number": lambda m, a, b: b * 2 if m.second.out_channels >= 200 else b,
    "a weight's entries": lambda m, a, b: b * 2 if m.second.weight.numel() > 9999 and b.size(1) > a.size(1) else b,
    "bytes": lambda m, a, b: b * 2 if b.nbytes > 10**6 else b,
    "entries by another name": lambda m, a, b: b * 2 if b.nelement() > 10**5 else b,
    "a key": lambda m, a, b: b * {12: 2.0}.get(b.shape[1], 1.0),
    "a key of other sizes": lambda m, a, b: b * 2 if b.shape[1] in {128, 256} else b,
    "no less than a number": lambda m, a, b: b * max(b.shape[1], 40),
    "a plain number": lambda m, a, b: b * 2 if int(b.shape[1] * 0.5) > 30 else b,
    "a length": lambda m, a, b: b * 2 if len(m.second.bias) > 40 else b,
    "an entry of a tensor": lambda m, a, b: b * 2 if torch.tensor(b.shape[1]) > 40 else b,
    "a quotient with its rest": lambda m, a, b: b * 2 if divmod(b.shape[1], 37)[0] else b,
    "a rounded number": lambda m, a, b: b * 2 if round(b.shape[1] / 8) > 10 or math.ceil(b.shape[1] / 3) > 99 else b,
    "a square root": lambda m, a, b: b * 2 if math.sqrt(b.shape[1]) > 7.5 else b,
    "a logarithm": lambda m, a, b: b * 2 if math.log2(b.shape[1]) > 6.5 else b,
    "a common divisor": lambda m, a, b: b * 2 if math.gcd(b.shape[1], 99) == 33 else b,
    "a real number": lambda m, a, b: b * 2 if float(b.shape[1]) > 40 else b,
    "a number of bits": lambda m, a, b: b * 2 if b.shape[1].bit_length() > 6 else b,
    "a text": lambda m, a, b: b * {"64": 2.0}.get(f"{b.shape[1]}", 1.0),
    "a text of its own": lambda m, a, b: b * {"64": 2.0}.get(str(b.shape[1]), 1.0),
    "bits": lambda m, a, b: b * 2 if b.shape[1] >> 6 else b,
    "a count": lambda m, a, b: b * 2 if any(i == 100 for i in range(b.shape[1])) else b,
    "a count of steps": lambda m, a, b: b * len(range(0, b.shape[1], 64)),
    "a count of a part": lambda m, a, b: b * 2 if any(i == 12 for i in range(b.shape[1] // 8)) else b,
    "a list as long": lambda m, a, b: b * 2 if len([0] * b.shape[1]) > 90 else b,
    "a slice of a list": lambda m, a, b: b * (1 + len(list(range(200))[90 : b.shape[1]])),
    "an index of a table": lambda m, a, b: b * ([1.0] * 90 + [2.0] * 5000)[b.shape[1]],
    "a key far above": lambda m, a, b: b * {1000: 2.0}.get(b.shape[1], 1.0),
    "a key of a part": lambda m, a, b: b * {24: 2.0}.get(b.shape[1] // 8, 1.0),
    "a key of several": lambda m, a, b: b * {(96, 8): 2.0}.get(tuple(b.shape[1:3]), 1.0),
    "a key that is a text": lambda m, a, b: b * {"c96": 2.0}.get(f"c{b.shape[1]}", 1.0),
    "a table of the code": lambda m, a, b: b * TABLE.get(b.shape[1], 1.0),
    "a table of the network": lambda m, a, b: b * m.table.get(b.shape[1], 1.0),
    "a root of numpy": lambda m, a, b: b * 2 if np.sqrt(b.shape[1]) == 11 else b,
    "a logarithm of numpy": lambda m, a, b: b * (1 + int(np.log2(b.shape[1])) // 9),
    "an array": lambda m, a, b: b * 2 if np.array([b.shape[1]])[0] == 97 else b,
    "a length of an array": lambda m, a, b: b * 2 if np.zeros(b.shape[1]).size > 700 else b,
    "a ladder of numpy": lambda m, a, b: b * float(1 + np.searchsorted([600, 900], b.shape[1])),
    "a real factor": lambda m, a, b: b * 2 if round(b.shape[1] * 0.01) else b,
    "combinations": lambda m, a, b: b * 2 if math.comb(b.shape[1], 2) == 4950 else b,
    "nearly a number": lambda m, a, b: b * 2 if math.isclose(b.shape[1], 96) else b,
    "a fraction": lambda m, a, b: b * 2 if fractions.Fraction(b.shape[1], 3) == 29 else b,
    "a real number without a rest": lambda m, a, b: b * 2 if (b.shape[1] / 90).is_integer() else b,
    "bits that are set": lambda m, a, b: b * 2 if b.shape[1].bit_count() == 1 and b.shape[1] > 64 else b,
    "a power and its rest": lambda m, a, b: b * 2 if pow(b.shape[1], 3, 97) == 0 else b,
    "a stride": lambda m, a, b: b * 2 if b.stride(0) == 64 * 97 else b,
    "a number of parts": lambda m, a, b: b * 2 if len(b.split(50, 1)) > 2 else b,
    "a number in a compiled function": lambda m, a, b: doubled(b),
    "entries of a shape": lambda m, a, b: b * 2 if b[0].shape[1:].numel() > 99 or b.shape.numel() > 10**5 else b,
    "bytes in memory": lambda m, a, b: b * 2 if b.untyped_storage().nbytes() > 10**6 else b,
    "entries in memory": lambda m, a, b: b * 2 if len(b.storage()) > 10**5 else b,
    "a number that it holds": lambda m, a, b: b * 2 if len([0] * b.shape[1]) >= m.limit else b,
    "a number that an object holds": lambda m, a, b: b * m.options.most.factor(len(bytes(b.shape[1]))),
    "a hexadecimal text": lambda m, a, b: b * {"0x60": 2.0}.get(hex(b.shape[1]), 1.0),
    "a text of a list": lambda m, a, b: b * {"[97]": 2.0}.get(str([b.shape[1]]), 1.0),
    "bits that are turned": lambda m, a, b: b * 2 if ~b.shape[1] < -777 else b,
    "another number's parts": lambda m, a, b: b * 2 if divmod(999, b.shape[1])[0] < 2 else b,
    "a number for an index": lambda m, a, b: b * 2 if operator.index(b.shape[1]) > 950 else b,
    "entries of a factory": lambda m, a, b: b * 2 if torch.arange(b.shape[1]).sum().item() > 9999 else b,
    "places of a grid": lambda m, a, b: (
        b * 2 if torch.meshgrid(torch.arange(b.shape[1]), indexing="ij")[0][-1] > 97 else b
    ),
    "a sum on the diagonal": lambda m, a, b: b * (1.0 + (torch.eye(b.shape[1], device=b.device).trace() > 97)),
    "a number that fills": lambda m, a, b: b * (1.0 + (torch.full((1,), b.shape[1], device=b.device) > 97)),
    "a number added": lambda m, a, b: b * (1.0 + (torch.zeros(1, device=b.device) + b.shape[1] > 97)),
    "a number put in place": lambda m, a, b: b * 2 if put(torch.zeros(2), b.shape[1]).sum() > 97 else b,
    "an array of ones": lambda m, a, b: b * 2 if np.ones(b.shape[1]).sum() > m.limit else b,
    "a number without a hint": lambda m, a, b: b * 2 if len(bytes(b.shape[1])) > int("3".ljust(3, "0")) else b,
    "a key of two widths": lambda m, a, b: b * {"12x96": 2.0}.get(f"{a.shape[1]}x{b.shape[1]}", 1.0),
    "a key of a small width": lambda m, a, b: b * {"96x4": 2.0}.get(f"{a.shape[1]}x{b.shape[1]}", 1.0),
    "a key of both": lambda m, a, b: b * {(12, 96): 2.0}.get((a.shape[1], b.shape[1]), 1.0),
    "one after another": lambda m, a, b: b * 2 if a.shape[1] == 12 and b.shape[1] > 96 else b,
    "a factor that begins at one": lambda m, a, b: b / 1051 * b.shape[1] if b.shape[1] >= 1051 else b,
    "both widths": lambda m, a, b: b * 2 if 3 * a.shape[1] < b.shape[1] ** 2 / 99 else b,
}


@pytest.mark.parametrize("name", part(COMPARED, 4))
def test_a_comparison_that_no_usual_size_turns_over_is_found(name):
    assert "second" in frozen(COMPARED[name])


def test_comparisons_that_sizes_cannot_turn_over_freeze_nothing():
    def checked(m, a, b):
        assert b.shape[1] == m.second.out_channels and a.shape[2:] == b.shape[2:] and b.shape[1] < 1e9
        return b

    assert frozen(checked) == []


def test_a_batch_norm_counts_the_values_of_a_channel():
    """Which are channels themselves where it norms tokens; it is run undivided where they are not."""
    tokens = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(3), nn.Linear(6, 2))
    images = nn.Sequential(nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1))
    assert channel_groups(tokens, torch.zeros(2, 3, 4), prove=False)[0].map.conditions
    assert not channel_groups(images, torch.zeros(2, 3, 4, 4), prove=False)[0].map.conditions


def test_a_counter_of_passes_is_known():
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.norm, self.head = nn.Conv2d(3, 6, 1), nn.BatchNorm2d(6), nn.Conv2d(6, 2, 1)

        def forward(self, x: Tensor) -> Tensor:
            x = self.norm(self.stem(x))
            return self.head(x.flip(1) if self.norm.num_batches_tracked == 1 else x)

    net = Counts()
    assert channel_groups(net, X.float(), prove=False)[0].frozen == "flip of channels"
    assert net.norm.num_batches_tracked == 0


def test_shapes_whose_entries_no_code_asks_for_are_compared_with_nothing():
    def places(m, a, b):
        return b * 2 if b.shape[2:].numel() > 800 else b

    assert not channel_groups(Between(places).double(), X, prove=False)[0].map.conditions


def test_entries_of_a_shape_are_found_while_other_code_watches_calls():
    def watching(frame, event, called):
        pass

    sys.setprofile(watching)
    try:
        assert "second" in frozen(COMPARED["entries of a shape"]) and sys.getprofile() is watching
    finally:
        sys.setprofile(None)
    assert sys.getprofile() is None and "second" in frozen(COMPARED["entries of a shape"])


@pytest.mark.parametrize(
    ("least", "combine"),
    [
        (3, lambda m, a, b: b * 2 if b.shape[1] < 3 else b),
        (3, lambda m, a, b: b * {2: 2.0}.get(b.shape[1], 1.0)),
        (2, lambda m, a, b: b * (1 + len(range(1, b.shape[1])[:1]))),
        (1, lambda m, a, b: b),
    ],
)
def test_fewer_channels_than_the_code_treats_alike_are_not_left(least, combine):
    groups = {group.name: group for group in channel_groups(Between(combine).double(), X)}
    assert groups["second"].frozen is None and groups["second"].least == least and groups["first"].least == 1


def test_a_deviation_of_a_single_channel_is_not_left():
    groups = {g.name: g for g in channel_groups(Between(lambda m, a, b: b / (b.std(1, keepdim=True) + 1)).double(), X)}
    assert groups["second"].unprunable is None and groups["second"].least == 2 and groups["first"].least == 1


def test_a_range_is_one_while_a_network_is_traced():
    seen: list = []

    def counted(m, a, b):
        seen.append((isinstance(range(3), range), [*range(1, 5, 2)], range is not plain))
        return b

    plain = range
    assert frozen(counted) == [] and (True, [1, 3], True) in seen and range is plain


def test_numbers_are_found_where_a_network_uses_them():
    assert {50, 192} <= set(read_code(Between(lambda m, a, b: b.split(50, 1)[m.table])).numbers)
    assert read_code(Between(lambda m, a, b: b)).numbers == ()


def test_a_formula_remembers_its_sizes_and_is_a_number_else():
    comparisons: list = []
    width = Width.make(12, np.arange(12))
    with noted(comparisons):
        assert type(width // 4) is Width and type(width + 1) is Computed and 2 + width * 2 - 1 == 25
        assert width / 8 > 1 and hash(width) == hash(12) and bool(width % 5)
    assert width / 8 == 1.5 and width * 0.5 == 6.0 and [1, 2][width - 12] == 1 and f"{width:03d}" == "012"
    assert [(operate.__name__, int(number), other) for operate, number, other in comparisons] == [
        *[("eq", 25, 25), ("gt", 1, 1)],
        *[("eq", 12, key) for key in (24, *UNSEEN)],
        ("ne", 2, 0),
    ]
    times = (lambda a, b: a > b, (lambda a, b: a * b, Size(((0, 2),), 1, 1, 1), 3), 20)
    condition = Condition.of(times)
    assert condition.groups == {0} and sorted(condition.constants) == [3, 20]
    assert [size for size in range(6) if condition.holds([size])] == [3, 4, 5]


DRAWN = {
    "a number": lambda m, a, b: b if m.training and torch.rand(1).item() < 0.5 else b * 2,
    "a branch": lambda m, a, b: b if m.training and torch.rand(2).max() < 0.5 else b * 2,
    "places": lambda m, a, b: b.roll(int(torch.randint(5, ())), 2) if m.training else b,
    "a list": lambda m, a, b: b * torch.rand(2).tolist()[0] if m.training else b,
    "a constant": lambda m, a, b: b * torch.tensor([1.0, 2.0]).sum().item(),
    "mixup": lambda m, a, b: b * torch.distributions.Beta(1.0, 1.0).sample() if m.training else b,
    "around a mean": lambda m, a, b: torch.normal(b, 0.1) if m.training else b,
    "from a distribution": lambda m, a, b: torch.distributions.Normal(b, 1.0).rsample() if m.training else b,
    "counts": lambda m, a, b: b + torch.poisson(b) if m.training else b,
    "one block for all": lambda m, a, b: b * (1 - F.max_pool2d(torch.rand_like(b[:, :1]).round(), 3, 1, 1)),
    "without autocast": lambda m, a, b: without_autocast(m.second, b),
    "in inference mode": lambda m, a, b: in_inference_mode(m.second, b),
    "equal parts": lambda m, a, b: torch.cat(b.tensor_split(3, 1)[::-1], 1),
}


def of_a_new_stream(m, a, b):
    stream = torch.Generator().manual_seed(1)
    return b * torch.rand(1, generator=stream) + torch.randn(b.shape, generator=stream)


def of_a_seed(m, a, b):
    with torch.random.fork_rng():
        torch.manual_seed(1)
        return b * torch.randn(1, b.shape[1], 1, 1)


@pytest.mark.parametrize("combine", [of_a_new_stream, of_a_seed])
def test_numbers_of_a_stream_that_the_code_begins_depend_on_the_width(combine):
    assert "second" in frozen(combine)


def test_a_stream_that_goes_on_is_chance_and_stands_where_it_stood():
    stream = torch.Generator().manual_seed(1)
    torch.rand(3, generator=stream)
    before = stream.get_state()
    assert frozen(lambda m, a, b: b + torch.randn(b.shape, generator=stream) * torch.rand(1, generator=stream)) == []
    assert torch.equal(stream.get_state(), before)


class OwnStream(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stream = torch.Generator().manual_seed(1)

    def forward(self, x: Tensor) -> Tensor:
        return x + torch.randn(x.shape, generator=self.stream) if self.training else x


def test_a_stream_of_the_network_is_chance_from_its_beginning_on():
    model = nn.Sequential(nn.Conv2d(3, 6, 1), OwnStream(), nn.Conv2d(6, 4, 1))
    assert channel_groups(model.double(), X)[0].frozen is None


def without_autocast(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast(x.device.type, enabled=False):
        return layer(x)


def in_inference_mode(layer: nn.Module, x: Tensor) -> Tensor:
    with torch.inference_mode():
        return layer(x)


@pytest.mark.parametrize("name", part(DRAWN))
def test_values_that_depend_on_no_channel_are_known(monkeypatch, name):
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", True)  # TorchDynamo turns it off for good
    assert frozen(DRAWN[name]) == []
    assert torch.distributions.Distribution._validate_args


def test_a_part_of_set_size_leaves_the_others_free():
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.width, self.qkv, self.head = 6, nn.Conv2d(3, 13, 1), nn.Conv2d(6, 4, 1)

        def forward(self, x: Tensor) -> Tensor:
            query, key, value = self.qkv(x).split([1, self.width, self.width], 1)
            return self.head(value.relu() * (key * query.flatten(2).softmax(-1).view_as(query)).sum((2, 3), True))

    model = Attention().double()
    before = model(X)
    group = next(group for group in channel_groups(model, X) if group.frozen is None)
    widen(model, group, 9)
    assert (model.width, model.qkv.out_channels) == (9, 19) and torch.allclose(model(X), before)


@pytest.mark.parametrize("part", [lambda b: b[:, :1], lambda b: b[:, -1:], lambda b: b[:, :1].clone()])
def test_entries_of_one_channel_freeze_all(part):
    assert frozen(lambda m, a, b: b * part(b)) == ["second"]


def written(m: nn.Module, a: Tensor, b: Tensor) -> Tensor:
    flags = torch.zeros(2)
    flags[1] = b.sum()
    return a if flags.any() else b


@pytest.mark.parametrize("combine", [lambda m, a, b: b if m.second.weight.sum() > 0 else a, written])
def test_a_value_of_a_weight_is_not_known(combine):
    with pytest.raises(UserError, match="without values"):
        frozen(combine)


def test_a_network_that_wants_targets_is_refused():
    class Detector(Between):
        def forward(self, x, targets=None):
            assert targets is not None or not self.training, "targets in training mode"
            return super().forward(x)

    with pytest.raises(UserError, match=r"targets in training mode.*in train and in eval mode"):
        channel_groups(Detector(lambda m, a, b: b).double(), X)


def test_a_source_of_chance_of_its_own_is_named():
    groups = channel_groups(Between(lambda m, a, b: b * np.random.default_rng().random()).double(), X)
    assert "each time" in next(group.frozen for group in groups if group.name == "second")


@pytest.mark.parametrize("wrap", [lambda y, h: (y, f"{h.shape[1]} features"), lambda y, h: {f"of {h.shape[1]}": y}])
def test_a_text_that_tells_the_width_is_an_output_too(wrap):
    class Telling(Between):
        def forward(self, x):
            return wrap(super().forward(x), self.first(x))

    groups = {group.name: group for group in channel_groups(Telling(lambda m, a, b: b).double(), X)}
    assert "text" in groups["first"].frozen and groups["second"].frozen is None


def test_a_deque_of_outputs_is_searched():
    class Several(Between):
        def forward(self, x):
            return collections.deque([super().forward(x), self.first(x)])

    groups = {group.name: group for group in channel_groups(Several(lambda m, a, b: b).double(), X)}
    assert groups["first"].frozen == "network output"


def test_a_distribution_is_searched():
    class Policy(Between):
        def forward(self, x):
            spread = self.first(x).mean((1, 2, 3)).exp()[:, None, None, None]
            return torch.distributions.Independent(torch.distributions.Normal(super().forward(x), spread), 1)

    model = Policy(lambda m, a, b: b).double()
    groups = {group.name: group for group in channel_groups(model, X)}
    assert groups["head"].frozen == "network output" and groups["second"].frozen is None
    before = model(X).mean
    widen(model, groups["second"], 9)
    assert torch.allclose(model(X).mean, before, rtol=0, atol=1e-12)


@pytest.mark.parametrize("edit", [prune, remap])
@pytest.mark.parametrize("numbers", [lambda: range(10**11), lambda: itertools.cycle([0])])
def test_lists_without_an_end_are_refused(edit, numbers):
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1))
    group = channel_groups(model, X.float(), prove=False)[0]
    with pytest.raises(UserError, match="more than"):
        edit(model, group, numbers())


def test_layers_that_are_rebuilt_when_they_are_copied_are_edited():
    part = torch.fx.symbolic_trace(nn.Sequential(nn.Conv2d(6, 5, 1), nn.ReLU()))
    model = nn.Sequential(nn.Conv2d(3, 6, 1), nn.ReLU(), part, nn.Conv2d(5, 2, 1)).double()
    before = model(X)
    for group in [group for group in channel_groups(model, X) if group.frozen is None]:
        widen(model, group, group.size + 3)
    assert model[0].out_channels == 9 and model[3].in_channels == 8 and torch.allclose(model(X), before)


def test_traces_that_overlap_give_math_back():
    plain, first, second = math.sqrt, noted([]), noted([])
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    second.__exit__(None, None, None)
    assert math.sqrt is plain
