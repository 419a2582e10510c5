import json
import math
from pathlib import Path

import pytest
import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.surgery.initialise import (
    glorot_normal,
    glorot_uniform,
    he_normal_truncated,
    library_,
    variance_scaling,
)

INIT_STD = json.loads((Path(__file__).parents[1] / "golden/surgery_densemann.json").read_text())["init_std"]


@pytest.mark.parametrize("case", INIT_STD, ids=lambda case: case["layer"])
def test_variance_scaling_golden(case):
    shape = (4000, *case["shape"][1:])
    truncated = variance_scaling(shape, case["mode"], "truncated", generator(0, "truncated"))
    assert truncated.std().item() == pytest.approx(case["truncated_std"], rel=0.01)
    assert truncated.abs().max() <= case["truncation_bound"] * (1 + 1e-6)
    normal = variance_scaling(shape, case["mode"], "normal", generator(0, "normal"))
    assert normal.std().item() == pytest.approx(case["measured_std_of_original_untruncated"], rel=0.03)
    assert normal.std().item() == pytest.approx(case["parent_std"], rel=0.01)
    assert normal.abs().max() > case["truncation_bound"]


def test_variance_scaling_refuses_unknown_names():
    with pytest.raises(UserError, match="fan_sum"):
        variance_scaling((2, 3), "fan_sum", "normal", generator(0))
    with pytest.raises(UserError, match="cauchy"):
        variance_scaling((2, 3), "fan_in", "cauchy", generator(0))


def test_keras_initialisers():
    shape = (400, 30, 3, 3)
    he = he_normal_truncated(shape, generator(1))
    assert he.std().item() == pytest.approx(0.87962566 * math.sqrt(2 / 270), rel=0.01)
    assert he.abs().max() <= 2 * math.sqrt(2 / 270)
    limit = math.sqrt(6 / (430 * 9))
    uniform = glorot_uniform(shape, generator(2))
    assert uniform.abs().max() <= limit
    assert uniform.std().item() == pytest.approx(limit / math.sqrt(3), rel=0.01)
    assert glorot_normal(shape, generator(3)).std().item() == pytest.approx(math.sqrt(2 / (430 * 9)), rel=0.01)
    assert glorot_normal((8, 4), generator(3), dtype=torch.float64).dtype == torch.float64


def network():
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.Conv2d(8, 8, 3, groups=4, bias=False),
        nn.PReLU(),
        nn.Sequential(nn.GroupNorm(2, 8), nn.Flatten(), nn.LayerNorm(32)),
        nn.ConvTranspose1d(4, 6, 2),
        nn.Linear(32, 5),
        nn.Embedding(7, 3, padding_idx=2),
    )


def test_library_draws_as_the_constructors_do():
    with torch.random.fork_rng(devices=[]):
        torch.random.default_generator.manual_seed(5)
        expected = network()
        before = torch.get_rng_state()
        with torch.device("meta"):
            actual = network()
        actual = actual.to_empty(device="cpu")
        library_(actual, torch.Generator().manual_seed(5))
        assert torch.equal(before, torch.get_rng_state())
    for name, tensor in expected.state_dict().items():
        assert torch.equal(tensor, actual.state_dict()[name]), name


def test_library_refuses_parameters_it_does_not_know():
    with pytest.raises(UserError, match=r"module 1 of type LSTM"):
        library_(nn.Sequential(nn.Linear(2, 2), nn.LSTM(2, 2)), generator(0))
