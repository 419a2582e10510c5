"""What may be cut is cut as if it had been silent, and what may be widened computes what it did."""

import random
from itertools import product

import pytest
import torch
import torchvision
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prunable_networks import BLOCKS, network, silenced
from sampling import drawn, sampled
from torch import nn

from growsearch.surgery import channel_groups, prune, transaction, widen

X = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
UNEVEN = {"layer norm", "rms norm", "group norm"} | {
    f"{kind}attention" for kind in ("", "head-first ", "tied ", "separate ")
}
"""Blocks with groups whose channels are not copied one by one."""


def close(a, b):
    return torch.allclose(a, b, rtol=0, atol=1e-9 * max(1.0, float(b.detach().abs().max())))


def check(model: nn.Module, seed: int, prove: bool) -> None:
    """Cut random channels of random groups against the oracle, then widen what is free."""
    rng = random.Random(seed)
    groups = [g for g in channel_groups(model, X, prove=prove) if g.unprunable is None and g.size > 2]
    chosen = rng.sample(groups, rng.randint(1, len(groups)))
    cuts = [(group, sorted(rng.sample(range(group.size), rng.randint(1, group.size - 2)))) for group in chosen]
    expected = silenced(model, cuts)(X)
    for group, gone in cuts:
        prune(model, group, [channel for channel in range(group.size) if channel not in gone])
    assert close(model(X), expected), [group.name for group in chosen]
    again = {(g.size, g.map.frozen[g.number], g.unprunable) for g in channel_groups(model, X, prove=False)}
    assert {(g.size, g.map.frozen[g.number], g.unprunable) for g in groups} <= again
    before = model(X)
    for group in groups:
        if group.frozen is None and rng.random() < 0.7:
            widen(model, group, group.size + group.step * rng.randint(1, 3))
    assert close(model(X), before)


@pytest.mark.parametrize(
    ("kind", "seed"), sampled(product(BLOCKS, (0, 1)), *((kind, 0) for kind in drawn(BLOCKS, len(BLOCKS) // 4)))
)
def test_each_layer_is_cut_as_if_silent(kind, seed):
    model = network([kind], seed)
    groups = [g for g in channel_groups(model, X) if g.unprunable not in ("network input", "network output")]
    assert groups and all(group.unprunable is None for group in groups), groups
    assert all(group.frozen is None for group in groups), groups
    assert any(group.map.bonds[group.number] for group in groups) == (kind in UNEVEN), groups
    check(model, seed, prove=True)


def test_layers_and_attributes_keep_their_sizes_true():
    class Sized(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem, self.heads, self.head_dim, self.window = nn.Linear(3, 8), 2, 4, (4, 4)
            self.attention, self.norm = nn.MultiheadAttention(8, 2, batch_first=True), nn.LayerNorm(8)
            self.plain, self.group = nn.LayerNorm(8, elementwise_affine=False), nn.GroupNorm(2, 8)
            self.qkv, self.out = nn.Linear(8, 24), nn.Linear(8, 2)

        def forward(self, x):
            x = self.norm(self.stem(x.flatten(2).transpose(1, 2)))
            x = self.plain(x + self.attention(x, x, x)[0])
            x = self.group(x.transpose(1, 2)).transpose(1, 2)
            q, k, v = self.qkv(x).reshape(len(x), -1, 3, self.heads, self.head_dim).permute(2, 0, 3, 1, 4)
            return self.out((q @ k.transpose(-2, -1)).softmax(-1).matmul(v).transpose(1, 2).flatten(2))

    model = Sized().double()
    groups = {g.name: g for g in channel_groups(model, X) if g.unprunable is None}
    assert set(groups) == {"stem", "qkv"} and (groups["stem"].size, groups["qkv"].size) == (4, 4)
    prune(model, groups["stem"], [2, 0, 3])
    prune(model, groups["qkv"], [1])
    attention = model.attention
    assert (attention.embed_dim, attention.kdim, attention.vdim, attention.head_dim) == (6, 6, 6, 3)
    assert model.norm.normalized_shape == model.plain.normalized_shape == (6,)
    assert model.group.num_channels == 6 and model.head_dim == 1 and model.heads == 2 and model.window == (4, 4)
    assert model(X).shape == (3, 16, 2)


class Regions(nn.Module):
    """A detector's second stage."""

    def __init__(self) -> None:
        super().__init__()
        self.features, self.hidden, self.out = nn.Conv2d(3, 6, 1), nn.Linear(24, 5), nn.Linear(5, 2)
        self.register_buffer("boxes", torch.tensor([[0.0, 0.0, 0.0, 2.0, 2.0], [1.0, 1.0, 0.0, 2.0, 1.0]]))

    def forward(self, x):
        pooled = torchvision.ops.roi_align(self.features(x), self.boxes.to(x.dtype), 2)
        return self.out(self.hidden(pooled.flatten(1)).relu())


def test_regions_of_a_detector_follow_their_channels():
    torch.manual_seed(0)
    model = Regions().double()
    groups = {group.name: group for group in channel_groups(model, X)}
    before, group = model(X), groups["features"]
    assert group.frozen is None and groups["hidden"].frozen is None
    expected = silenced(model, [(group, [1])])(X)
    with transaction(model) as snapshot:
        widen(model, group, 9)
        assert close(model(X), before)
        snapshot.restore()
    prune(model, group, [0, 2, 3, 4, 5])
    assert model.hidden.in_features == 20 and close(model(X), expected)


def test_a_cut_can_be_undone():
    model = network(["attention", "layer norm"], 3)
    before, attributes = model(X), [dict(vars(module)) for module in model.modules()]
    group = next(g for g in channel_groups(model, X) if "qkv" in g.name)
    with pytest.raises(ZeroDivisionError), transaction(model):
        prune(model, group, [0])
        raise ZeroDivisionError
    assert torch.equal(model(X), before) and group.size == 4
    assert [dict(vars(module)) for module in model.modules()] == attributes


@settings(max_examples=12, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=2, max_size=4), st.integers(0, 10**6))
def test_random_networks_are_cut_as_if_silent(kinds, seed):
    check(network(kinds, seed), seed, prove=False)


@settings(max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=2, max_size=3), st.integers(0, 10**6))
def test_the_proof_freezes_nothing_of_random_networks(kinds, seed):
    model = network(kinds, seed)
    traced = [(g.name, g.map.frozen[g.number], g.unprunable) for g in channel_groups(model, X, prove=False)]
    assert [(g.name, g.map.frozen[g.number], g.unprunable) for g in channel_groups(model, X)] == traced


@pytest.mark.slow
@settings(max_examples=2000, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=5), st.integers(0, 10**6))
def test_many_random_networks_are_cut_as_if_silent(kinds, seed):
    check(network(kinds, seed), seed, prove=seed % 10 == 0)
