"""A network is traced in train and in eval mode, or once where nothing could tell them apart."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Thread
from types import MethodType

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups
from growsearch.surgery.modes import modes_asked

X = torch.zeros(2, 3, 4, 4)


class Net(nn.Module):
    """A stem and a head; ``runs`` counts over all copies."""

    runs: list[bool]

    def __init__(self, *between: nn.Module) -> None:
        super().__init__()
        self.stem, self.between = nn.Conv2d(3, 6, 1), nn.Sequential(*between)
        self.head, self.other = nn.Conv2d(6, 2, 1), nn.Conv2d(6, 6, 1)
        type(self).runs = []

    def forward(self, x):
        self.runs.append(vars(self)["training"])  # which asks nobody
        return self.head(self.middle(self.between(self.stem(x))))

    def middle(self, x):
        return x


class Asks(Net):
    def middle(self, x):
        return x if self.training else x.flip(1)


class AsksAPart(Net):
    def middle(self, x):
        return x if self.between.training else x.flip(1)


class AsksALayer(Net):
    def middle(self, x):
        return x if self.between[0].training else x.flip(1)


class Asked(nn.BatchNorm2d):
    def forward(self, x):
        return super().forward(x) if self.training else x.flip(1)


class Told(Net):
    flipped = False

    def train(self, mode=True):
        self.flipped = not mode
        return super().train(mode)

    def middle(self, x):
        return x.flip(1) if self.flipped else x


class Says(Net):
    @property
    def training(self):
        return vars(self)["mode"]

    @training.setter
    def training(self, mode):
        vars(self)["mode"] = mode

    def forward(self, x):
        self.runs.append(self.training)
        return self.head(self.between(self.stem(x)) if self.training else self.stem(x).flip(1))


class Draws(Net):
    def middle(self, x):
        return x + torch.rand_like(x)


class Keeps(Net):
    kept = None

    def middle(self, x):
        self.kept = x if self.kept is None else self.kept
        return x


class Counts(Net):
    calls = 0

    def middle(self, x):
        self.calls += 1
        return x if self.calls % 2 else x.flip(1)


class Chooses(Net):
    """Between a probability of dropout and none; a trace switches off that of layers only."""

    rate = 0.5

    def __init__(self, choose):
        super().__init__()
        self.choose, self.drop = choose, nn.Dropout(0.5)

    def middle(self, x):
        return x.flip(1) if self.choose(self) else x


@pytest.mark.parametrize(
    ("choose", "runs"),
    [
        (lambda net: net.drop.p if net.training else 0.0, [True]),
        (lambda net: (net.drop.p if net.between.training else 0.0) + 0.0, [True]),
        (lambda net: net.drop.p if net.training else 0.1, [True, False]),
        (lambda net: net.drop.p if net.training else 0, [True, False]),
        (lambda net: net.drop.p if not net.training else 0.0, [True, False]),
        (lambda net: net.rate if net.training else 0.0, [True, False]),
        (lambda net: abs(net.drop.p) if net.training else 0.0, [True, False]),
        (lambda net: net.training and 0.0, [True, False]),
        (lambda net: net.training, [True, False]),
    ],
)
def test_an_answer_that_chooses_between_equal_values_is_none(choose, runs):
    net = Chooses(choose)
    channel_groups(net, X, prove=False)
    assert net.runs == runs


ELSEWHERE = F


def handed_on(x, rate, training=True):
    return F.dropout(F.dropout(x, p=rate, training=training), rate, training)


def handed_on_twice(x, training):
    return handed_on(x, 0.5, training=training)


def looked_at(x, training):
    return F.dropout(x if training else x.flip(1), 0.5, training=training)


def closed_over(x, training):
    return F.dropout(x if (lambda: training)() else x.flip(1), 0.5, training=training)


def seen_among_all(x, training):
    if not locals()["training"]:
        x = x.flip(1)
    return F.dropout(x, 0.5, training=training)


def told(x, rate, kind):
    return x if kind else x.flip(1)


def told_by_name(x, **options):
    return x if options["training"] else x.flip(1)


@pytest.mark.parametrize(
    "middle",
    [
        lambda net, x: F.dropout(x, p=net.rate, training=net.training),
        lambda net, x: torch.nn.functional.dropout2d(x + 0, net.rate, net.training) + 0,
        lambda net, x: handed_on(x, 0.5, net.training),
        lambda net, x: handed_on_twice(x, training=net.between.training),
    ],
)
def test_a_flag_that_goes_into_dropout_alone_is_no_question(middle):
    net = Chooses(None)
    net.middle = MethodType(middle, net)
    channel_groups(net, X, prove=False)
    assert net.runs == [True]


@pytest.mark.parametrize(
    "middle",
    [
        lambda net, x: looked_at(x, net.training),
        lambda net, x: closed_over(x, net.training),
        lambda net, x: seen_among_all(x, training=net.training),
        lambda net, x: told(x, 0.5, net.training),
        lambda net, x: told_by_name(x, training=net.training),
        lambda net, x: F.dropout(x, inplace=net.training),
        lambda net, x: F.dropout(x, 0.5, not net.training),
        lambda net, x: F.dropout(x if net.training else x.flip(1), 0.5, True),
        lambda net, x: (F if net.drop.inplace else ELSEWHERE).dropout(x, 0.5, net.training),
        lambda net, x: F.dropout(x, *[net.training]),
    ],
)
def test_a_flag_that_may_go_elsewhere_is_a_question(middle):
    net = Chooses(None)
    net.middle = MethodType(middle, net)
    channel_groups(net, X, prove=False)
    assert net.runs == [True, False]


class Trained(nn.Sequential):
    """In train mode whatever it is told."""

    def train(self, mode=True):
        return super().train(True)


def trained(*layers):
    """The same by an attribute of its own."""
    net = nn.Sequential(*layers)
    net.train = lambda mode=True: nn.Sequential.train(net, True)
    return net


@pytest.mark.parametrize("kind", [Trained, trained])
def test_modules_that_switch_in_a_way_of_their_own_do(kind):
    net = AsksAPart()
    net.between = kind()
    groups = channel_groups(net, X, prove=False)
    assert net.runs == [True, False]
    assert next(group for group in groups if group.name == "stem").frozen is None  # it is never in eval mode


class Attends(nn.Module):
    """Torch's layers of attention, which look for a faster way in eval mode; ``runs`` counts over all copies."""

    def __init__(self, layer, masked=False):
        super().__init__()
        self.layer, self.head, self.masked, self.runs = layer, nn.Linear(8, 3), masked, lambda: runs
        runs = []

    def forward(self, x):
        self.runs().append(vars(self)["training"])
        if self.masked:
            return self.head(self.layer(x, src_key_padding_mask=x[..., 0] > 0))
        return self.head(self.layer(x, x, x)[0] if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x))


