import copy
import json
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery import channel_groups
from growsearch.surgery.initialise import library_
from growsearch.surgery.morphisms import kernel, separable
from growsearch.surgery.remap import remap

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/surgery_prdarts.json").read_text())


class Block(nn.Module):
    def __init__(self, inputs, outputs, window, spread, stride):
        super().__init__()
        padding = (window - 1) * spread // 2
        self.depthwise = nn.Conv2d(inputs, inputs, window, stride, padding, spread, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.norm = nn.BatchNorm2d(outputs, affine=False)

    def forward(self, x):
        return self.norm(self.pointwise(self.depthwise(x.relu())))


def stack(candidate, channels, stride, seed=0):
    widths = [channels, *(m * channels for m in candidate["expansions"]), channels]
    blocks = nn.Sequential(
        *(
            Block(n, m, candidate["kernel"], candidate["dilation"], stride if i == 0 else 1)
            for i, (n, m) in enumerate(pairwise(widths))
        )
    ).double()
    library_(blocks, generator(seed, "stack"))
    for block in blocks:
        block.norm.running_mean.normal_(generator=generator(seed, "mean"))
        block.norm.running_var.uniform_(0.5, 2, generator=generator(seed, "var"))
    return blocks


def widen_entry(blocks, at, count):
    example = torch.zeros(2, blocks[0].depthwise.in_channels, 8, 8, dtype=torch.float64)
    group = next(g for g in channel_groups(blocks, example) if f"{at}.pointwise" in g.producers)
    fresh = separable.unseen_channels(generator(1, "widen"))
    remap(blocks, group, [*range(group.size), *[-1] * count], fresh=fresh)


def morph(parent, old, new, channels):
    """The parent's child, by the edits that an algorithm would choose."""
    child = copy.deepcopy(parent)
    for block in child:
        for _ in range((new["kernel"] - old["kernel"]) // 2):
            kernel.grow_kernel(block.depthwise)
        for _ in range((old["kernel"] - new["kernel"]) // 2):
            kernel.shrink_kernel(block.depthwise)
        kernel.set_dilation(block.depthwise, new["dilation"])
    if len(new["expansions"]) > len(old["expansions"]):
        child.append(Block(channels, channels, new["kernel"], new["dilation"], 1).double())
        separable.identity_separable(child[-1])
    for i, (before, after) in enumerate(zip(old["expansions"], new["expansions"], strict=False)):
        if after > before:
            widen_entry(child, i, channels)
    return child


@pytest.mark.parametrize("case", GOLDEN["transfer_preserves"])
def test_transfer_preserves_golden(case):
    parent = stack(case["parent"], case["C"], case["stride"])
    child = morph(parent, case["parent"], case["child"], case["C"])
    expected = stack(case["child"], case["C"], case["stride"])
    assert {n: t.shape for n, t in child.state_dict().items()} == {n: t.shape for n, t in expected.state_dict().items()}
    x = torch.randn(4, case["C"], 9, 9, dtype=torch.float64, generator=generator(2))
    for train, same in zip((True, False), case["same"], strict=True):
        difference = (child.train(train)(x) - parent.train(train)(x)).abs().max()
        assert (difference < 1e-12) if same else (difference > 1e-3)


@pytest.mark.parametrize("case", GOLDEN["transfer_kernel"])
def test_transfer_kernel_golden(case):
    side = case["k_parent"]
    conv = nn.Conv2d(2, 2, side, padding=side // 2, groups=2, bias=False)
    numbers = torch.arange(1.0, side * side + 1).reshape(1, side, side)
    conv.weight = nn.Parameter(torch.stack([numbers, -numbers]))
    before = conv.weight
    (kernel.grow_kernel if case["k_child"] > side else kernel.shrink_kernel)(conv)
    assert torch.equal(conv.weight, torch.tensor(case["child_depthwise"]))
    assert conv.kernel_size == (case["k_child"],) * 2
    assert conv(torch.zeros(1, 2, 5, 5)).shape == (1, 2, 5, 5)
    assert torch.equal(before, torch.stack([numbers, -numbers]))


@pytest.mark.parametrize("case", GOLDEN["transfer_widen"])
def test_transfer_widen_golden(case):
    parent = stack(case["parent"], case["C"], 1)
    child = morph(parent, case["parent"], case["child"], case["C"])
    for block, expected in zip(child, case["blocks"], strict=True):
        assert list(block.depthwise.weight.shape) == expected["depthwise_shape"]
        assert list(block.pointwise.weight.shape) == expected["pointwise_shape"]
        zero = (block.pointwise.weight == 0).all(dim=0).flatten().nonzero().flatten().tolist()
        assert zero == expected["zero_pointwise_input_columns"]
    grown = case["child"]["expansions"].index(2, 0 if case["parent"]["expansions"] == [1] else 1)
    assert torch.equal(child[grown].norm.running_mean[case["C"] :], torch.zeros(case["C"]).double())
    assert torch.equal(child[grown].norm.running_var[case["C"] :], torch.ones(case["C"]).double())


def test_pass_on_resets_the_block():
    block = stack({"kernel": 5, "dilation": 2, "expansions": []}, 3, 1)[0]
    separable.identity_separable(block)
    x = torch.randn(2, 3, 8, 8, dtype=torch.float64, generator=generator(0))
    assert torch.equal(block.pointwise(block.depthwise(x)), x)
    assert not block.norm.running_mean.any()
    assert torch.equal(block.norm.running_var, torch.ones(3).double())


def test_pass_on_refuses_blocks_that_cannot():
    with pytest.raises(UserError, match="stride"):
        separable.identity_separable(stack({"kernel": 3, "dilation": 1, "expansions": []}, 3, 2)[0])
    with pytest.raises(UserError, match="6 outputs"):
        separable.identity_separable(stack({"kernel": 3, "dilation": 1, "expansions": [2]}, 3, 1)[0])
