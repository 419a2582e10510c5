import json
from pathlib import Path

import pytest
import torch

from growsearch.algorithms.prdarts.edits import transferred
from growsearch.networks.darts.candidate import conv, from_json
from growsearch.networks.darts.operations import SeparableStack
from growsearch.surgery.initialise import library_

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "prdarts.json").read_text())


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


def stack_of(candidate, channels, stride=1):
    stack = SeparableStack(candidate, channels, stride, affine=False)
    library_(stack, draws(1))
    for block in stack.blocks:
        block.norm.running_mean.normal_(generator=draws(2))
        block.norm.running_var.uniform_(0.5, 2.0, generator=draws(3))
    return stack


def name(case):
    return f"{from_json(case['parent']).label}-{from_json(case['child']).label}"


@pytest.mark.parametrize("case", GOLDEN["transfer_preserves"], ids=name)
def test_which_transfers_keep_the_function(case):
    parent, child = from_json(case["parent"]), from_json(case["child"])
    stack = stack_of(parent, case["C"], case["stride"])
    before = {key: value.clone() for key, value in stack.state_dict().items()}
    made = transferred(stack, parent, child, draws(4))
    expected = SeparableStack(child, case["C"], case["stride"], affine=False)
    assert {k: v.shape for k, v in made.state_dict().items()} == {k: v.shape for k, v in expected.state_dict().items()}
    assert repr(made) == repr(expected)
    assert all(torch.equal(value, stack.state_dict()[key]) for key, value in before.items())
    x = torch.randn(4, case["C"], 8, 8, generator=draws(5))
    for mode, same in zip((True, False), case["same"], strict=True):
        close = torch.allclose(made.train(mode)(x), stack.train(mode)(x), atol=1e-5)
        assert close == same, mode


@pytest.mark.parametrize("case", GOLDEN["transfer_kernel"], ids=lambda c: f"{c['k_parent']}-{c['k_child']}")
def test_depthwise_weights_of_kernel_morphs(case):
    parent, child = conv(case["k_parent"]), conv(case["k_child"])
    stack = stack_of(parent, 2)
    filled = torch.arange(1.0, case["k_parent"] ** 2 + 1).reshape(1, case["k_parent"], case["k_parent"])
    with torch.no_grad():
        stack.blocks[0].depthwise.weight.copy_(torch.stack([filled, -filled]))
    made = transferred(stack, parent, child, draws())
    assert made.blocks[0].depthwise.weight.tolist() == case["child_depthwise"]


@pytest.mark.parametrize("case", GOLDEN["transfer_widen"], ids=name)
def test_shapes_and_zero_columns_of_widening(case):
    parent, child = from_json(case["parent"]), from_json(case["child"])
    stack = stack_of(parent, case["C"])
    made = transferred(stack, parent, child, draws())
    for block, expected in zip(made.blocks, case["blocks"], strict=True):
        assert list(block.depthwise.weight.shape) == expected["depthwise_shape"]
        assert list(block.pointwise.weight.shape) == expected["pointwise_shape"]
        zero = (block.pointwise.weight == 0).all(0).flatten().nonzero().flatten().tolist()
        assert zero == expected["zero_pointwise_input_columns"]
    for old, new in zip(stack.blocks, made.blocks, strict=True):
        for key, value in old.state_dict().items():
            slices = tuple(slice(0, n) for n in value.shape)
            assert torch.equal(new.state_dict()[key][slices], value)


def test_new_filters_have_the_spread_of_their_own_slab():
    parent, child = conv(3, 1, (1,)), conv(3, 1, (2,))
    made = transferred(stack_of(parent, 200), parent, child, draws())
    pointwise = made.blocks[0].pointwise.weight[200:]
    assert pointwise.std().item() == pytest.approx((2 / 400) ** 0.5, rel=0.03)
    depthwise = made.blocks[1].depthwise.weight[200:]
    assert depthwise.std().item() == pytest.approx((2 / (9 + 1800)) ** 0.5, rel=0.05)


def test_inserted_block_is_the_identity_but_for_relu_and_norm():
    parent, child = conv(5, 2), conv(5, 2, (1,))
    made = transferred(stack_of(parent, 6), parent, child, draws())
    block = made.blocks[1]
    x = torch.randn(2, 6, 9, 9, generator=draws())
    torch.testing.assert_close(block.pointwise(block.depthwise(x)), x)
    assert torch.equal(block.norm.running_mean, torch.zeros(6))
    assert torch.equal(block.norm.running_var, torch.ones(6))


def test_no_transfer_without_a_morphism():
    with pytest.raises(ValueError, match="no morphism"):
        transferred(stack_of(conv(3), 2), conv(3), conv(7), draws())
