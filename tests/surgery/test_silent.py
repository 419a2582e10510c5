"""Channels that change nothing at first: under norms over channels, and of queries and keys."""

import random

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from prunable_networks import BLOCKS, network
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import channel_groups, prune, remap, transaction, widen

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
OVER_CHANNELS = ["layer norm", "rms norm", "group norm", "attention", "separate attention"]


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
        assert model.stem.weight.grad[20].abs().max() > 0 and model.block.up.weight.grad[:, 20].abs().max() == 0
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


def test_optimizer_state_follows(transformer):
    def grown(steps_before: int):
        torch.manual_seed(0)
        model = Transformer(nn.RMSNorm).double()
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        for _ in range(steps_before):
            optimizer.zero_grad()
            model(X).square().sum().backward()
            optimizer.step()
        widen(model, by_name(model)["stem"], 12, optimizer=optimizer)
        return model, optimizer

    model, optimizer = grown(1)
    state = optimizer.state[model.norm.weight]["momentum_buffer"]
    plain = Transformer(nn.RMSNorm).double()
    plain.load_state_dict({key: value for key, value in _before().items()})
    assert torch.allclose(state[:8], plain_momentum() / (8 / 12) ** 0.5)


def _trained():
    torch.manual_seed(0)
    model = Transformer(nn.RMSNorm).double()
    model(X).square().sum().backward()
    return model


def _before():
    return _trained().state_dict()


def plain_momentum() -> Tensor:
    return _trained().norm.weight.grad
