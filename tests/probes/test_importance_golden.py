import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from growsearch.errors import UserError
from growsearch.probes import il_fs, inf_fs, vip
from growsearch.probes.il_fs import count_tokens, rank_one_scores, relevance
from growsearch.probes.inf_fs import average_ranks
from growsearch.probes.vip import PlsMoments

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "stagewise.json").read_text())


def by_name(key: str) -> Any:
    return pytest.mark.parametrize("case", GOLDEN[key], ids=lambda case: case["name"])


def data(case: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """Rebuild a case's arrays by the recipe that the golden file states."""
    if "X" in case:
        return torch.tensor(case["X"], dtype=torch.float64), torch.tensor(case["y"])
    rng = np.random.default_rng(case["seed"])
    n, p, classes, kind = case["n"], case["p"], case["K"], case["kind"]
    z, y, b = rng.standard_normal((n, p)), rng.integers(0, classes, n), rng.standard_normal((classes, p))
    x = z + 0.5 * b[y]
    if kind in ("relu", "dead"):
        x = np.maximum(x, 0)
    if kind == "dead":
        x[:, ::7] = 0
    if kind == "corr":
        x = x @ (np.eye(p) + 0.3 * np.ones((p, p)) / p)
        x[:, 1] = x[:, 0] + 0.01 * z[:, 1]
    if kind == "ties":
        x = np.round(x * 2) / 2
    assert x.sum() == pytest.approx(case["X_sum"], abs=1e-6)
    return torch.from_numpy(x), torch.from_numpy(y)


@by_name("vip")
def test_vip_matches_the_converged_solution(case: dict[str, Any]) -> None:
    x, y = data(case)
    found = vip(x, y, case["n_components"])
    np.testing.assert_allclose(found, case["vip_exact"], atol=1e-6, rtol=0)
    assert float(found.mean()) == pytest.approx(case["stage_score_exact"], abs=1e-8)
    assert float(found.square().mean()) == pytest.approx(1)


@by_name("vip")
def test_vip_streams(case: dict[str, Any]) -> None:
    x, y = data(case)
    responses = torch.nn.functional.one_hot(y, case["K"])
    moments = PlsMoments(gram=case["n_components"] > 1)
    for start in range(0, len(x), 37):
        moments.add(x[start : start + 37], responses[start : start + 37])
    np.testing.assert_allclose(moments.vip(case["n_components"]), case["vip_exact"], atol=1e-6, rtol=0)


@by_name("vip")
def test_vip_of_sklearn_stops_as_the_original_does(case: dict[str, Any]) -> None:
    x, y = data(case)
    found = vip(x, y, case["n_components"], backend="sklearn")
    np.testing.assert_allclose(found, case["vip_sklearn_default"], atol=1e-6, rtol=0)


@by_name("inf_fs")
def test_inf_fs(case: dict[str, Any]) -> None:
    x, _ = data(case)
    found = inf_fs(x, case["alpha"], factor=case["factor"], sigma=case["sigma"])
    np.testing.assert_allclose(found, case["scores"], rtol=1e-6)
    np.testing.assert_allclose(found[case["ranking"]], sorted(found.tolist(), reverse=True), rtol=1e-12)
    assert float(found.mean()) == pytest.approx(case["stage_score"], rel=1e-6)


@by_name("il_fs")
def test_il_fs(case: dict[str, Any]) -> None:
    x, y = data(case)
    options = case["settings"]
    counts = count_tokens(x, y, options["T"], options["edges"])
    assert counts.tolist() == case["token_counts"]
    em = {"prior_rule": options["prior"], "update_token_factor": options["update"], "max_iter": options["max_iter"]}
    p_relevant, iterations = relevance(counts, **em)
    np.testing.assert_allclose(p_relevant, case["p_relevant"], rtol=1e-6)
    assert iterations == case["iterations_used"]
    np.testing.assert_allclose(rank_one_scores(p_relevant, options["factor"]), case["scores"], rtol=1e-6)
    found = il_fs(x, y, tokens=options["T"], edges=options["edges"], factor=options["factor"], **em)
    np.testing.assert_allclose(found, case["scores"], rtol=1e-6)
    assert float(found.mean()) == pytest.approx(case["stage_score"], rel=1e-6)


def test_features_that_never_vary_have_no_importance() -> None:
    x = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    y = torch.arange(60) % 3
    x[:, 0] += y
    x[:, 3] = 0.7
    assert vip(x, y)[3] == 0
    assert il_fs(x, y)[3] == 0
    moments = PlsMoments()
    moments.add(x, torch.nn.functional.one_hot(y))
    assert moments.vip(2)[3] == 0


def test_nothing_to_explain_gives_nan() -> None:
    assert vip(torch.ones(10, 3), torch.arange(10) % 2).isnan().all()
    assert inf_fs(torch.ones(10, 1), alpha=1.0).isnan().all()


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_have_no_score(bad: float) -> None:
    x, y = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2
    x[3, 2] = bad
    moments = PlsMoments()
    moments.add(x, torch.nn.functional.one_hot(y))
    scores = moments.vip(2), vip(x, y), vip(x, y, backend="sklearn"), inf_fs(x)
    assert all(score.shape == (5,) and score.isnan().all() for score in scores)


def test_ties_share_their_mean_rank() -> None:
    x = torch.tensor([[3.0], [1.0], [3.0], [2.0]])
    assert average_ranks(x)[:, 0].tolist() == [3.5, 1.0, 3.5, 2.0]


def test_il_fs_late_prior_only_moves_the_start() -> None:
    x, y = data(GOLDEN["il_fs"][2])
    counts = count_tokens(x, y)
    late, _ = relevance(counts, prior_rule="late", max_iter=1000)
    early, _ = relevance(counts, prior_rule="matfr", max_iter=1000)
    np.testing.assert_allclose(late, early, rtol=1e-3)
    assert not torch.equal(late, early)


@pytest.mark.parametrize(
    ("call", "option"),
    [
        (lambda x, y: vip(x, y, 6), "n_components"),
        (lambda x, y: vip(x, y, 1, backend="nipals"), "backend"),
        (lambda x, y: inf_fs(x, alpha=2.0), "alpha"),
        (lambda x, y: inf_fs(x, factor=1.0), "factor"),
        (lambda x, y: inf_fs(x, sigma="max"), "sigma"),
        (lambda x, y: il_fs(x, y, tokens=1), "tokens"),
        (lambda x, y: il_fs(x, y, edges="both"), "edges"),
        (lambda x, y: il_fs(x, y, prior_rule="early"), "prior_rule"),
    ],
)
def test_bad_options_are_named(call: Any, option: str) -> None:
    x, y = torch.randn(20, 5, generator=torch.Generator().manual_seed(0)), torch.arange(20) % 2
    with pytest.raises(UserError, match=option):
        call(x, y)
