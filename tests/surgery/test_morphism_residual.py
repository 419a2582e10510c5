from collections import OrderedDict

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery.initialise import library_
from growsearch.surgery.morphisms.containers import insert_module, remove_module
from growsearch.surgery.morphisms.deepen import silence_branch


class Block(nn.Module):
    def __init__(self, channels, norm, pre_activation):
        super().__init__()
        tail = [nn.BatchNorm2d(channels)] if norm else []
        first, second = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.branch = nn.Sequential(first, nn.BatchNorm2d(channels), nn.ReLU(), second, *tail)
        self.pre_activation = pre_activation

    def forward(self, x):
        y = x + self.branch(x)
        return y if self.pre_activation else y.relu()


@given(st.integers(1, 4), st.booleans(), st.booleans(), st.booleans(), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_silenced_block_changes_nothing_in_either_mode(channels, norm, pre_activation, train, seed):
    stage = nn.Sequential(Block(channels, norm, pre_activation), Block(channels, norm, pre_activation)).double()
    library_(stage, generator(seed))
    stage.train(train)
    x = torch.randn(3, channels, 5, 5, dtype=torch.float64, generator=generator(seed, "input"))
    statistics = {name: value.clone() for name, value in stage.state_dict().items() if "running" in name}
    before = stage(x)
    stage.load_state_dict(statistics, strict=False)

    block = Block(channels, norm, pre_activation).double()
    library_(block, generator(seed, "new"))
    silence_branch(block.branch[-1])
    insert_module(stage, 1, block.train(train))
    assert torch.equal(stage(x), before)
    if train:
        stage(x).square().sum().backward()
        assert block.branch[-1].weight.grad.abs().max() > 0


def test_silence_keeps_old_tensors_and_refuses_other_layers():
    norm = nn.BatchNorm2d(3)
    old = norm.weight
    silence_branch(norm)
    assert torch.equal(old, torch.ones(3))
    assert not norm.weight.any()
    for layer in (nn.ReLU(), nn.BatchNorm2d(3, affine=False), nn.Sequential(nn.Linear(2, 2))):
        with pytest.raises(UserError, match=type(layer).__name__):
            silence_branch(layer)


def test_numbered_children_are_renamed():
    for container in (nn.Sequential(nn.ReLU(), nn.Tanh()), nn.ModuleList([nn.ReLU(), nn.Tanh()])):
        insert_module(container, 1, nn.Sigmoid())
        assert [(n, type(m).__name__) for n, m in container.named_children()] == [
            ("0", "ReLU"),
            ("1", "Sigmoid"),
            ("2", "Tanh"),
        ]
        assert isinstance(remove_module(container, 0), nn.ReLU)
        assert [n for n, _ in container.named_children()] == ["0", "1"]
    empty = nn.ModuleList()
    insert_module(empty, 0, nn.Tanh())
    assert len(empty) == 1


def test_named_children_keep_their_names():
    container = nn.Sequential(OrderedDict(first=nn.ReLU(), last=nn.Tanh()))
    insert_module(container, 1, nn.Sigmoid(), name="middle")
    assert list(container._modules) == ["first", "middle", "last"]
    remove_module(container, 0)
    assert list(container._modules) == ["middle", "last"]
    assert container(torch.zeros(1)).item() == pytest.approx(torch.tanh(torch.tensor(0.5)).item())


def test_positions_and_names_are_checked():
    numbered, named = nn.Sequential(nn.ReLU()), nn.Sequential(OrderedDict(first=nn.ReLU()))
    with pytest.raises(UserError, match="position 2 is not accepted; use 0 to 1"):
        insert_module(numbered, 2, nn.Tanh())
    with pytest.raises(UserError, match="none, as children are numbered"):
        insert_module(numbered, 0, nn.Tanh(), name="x")
    for name in (None, "first"):
        with pytest.raises(UserError, match="one that no child has"):
            insert_module(named, 0, nn.Tanh(), name=name)
    with pytest.raises(UserError, match="position 1 is not accepted"):
        remove_module(numbered, 1)
    assert len(numbered) == len(named) == 1