@pytest.mark.parametrize("heads", [False, True])
@pytest.mark.parametrize("stacked", [False, True])
def test_attention_of_torch_is_traced_once_unless_its_heads_count(heads, stacked):
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    net = Attends(encoder if stacked else nn.MultiheadAttention(8, 2, batch_first=True))
    channel_groups(net, torch.zeros(2, 4, 8), prove=False, heads=heads)
    assert net.runs() == ([True, False] if heads else [True])


def test_padding_is_packed_in_eval_mode():
    encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True), 2)
    net = Attends(encoder, masked=True)
    with suppress(UserError):  # without values not every torch packs
        channel_groups(net, torch.zeros(2, 4, 8), prove=False)
    assert net.runs() == [True, False]


@pytest.mark.parametrize(
    ("net", "runs"),
    [
        (Net(nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5)), [True]),
        (Asks(), [True, False]),
        (AsksAPart(), [True, False]),
        (AsksALayer(nn.BatchNorm2d(6)), [True, False]),
        (Net(Asked(6)), [True, False]),
        (Told(), [True, False]),
        (Says(), [True, False]),
        (Draws(), [True, False]),
        (Keeps(), [True, False]),
        (Counts(), [True, False]),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Net) else "",
)
def test_what_asks_for_its_mode_is_traced_in_both(net, runs):
    type(net).runs.clear()
    was, before = net.training, "training" in vars(nn.Module)
    groups = channel_groups(net, X, prove=False)
    assert net.runs == runs
    assert net.training == was and ("training" in vars(nn.Module)) == before
    flips = type(net) in (Asks, AsksAPart, AsksALayer, Told, Says, Counts) or any(
        isinstance(each, Asked) for each in net.between
    )
    stem = next(group for group in groups if group.name == "stem")
    assert (stem.frozen == "flip of channels") == flips


def test_the_mode_is_no_attribute_of_all_modules_after_an_error():
    class Fails(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x):
            raise ValueError("no")

    with pytest.raises(Exception, match="no"):
        channel_groups(Fails(), torch.zeros(1, 2))
    assert "training" not in vars(nn.Module)
    assert nn.Linear(2, 2).eval().training is False


def test_compiled_modules_still_tell_their_mode():
    scripted = torch.jit.script(nn.Linear(2, 2).eval())
    with modes_asked([nn.Linear(2, 2)]) as asked:
        assert scripted.training is False
        assert nn.Linear(2, 2).training
    assert asked == {nn.Linear}


def test_traces_in_several_threads_do_not_disturb_each_other():
    def traced(_):
        asks = channel_groups(Asks(), X, prove=False)
        return next(group.frozen for group in asks if group.name == "stem")

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(traced, range(24))) == {"flip of channels"}
    assert "training" not in vars(nn.Module)


def test_a_trace_waits_while_another_thread_watches():
    waiting = []

    class Meanwhile(Net):
        def middle(self, x):
            if not waiting:
                waiting.append(Thread(target=channel_groups, args=(Asks(), X), kwargs={"prove": False}))
                waiting[0].start()
                waiting[0].join(0.5)  # for ever, if it did not give up: this one watches still
            return x

    channel_groups(Meanwhile(), X, prove=False)
    waiting[0].join()
    assert "training" not in vars(nn.Module)
