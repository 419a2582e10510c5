import json
from pathlib import Path

import numpy as np
import pytest
import torch

from growsearch.probes.kcs import kcs

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "densemann.json").read_text())["kcs"]


@pytest.mark.parametrize("case", GOLDEN, ids=lambda case: str(case.get("seed", "embedded")))
def test_mean_absolute_weight_of_every_filter(case):
    if "weight" in case:
        weight = torch.tensor(case["weight"])
    else:
        draws = np.random.default_rng(case["seed"]).standard_normal(case["shape"])
        weight = torch.from_numpy((draws * case["scale"]).astype(np.float32))
    found = kcs(weight)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(case["kcs"], rel=1e-6)


def test_small_steps_are_seen_beside_large_weights():
    weight = torch.full((2, 400), 0.5)
    weight[1, 0] += 1e-5
    first, second = kcs(weight).tolist()
    assert second - first == pytest.approx(1e-5 / 400, rel=1e-2)
