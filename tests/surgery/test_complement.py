import json
from pathlib import Path

import pytest
import torch

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery.complement import complementary_filters, complementary_signs

CASES = json.loads((Path(__file__).parents[1] / "golden/surgery_densemann.json").read_text())["complementarity"]


def strengths(weight):
    return weight.double().abs().mean(dim=(1, 2, 3))


@pytest.mark.parametrize("case", CASES)
def test_signs_golden(case):
    weight = torch.tensor(case["old_weights"])
    assert int(strengths(weight).argmin()) == case["lowest_kcs_index"]
    new = complementary_filters(weight, strengths(weight), 1, generator(0))
    assert torch.equal(new.sign(), torch.tensor(case["new_filter_signs"], dtype=new.dtype)[None])


def test_magnitudes_are_fan_none():
    weight = torch.randn(100, 100, 3, 3, generator=generator(1))
    truncated = complementary_filters(weight, strengths(weight), 100, generator(2))
    assert truncated.square().mean().sqrt().item() == pytest.approx(0.4728, rel=0.01)
    normal = complementary_filters(weight, strengths(weight), 100, generator(2), distribution="normal")
    assert normal.square().mean().sqrt().item() == pytest.approx(0.5375, rel=0.01)
    double = complementary_filters(weight.double(), strengths(weight), 1, generator(2))
    assert double.dtype == torch.float64


def test_several_filters_oppose_the_weakest_in_order():
    weight = torch.tensor([[1.0, -1, 2, 3], [0.1, 0.1, -0.1, 0.1], [0.1, 0.1, 0.1, -0.1], [1, 1, 1, 1]]).reshape(
        4, 1, 2, 2
    )
    signs = complementary_signs(weight, strengths(weight), 2, generator(0)).flatten(1)
    assert signs.tolist() == [[False, False, True, False], [False, False, False, True]]


def test_a_known_pattern_gets_one_sign_flipped():
    weight = torch.stack([torch.full((2, 2, 2), 0.1), torch.full((2, 2, 2), -1.0)])
    for seed in range(10):
        signs = complementary_signs(weight, strengths(weight), 1, generator(seed))
        assert signs.sum() == 1  # the negation (all negative) is the other filter's pattern


def test_two_new_filters_differ_from_each_other():
    weight = torch.tensor([0.1, 0.2]).reshape(2, 1, 1, 1).expand(2, 1, 3, 3)
    first, second = complementary_signs(weight, strengths(weight), 2, generator(0))
    assert not first.any()
    assert second.sum() == 1


def test_patience_is_shared_and_then_the_pattern_stays():
    every_pattern = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]).reshape(4, 2, 1, 1)
    signs = complementary_signs(every_pattern, strengths(every_pattern), 3, generator(0)).flatten(1)
    assert signs.shape == (3, 2)
    # Two tries in all: the first filter uses them up, the others stay plain negations.
    assert signs[1:].tolist() == [[False, True], [True, False]]


def test_zero_weights_count_as_positive():
    weight = torch.zeros(1, 1, 3, 3)
    assert not complementary_signs(weight, strengths(weight), 1, generator(0)).any()


def test_more_filters_than_the_layer_has_are_refused():
    weight = torch.ones(2, 1, 3, 3)
    with pytest.raises(UserError, match=r"3 is more than the layer.s own; use at most 2"):
        complementary_signs(weight, strengths(weight), 3, generator(0))


@pytest.mark.parametrize("count", [-1, 0])
def test_no_filters_are_refused(count):
    weight = torch.ones(4, 2, 3, 3)
    with pytest.raises(UserError, match=f"{count} is not accepted; use at least 1"):
        complementary_filters(weight, strengths(weight), count, generator(0))
