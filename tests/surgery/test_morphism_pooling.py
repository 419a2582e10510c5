import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery.morphisms.pooling import (
    follow_pooling,
    follow_removed_pooling,
    pooled_weight,
    size_before_last_pooling,
    unpooled_weight,
)

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/surgery_ectonas.json").read_text())


def maps(rows, hwc):
    """Keras rows (h, w, c) x units as maps (units, C, H, W)."""
    return torch.tensor(rows, dtype=torch.float64).reshape(*hwc, -1).permute(3, 2, 0, 1)


def dense_of(weight_uchw):
    layer = nn.Linear(weight_uchw[0].numel(), len(weight_uchw), dtype=torch.float64)
    layer.weight = nn.Parameter(weight_uchw.flatten(1))
    layer.bias = nn.Parameter(torch.arange(len(weight_uchw), dtype=torch.float64))
    return layer


@pytest.mark.parametrize("case", GOLDEN["pool_add"])
@pytest.mark.parametrize("rewrite", ["avg", "max_abs", "max_signed"])
def test_pool_add_golden(case, rewrite):
    weight, expected = maps(case["weight"], case["flatten_hwc"]), maps(case[rewrite], case["out_hwc"])
    assert torch.allclose(pooled_weight(weight, rewrite), expected, rtol=0, atol=1e-9)
    layer = dense_of(weight)
    bias, old = layer.bias, layer.weight
    follow_pooling(layer, tuple(case["flatten_hwc"][:2]), rewrite)
    assert torch.allclose(layer.weight, expected.flatten(1), rtol=0, atol=1e-9)
    assert layer.in_features == expected[0].numel()
    assert layer.bias is bias
    assert torch.equal(old, weight.flatten(1))


@pytest.mark.parametrize("case", GOLDEN["pool_remove"])
def test_pool_remove_golden(case):
    height, width = (size_before_last_pooling(n, case["poolings_before_removal"]) for n in case["network_input_hw"])
    assert [height, width] == case["out_hwc"][:2]
    weight, expected = maps(case["weight"], case["flatten_hwc"]), maps(case["out"], case["out_hwc"])
    assert torch.equal(unpooled_weight(weight, (height, width)), expected)
    layer = dense_of(weight)
    follow_removed_pooling(layer, tuple(case["flatten_hwc"][:2]), (height, width))
    assert torch.equal(layer.weight, expected.flatten(1))
    assert layer.in_features == expected[0].numel()


@given(st.integers(1, 9), st.integers(1, 9), st.sampled_from(["avg", "max_abs", "max_signed"]), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_pooling_a_repeated_weight_gives_it_back(height, width, rewrite, seed):
    size = ((height + 1) // 2, (width + 1) // 2)
    weight = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator(seed))
    again = pooled_weight(unpooled_weight(weight, (height, width)), rewrite)
    assert torch.allclose(again, weight, rtol=0, atol=1e-15)


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_an_average_pooling_is_followed_exactly_by_whole_windows(height, width, seed):
    """On maps that are constant within windows, the rewritten layer gives the window's share of the output."""
    weight = torch.randn(2, 3, 2 * height, 2 * width, dtype=torch.float64, generator=generator(seed))
    coarse = torch.randn(4, 3, height, width, dtype=torch.float64, generator=generator(seed, "maps"))
    fine = coarse.repeat_interleave(2, 2).repeat_interleave(2, 3)
    layer = dense_of(weight)
    before = layer(fine.flatten(1)) - layer.bias
    follow_pooling(layer, (2 * height, 2 * width), "avg")
    after = layer(nn.functional.avg_pool2d(fine, 2).flatten(1)) - layer.bias
    assert torch.allclose(4 * after, before, atol=1e-9)


def test_bad_requests():
    layer = nn.Linear(2 * 4 * 4, 3)
    with pytest.raises(UserError, match="whole maps of 3x4"):
        follow_pooling(layer, (3, 4), "avg")
    with pytest.raises(UserError, match="'max'"):
        follow_pooling(layer, (4, 4), "max")
    with pytest.raises(UserError, match="9x8"):
        follow_removed_pooling(layer, (4, 4), (9, 8))
    assert layer.weight.shape == (3, 32)
