"""Recurrent layers: a trace follows a few steps, and a proof runs short sequences, with the same groups."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from growsearch.surgery import ChannelGroup, channel_groups, prune, recurrence, widen
from growsearch.surgery.smaller import SHORTEST

LENGTHS: set[int] = set()
"""Of the sequences that networks ran."""
KINDS = {
    "LSTM": lambda **how: nn.LSTM(6, 8, 2, dropout=0.5, **how),
    "LSTM, projected": lambda **how: nn.LSTM(6, 8, proj_size=3, **how),
    "GRU": lambda **how: nn.GRU(6, 8, 2, **how),
    "RNN": lambda **how: nn.RNN(6, 8, **how),
    "RNN, rectified": lambda **how: nn.RNN(6, 8, nonlinearity="relu", **how),
}


class Net(nn.Module):
    """Reads a sequence (samples, steps, 4), or with the steps first; LENGTHS notes those that run."""

    def __init__(self, kind: str = "GRU", batch_first: bool = True, bidirectional: bool = False) -> None:
        super().__init__()
        self.first = nn.Linear(4, 6)
        self.read = KINDS[kind](batch_first=batch_first, bidirectional=bidirectional)
        probe = self.read(torch.zeros(1, 1, 6))[0]
        self.last, self.time = nn.Linear(probe.shape[-1], 2), 1 if batch_first else 0

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_meta:
            LENGTHS.add(x.shape[self.time])
        return self.last(self.read(self.first(x))[0].select(self.time, -1))


def _facts(groups: list[ChannelGroup]) -> list[object]:
    return [(each.name, each.size, each.frozen, each.unprunable, each.step, each.axes) for each in groups]


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("kind", KINDS)
def test_a_few_steps_tell_what_all_do(kind, batch_first, bidirectional, monkeypatch):
    model, x = Net(kind, batch_first, bidirectional), torch.zeros(5, 5, 4)
    few = channel_groups(model, x, prove=False)
    monkeypatch.setattr(recurrence, "STEPS", 5)
    assert _facts(few) == _facts(channel_groups(model, x, prove=False))
    assert any(group.name == "read" and group.unprunable is None for group in few)


def test_a_trace_takes_as_long_for_long_sequences():
    counts = {
        length: len(channel_groups(Net(), torch.zeros(2, length, 4), prove=False)[0].map._operators)
        for length in (3, 300)
    }
    assert counts[3] == counts[300]


class Channels(nn.Module):
    """Its steps are the channels of a convolution."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.read = nn.Conv1d(3, 5, 1), nn.GRU(7, 4, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.read(self.first(x))[0][:, -1]


def test_steps_that_are_channels_are_followed_one_by_one(monkeypatch):
    model, x = Channels(), torch.zeros(2, 3, 7)
    found = _facts(channel_groups(model, x, prove=False))
    monkeypatch.setattr(recurrence, "STEPS", 5)
    assert found == _facts(channel_groups(model, x, prove=False))
    assert dict(each[:1] + each[2:3] for each in found)["first"] is not None


class FromThePicture(nn.Module):
    """Reads the columns of a picture as steps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.read, self.last = (
            nn.Conv2d(1, 5, 3, padding=1),
            nn.GRU(5 * 32, 6, batch_first=True),
            nn.Linear(6, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_meta:
            LENGTHS.add(x.shape[3])
        x = self.first(x).relu().permute(0, 3, 1, 2).flatten(2)
        return self.last(self.read(x)[0].mean(1))


@pytest.mark.parametrize(
    ("model", "shape"),
    [(Net(), (2, 200, 4)), (Net(batch_first=False), (200, 2, 4)), (FromThePicture(), (2, 1, 32, 200))],
)
def test_a_proof_runs_short_sequences(model, shape):
    LENGTHS.clear()
    groups = {group.name: group for group in channel_groups(model, torch.zeros(shape))}
    assert max(LENGTHS) < SHORTEST
    assert groups["first"].frozen is None and groups["read"].frozen is None
    before_x = torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    before = model.double().eval()(before_x)
    widen(model, groups["first"], groups["first"].size + 3)
    widen(model, groups["read"], groups["read"].size + 2)
    assert torch.allclose(model(before_x), before, rtol=0, atol=1e-10)
    prune(model, groups["read"], [0, 2, 3])
    assert model(before_x).shape == before.shape


class Packed(nn.Module):
    """Reads sequences of several lengths."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.first, self.read = nn.Linear(4, 6), KINDS[kind](bidirectional=True, batch_first=True)
        self.last = nn.Linear(self.read(torch.zeros(1, 1, 6))[0].shape[-1], 2)

    def forward(self, x: Tensor, lengths: Tensor) -> Tensor:
        if not x.is_meta:
            LENGTHS.add(x.shape[1])
        packed = pack_padded_sequence(self.first(x), lengths.cpu(), batch_first=True, enforce_sorted=False)
        return self.last(pad_packed_sequence(self.read(packed)[0], batch_first=True)[0].mean(1))


@pytest.mark.parametrize("kind", KINDS)
def test_packed_sequences_are_short_too(kind, monkeypatch):
    model, example = Packed(kind), (torch.zeros(3, 70, 4), torch.tensor([70, 20, 50]))
    few = channel_groups(model, example, prove=False)
    LENGTHS.clear()
    proven = {group.name: group for group in channel_groups(model, example)}
    assert proven["first"].frozen is None and proven["read"].frozen is None and max(LENGTHS) < SHORTEST
    monkeypatch.setattr(recurrence, "STEPS", 70)
    assert _facts(few) == _facts(channel_groups(model, example, prove=False))


class Chosen(Net):
    """Gives what the step tells that its second input names."""

    def forward(self, x: Tensor, step: Tensor) -> Tensor:
        if not x.is_meta:
            LENGTHS.add(x.shape[1])
        return self.last(self.read(self.first(x))[0].index_select(1, step).squeeze(1))


def test_inputs_that_do_not_fit_a_shorter_sequence_get_the_whole():
    LENGTHS.clear()
    groups = {group.name: group for group in channel_groups(Chosen(), (torch.zeros(3, 200, 4), torch.tensor([150])))}
    assert max(LENGTHS) == 200 and groups["read"].frozen is None and groups["first"].frozen is None


class Later(Net):
    """Gives what a step far from the first one tells."""

    def forward(self, x: Tensor) -> Tensor:
        if not x.is_meta:
            LENGTHS.add(x.shape[1])
        return self.last(self.read(self.first(x))[0][:, 90])


def test_a_sequence_stays_as_long_as_the_network_needs_it():
    LENGTHS.clear()
    groups = {group.name: group for group in channel_groups(Later(), torch.zeros(1, 200, 4))}
    assert sorted(LENGTHS) == [100] and groups["read"].frozen is None
