"""What a network keeps from one run to the next: tensors of its channels, flags and counters."""

from functools import cached_property

import pytest
import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, widen

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


class Between(nn.Module):
    """Two convolutions with something between them that looks at what the network holds."""

    def __init__(self, between) -> None:
        super().__init__()
        self.first, self.second, self.between = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1), between
        self.kept: Tensor | None = None
        self.table: dict = {}
        self.register_buffer("flag", torch.tensor(False))
        self.register_buffer("steps", torch.zeros(1, dtype=torch.long))

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.between(self, self.first(x)))


def factors(h: Tensor) -> Tensor:
    return torch.full((1, h.shape[1], 1, 1), 2.0, dtype=h.dtype, device=h.device)


def always(m, h):
    m.kept = factors(h) if m.kept is None else m.kept
    return h * m.kept


def in_eval_mode(m, h):
    return h if m.training else always(m, h)


def as_a_buffer(m, h):
    if not hasattr(m, "made"):
        m.register_buffer("made", factors(h))
    return h * m.made


def of_the_run_before(m, h):
    before, m.kept = m.kept, h.detach()
    return h if before is None or before.shape != h.shape else h + before


def if_it_fits(m, h):
    if m.kept is None or m.kept.shape[1] != h.shape[1]:
        m.kept = factors(h)
    return h * m.kept


def by_width(m, h):
    if h.shape[1] not in m.table:
        m.table[h.shape[1]] = factors(h)
    return h * m.table[h.shape[1]]


def to_be_looked_at(m, h):
    m.kept = h.detach()
    return h


@pytest.mark.parametrize("between", [always, in_eval_mode, as_a_buffer, of_the_run_before])
def test_channels_of_which_a_run_leaves_something_for_the_next_are_frozen(between):
    groups = {group.name: group for group in channel_groups(Between(between).double(), X)}
    assert "when it is widened" in groups["first"].frozen


@pytest.mark.parametrize("between", [if_it_fits, by_width, to_be_looked_at])
def test_what_is_made_anew_for_other_channels_freezes_nothing(between):
    model = Between(between).double().eval()
    (group,) = (group for group in channel_groups(model, X) if group.name == "first")
    with torch.no_grad():
        before = model(X)
        widen(model, group, 9)
        assert torch.allclose(model(X), before, rtol=0, atol=1e-12)


class Counted(Between):
    @cached_property
    def count(self) -> int:
        return self.first.out_channels


def once(m, h):
    m.count = vars(m).get("count", h.shape[1])
    return h.view(-1, m.count, *h.shape[2:]).relu()


def in_a_list(m, h):
    m.shapes = [*vars(m).get("shapes", ()), h.shape]
    return h.view(m.shapes[0]).relu()


def by_a_property(m, h):
    return h.unflatten(1, (1, m.count)).flatten(1, 2)


@pytest.mark.parametrize("between", [once, in_a_list, by_a_property])
def test_channels_whose_number_a_run_leaves_for_the_next_are_frozen(between):
    groups = {group.name: group for group in channel_groups(Counted(between).double(), X)}
    assert "RuntimeError" in groups["first"].frozen and "RuntimeError" in groups["first"].unprunable


@pytest.mark.parametrize("between", [once, by_a_property])
def test_a_number_that_a_run_left_before_follows(between):
    model = Counted(between).double().eval()
    with torch.no_grad():
        before = model(X)
        widen(model, next(group for group in channel_groups(model, X) if group.name == "first"), 9)
        assert model.count == 9 and torch.allclose(model(X), before, rtol=0, atol=1e-12)


def begun(m, h):
    if m.training and not m.flag:
        m.flag.fill_(True)
    return h if m.flag else h.relu()


def counted(m, h):
    if m.training:
        m.steps += 1
    return h.relu() if m.steps.item() < 100 else h


def switched(m, h):
    return h * 2 if m.steps[0] == 1 else h


@pytest.mark.parametrize("between", [begun, counted, switched])
def test_flags_and_counters_are_known_and_stay(between):
    model = Between(between).double()
    (group,) = (group for group in channel_groups(model, X) if group.name == "first")
    assert group.frozen is None and not model.flag and model.steps.item() == 0


def test_a_real_number_that_a_network_holds_is_not_known():
    model = Between(lambda m, h: h if m.loss < 1 else h.relu())
    model.register_buffer("loss", torch.tensor(0.5))
    with pytest.raises(UserError, match="without values"):
        channel_groups(model.double(), X)


def in_its_place(m, h):
    if m.training:
        m._buffers["mean"] = h.detach().mean((0, 2, 3))
    return h - m.mean.view(1, -1, 1, 1)


def registered_anew(m, h):
    if m.training:
        m.register_buffer("mean", h.detach().amax((0, 2, 3)))
    return h - m.mean.view(1, -1, 1, 1)


@pytest.mark.parametrize("between", [in_its_place, registered_anew])
def test_a_buffer_that_another_takes_the_place_of_follows_its_channels(between):
    model = Between(between).double().eval()
    model.register_buffer("mean", torch.arange(6.0, dtype=torch.float64))
    (group,) = (group for group in channel_groups(model, X) if group.name == "first")
    with torch.no_grad():
        before = model(X)
        widen(model, group, 9)
        assert torch.allclose(model(X), before, rtol=1e-9) and model.mean.shape == (9,)
