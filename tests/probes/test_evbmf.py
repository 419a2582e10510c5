import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize_scalar

from growsearch.probes import evbmf
from growsearch.probes.minimise import minimise_bounded

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "conet.json").read_text())["evbmf"]
AUTHORS_TOLERANCE = 1e-5


def matrix(recipe: dict[str, Any]) -> torch.Tensor:
    L, M, r = recipe["L"], recipe["M"], recipe["r"]
    random = np.random.RandomState(recipe["seed"])
    Y = random.randn(L, M) * recipe["noise"]
    if r > 0:
        A, B = random.randn(L, r), random.randn(r, M)
        Y += recipe["scale"] * (A @ B)
    return torch.from_numpy(Y.astype(np.float32))


def name(case: dict[str, Any]) -> str:
    return "{L}x{M}-r{r}".format(**case["recipe"])


@pytest.mark.parametrize("case", GOLDEN, ids=name)
def test_authors_tolerance_gives_the_authors_numbers(case: dict[str, Any]) -> None:
    found = evbmf(matrix(case["recipe"]), transpose=False, tolerance=AUTHORS_TOLERANCE)
    original = case["original"]
    if "error" in original:
        assert found.rank == 0 and np.isnan(found.noise_variance)
        return
    kept = found.singular_values
    assert found.rank == original["rank"] == len(kept)
    assert found.noise_variance == pytest.approx(original["sigma2"], rel=1e-5)
    assert kept[: len(original["d"])].tolist() == pytest.approx(original["d"], abs=1e-4)
    if found.rank:
        assert float(kept[0] / kept[-1]) == pytest.approx(original["condition"], rel=1e-4)
        assert float((kept / kept[0]).sum()) == pytest.approx(original["S_sum"], rel=1e-4)


@pytest.mark.parametrize("case", [c for c in GOLDEN if "error" not in c["original"]], ids=name)
def test_precise_search_gives_the_tight_numbers(case: dict[str, Any]) -> None:
    found = evbmf(matrix(case["recipe"]), transpose=False)
    assert found.rank == case["rank_tight_tolerance"]
    assert found.noise_variance == pytest.approx(case["sigma2_tight_tolerance"], rel=1e-5)


@pytest.mark.parametrize("case", [c for c in GOLDEN if c["rank_transposed"] is not None], ids=name)
def test_rank_of_the_transposed_matrix(case: dict[str, Any]) -> None:
    Y = matrix(case["recipe"])
    assert evbmf(Y.T, transpose=False, tolerance=AUTHORS_TOLERANCE).rank == case["rank_transposed"]
    if Y.shape[0] > Y.shape[1]:
        assert evbmf(Y).rank == case["rank_transposed"]
    assert evbmf(Y).rank == evbmf(Y.T).rank


def test_singular_values_match_a_full_svd() -> None:
    Y = matrix({"L": 24, "M": 60, "r": 3, "noise": 0.001, "scale": 1.0, "seed": 0})
    found = evbmf(Y)
    assert found.rank == 3
    # with next to no noise, hardly anything is shrunk
    assert found.singular_values.tolist() == pytest.approx(torch.linalg.svdvals(Y)[:3].tolist(), rel=1e-3)


@pytest.mark.parametrize("shape", [(4, 9), (1, 1), (9, 4)])
def test_zero_matrix_has_rank_zero_and_no_noise(shape: tuple[int, int]) -> None:
    found = evbmf(torch.zeros(shape))
    assert (found.rank, found.noise_variance) == (0, 0.0)


def test_exactly_low_rank_matrix_is_recovered() -> None:
    generator = torch.Generator().manual_seed(0)
    Y = torch.randn(12, 2, generator=generator) @ torch.randn(2, 30, generator=generator)
    assert evbmf(Y).rank == 2


def test_refuses_what_is_no_matrix() -> None:
    with pytest.raises(ValueError, match="matrix"):
        evbmf(torch.zeros(3))
    with pytest.raises(ValueError, match="matrix"):
        evbmf(torch.zeros(3, 0))


def test_bounded_search_is_scipys_entry_for_entry() -> None:
    centre = np.array([0.3, -2.0, 5.0, 0.11])
    lower, upper = np.array([0.0, -1.0, 0.0, 0.1]), np.array([1.0, 4.0, 4.0, 9.0])

    def function(x: np.ndarray) -> np.ndarray:
        return (x - centre) ** 2 + 0.3 * np.sin(3 * x)

    found = minimise_bounded(function, lower, upper, tolerance=1e-5)
    for i in range(4):
        scalar = minimize_scalar(
            lambda x, i=i: (x - centre[i]) ** 2 + 0.3 * np.sin(3 * x), bounds=(lower[i], upper[i]), method="bounded"
        )
        assert found[i] == pytest.approx(scalar.x, abs=1e-12)


def test_bounded_search_leaves_out_entries() -> None:
    found = minimise_bounded(
        lambda x: x**2, np.array([-1.0, -1.0]), np.array([2.0, 2.0]), where=np.array([True, False])
    )
    assert abs(found[0]) < 1e-6 and found[1] == -1.0
