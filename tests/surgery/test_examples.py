"""Examples of odd kinds, and networks that override what others leave: proven as any other, or refused in a line."""

import threading

import pytest
import torch
from sampling import part
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, widen

X = torch.randn(4, 3, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
TOKENS = torch.randint(0, 11, (4, 7), generator=torch.Generator().manual_seed(2))


class Attention(nn.Module):
    """Scores that are divided by the number of channels, or by none."""

    def __init__(self, divided: bool) -> None:
        super().__init__()
        self.embedding, self.head = nn.Embedding(11, 8), nn.Linear(8, 2)
        self.query, self.key, self.value = (nn.Linear(8, 6) for _ in range(3))
        self.out, self.divided = nn.Linear(6, 8), divided

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.embedding(tokens[:, :5] + 0)
        query = self.query(x) / (x.shape[-1] if self.divided else 1)
        scores = query @ self.key(x).transpose(1, 2) / (query.shape[-1] if self.divided else 1)
        return self.head(x + self.out(scores.softmax(-1) @ self.value(x)))


@pytest.mark.parametrize("divided", [True, False])
@pytest.mark.parametrize("example", [TOKENS, TOKENS[:1], torch.zeros_like(TOKENS), torch.arange(7)[None].expand(4, -1)])
def test_tokens_that_are_all_alike_hide_nothing(divided, example):
    torch.manual_seed(0)
    model = Attention(divided).double()
    groups = {group.name: group for group in channel_groups(model, example)}
    told = {name: group.frozen is None for name, group in groups.items()}
    assert told == {name: group.frozen is None for name, group in by_name(model, TOKENS).items()}
    assert told["value"]
    for group in groups.values():
        if group.frozen is None:
            before = model(TOKENS)
            widen(model, group, group.size + 1 if group.step == 1 else 2 * group.size)
            assert torch.allclose(model(TOKENS), before, rtol=1e-10, atol=1e-10), group


@pytest.mark.parametrize("fused", [True, False])
def test_scores_of_a_single_token_do_not_tell_how_keys_may_grow(fused):
    class Fused(Attention):
        def forward(self, tokens: Tensor) -> Tensor:
            x = self.embedding(tokens)
            heads = (each(x)[:, None] for each in (self.query, self.key, self.value))
            return self.head(x + self.out(nn.functional.scaled_dot_product_attention(*heads, scale=0.5)[:, 0]))

    model = (Fused if fused else Attention)(False).double()
    assert "take another example" in by_name(model, TOKENS[:, :1])["query"].frozen
    assert by_name(model, TOKENS[:, :2])["query"].frozen is None


class Masked(Attention):
    """Which tokens are read is told by a mask, by real numbers or by lengths."""

    def forward(self, tokens: Tensor, told: Tensor) -> Tensor:
        x = self.embedding(tokens)
        if told.dim() == 1:
            told = torch.arange(tokens.shape[1], device=told.device) < told[:, None]
        bias = torch.zeros_like(told, dtype=x.dtype).masked_fill(~told, -1e9) if told.dtype == torch.bool else None
        scores = self.query(x) @ self.key(x).transpose(1, 2)
        scores = scores + (bias if bias is not None else (1 - told) * -1e9)[:, None]
        return self.head(x + self.out(scores.softmax(-1) @ self.value(x)))


class MaskedFused(Masked):
    def forward(self, tokens: Tensor, told: Tensor) -> Tensor:
        x = self.embedding(tokens)
        heads = (each(x)[:, None] for each in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(*heads, attn_mask=told[:, None, None], scale=0.5)
        return self.head(x + self.out(mixed[:, 0]))


FIRST = torch.arange(7).expand(4, -1) < 1
ALL = torch.ones(4, 7)
TOLD = {
    "one token": (Masked, FIRST, False),
    "one token, fused": (MaskedFused, FIRST, False),
    "lengths of one": (Masked, torch.ones(4, dtype=torch.long), False),
    "all tokens": (Masked, ALL.bool(), True),
    "all tokens, fused": (MaskedFused, ALL.bool(), True),
    "all tokens by real numbers": (Masked, ALL.double(), True),
    "some tokens": (Masked, torch.arange(7).expand(4, -1) < 3, True),
}


@pytest.mark.parametrize("name", part(TOLD))
def test_masks_that_hide_all_scores_do_not_tell_how_keys_may_grow(name):
    kind, told, shown = TOLD[name]
    torch.manual_seed(0)
    model = kind(False).double()
    groups = by_name(model, (TOKENS, told))
    assert groups["value"].frozen is None
    if not shown:
        assert "take another example" in groups["query"].frozen and groups["query"].unprunable is None
        return
    every = ALL.double() if told.is_floating_point() else ALL.bool()
    before = model(TOKENS, every)
    widen(model, groups["query"], 9)
    assert torch.allclose(model(TOKENS, every), before, rtol=1e-10, atol=1e-10)


def by_name(model: nn.Module, example) -> dict:
    return {group.name: group for group in channel_groups(model, example)}


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Conv2d(3, 6, 1), nn.Conv2d(6, 2, 1)

    def forward(self, x: Tensor, factor: Tensor | float = 1.0) -> Tensor:
        return self.last(self.first(x).relu() * factor)


class TrainsInSilence(Two):
    """As people freeze batch norms: the method that sets the mode returns nothing."""

    def train(self, mode: bool = True) -> None:  # type: ignore[override]
        super().train(mode)


class Turned(Two):
    def forward(self, factor: Tensor, x: Tensor) -> Tensor:
        return super().forward(x, factor)


@pytest.mark.parametrize(
    ("model", "example"),
    [(TrainsInSilence(), X), (Turned(), (torch.tensor(0.5, dtype=torch.float64), X)), (Two(), (X, 2.0))],
)
def test_odd_examples_and_modes_are_proven(model, example):
    group = by_name(model.double(), example)["first"]
    assert group.frozen is group.unprunable is None


def test_a_network_that_compiled_itself_is_traced_as_it_was_written():
    model = Two().double()
    model.compile(backend="eager")
    before = model(X)
    widen(model, by_name(model, X)["first"], 9)
    assert torch.allclose(model(X), before, rtol=1e-12) and model._compiled_call_impl is not None


class Locked(Two):
    def __init__(self) -> None:
        super().__init__()
        self.lock = threading.Lock()


REFUSED = {
    "sparse": lambda: channel_groups(nn.Linear(6, 2).double(), X[0, 0].to_sparse()),
    "meta device": lambda: channel_groups(Two().double(), X.to("meta")),
    "deepcopy": lambda: channel_groups(Locked().double(), X),
    "handle from channel_groups": lambda: widen(Two(), "first", 9),
    "use a handle": lambda: prune(Two(), None, [0]),
    "group: 0": lambda: remap(Two(), 0, [0]),
    "torch.Generator": lambda: widen(two := Two().double(), by_name(two, X)["first"], 9, generator=0),
}


@pytest.mark.parametrize("words", REFUSED)
def test_what_cannot_be_is_refused_in_a_line(words):
    with pytest.raises(UserError, match=words):
        REFUSED[words]()
