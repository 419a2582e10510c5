import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery.morphisms.deepen import identity_dense
from growsearch.surgery.morphisms.merge import merge_dense, merged_dense
from growsearch.surgery.morphisms.svd import Factors, reduce_units, reduced_units, singular_factors

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/surgery_ectonas.json").read_text())
sizes = st.integers(1, 7)


def tensor(values):
    return None if values is None else torch.tensor(values, dtype=torch.float64)


def close(actual, expected):
    if expected is None:
        return actual is None
    return torch.allclose(actual, tensor(expected), rtol=0, atol=1e-9)


def dense(inputs, outputs, seed, bias=True):
    layer = nn.Linear(inputs, outputs, bias=bias, dtype=torch.float64)
    for i, parameter in enumerate(layer.parameters()):
        nn.init.normal_(parameter, generator=generator(seed, i))
    return layer


@pytest.mark.parametrize("case", GOLDEN["svd_remove_units"])
def test_reduced_units_golden(case):
    first, second = tensor(case["W1"]).T, tensor(case["W2"]).T
    weight, bias, next_weight = reduced_units(first, tensor(case["b1"]), second, case["target"])
    assert weight.shape[0] == case["r"]
    assert close((next_weight @ weight).T, case["paper"]["product"])
    assert close(next_weight @ bias, case["paper"]["bias_product"])
    assert close(singular_factors(first).values, case["singular_values"])

    code = case["code"]
    factors = Factors(tensor(code["U"]), tensor(code["S"]), tensor(code["Vh"]))
    weight, bias, next_weight = reduced_units(first, tensor(case["b1"]), second, case["target"], "code", factors)
    assert close(weight.T, code["W1_new"])
    assert close(bias, code["b1_new"])
    assert close(next_weight.T, code["W2_new"])


@pytest.mark.parametrize("variant", ["paper", "code"])
def test_reduce_units_edits_the_layers(variant):
    first, second = dense(6, 5, 0), dense(5, 3, 1)
    weight, bias, next_weight = reduced_units(first.weight, first.bias, second.weight, 3, variant)
    old = [first.weight, first.bias, second.weight, second.bias]
    before = [t.clone() for t in old]
    assert reduce_units(first, second, 3, variant) == 3
    assert (first.in_features, first.out_features, second.in_features, second.out_features) == (6, 3, 3, 3)
    assert torch.equal(first.weight, weight)
    assert torch.equal(first.bias, bias)
    assert torch.equal(second.weight, next_weight)
    assert second.bias is old[3]
    assert all(torch.equal(a, b) for a, b in zip(old, before, strict=True))
    assert second(first(torch.ones(2, 6, dtype=torch.float64)).relu()).shape == (2, 3)


@given(sizes, sizes, sizes, st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_reducing_to_the_rank_keeps_the_product(inputs, units, outputs, seed):
    first, second = dense(inputs, units, seed), dense(units, outputs, seed + 1)
    x = torch.randn(3, inputs, dtype=torch.float64, generator=generator(seed))
    # The bias stays only as far as it lies in the space of the singular vectors.
    left, values, right = singular_factors(first.weight)
    assert torch.allclose((left * values @ right).T, first.weight, atol=1e-12)
    first.bias = nn.Parameter(right.T @ (right @ first.bias.detach()))
    before = second(first(x))
    assert reduce_units(first, second, units) == min(units, inputs)
    assert torch.allclose(second(first(x)), before, atol=1e-9)


def test_signs_of_singular_vectors_are_fixed():
    left, _, right = singular_factors(dense(5, 4, 3).weight)
    assert (left.gather(0, left.abs().argmax(0, keepdim=True)) > 0).all()
    assert torch.allclose(right @ right.T, torch.eye(4, dtype=torch.float64), atol=1e-12)


def test_reduced_units_without_bias_and_bad_requests():
    first, second = dense(6, 5, 0, bias=False), dense(5, 3, 1)
    assert reduced_units(first.weight, None, second.weight, 2)[1] is None
    assert reduce_units(first, second, 2) == 2
    with pytest.raises(UserError, match="target 0"):
        reduce_units(first, second, 0)
    with pytest.raises(UserError, match="'authors'"):
        reduce_units(first, second, 1, "authors")


@pytest.mark.parametrize("case", GOLDEN["remove_dense"])
def test_merged_dense_golden(case):
    W1, b1, W2, b2 = (tensor(case[key]) for key in ("W1", "b1", "W2", "b2"))
    weight, bias = merged_dense(W1.T, b1, W2.T, b2)
    assert close(weight.T, case["W"])
    assert close(bias, case["b"])


@given(sizes, sizes, sizes, st.booleans(), st.booleans(), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_merging_keeps_the_function_without_activation(inputs, units, outputs, first_bias, second_bias, seed):
    first, second = dense(inputs, units, seed, first_bias), dense(units, outputs, seed + 1, second_bias)
    x = torch.randn(3, inputs, dtype=torch.float64, generator=generator(seed))
    before = second(first(x))
    merge_dense(first, second)
    assert second.in_features == inputs
    assert torch.allclose(second(x), before, atol=1e-9)


@given(sizes, sizes, sizes, st.booleans(), st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_an_identity_layer_after_a_relu_changes_nothing(inputs, units, outputs, bias, seed):
    first, last = dense(inputs, units, seed), dense(units, outputs, seed + 1)
    x = torch.randn(3, inputs, dtype=torch.float64, generator=generator(seed))
    new = identity_dense(units, bias=bias, like=first.weight)
    assert (new.bias is not None) == bias
    assert torch.equal(last(new(first(x).relu()).relu()), last(first(x).relu()))
    new(first(x).relu()).sum().backward()
    assert new.weight.grad is not None


def test_an_identity_layer_draws_nothing():
    before = torch.get_rng_state()
    layer = identity_dense(4)
    assert torch.equal(before, torch.get_rng_state())
    assert layer.weight.dtype == torch.float32
    assert not layer.bias.any()
