import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

from growsearch.probes import rank_metrics
from growsearch.probes.rank import rank_metrics_of

GOLDEN = json.loads((Path(__file__).parent.parent / "golden" / "conet.json").read_text())["conv"]


def weight(recipe: dict[str, Any]) -> torch.Tensor:
    shape, r = recipe["shape"], recipe["r"]
    random = np.random.RandomState(recipe["seed"])
    W = random.randn(*shape) * recipe["noise"]
    if r > 0:
        A, B = random.randn(shape[0], r), random.randn(r, int(np.prod(shape[1:])))
        W += recipe["scale"] * (A @ B).reshape(shape)
    return torch.from_numpy(W.astype(np.float32))


def name(case: dict[str, Any]) -> str:
    return "x".join(map(str, case["recipe"]["shape"]))


@pytest.mark.parametrize("case", GOLDEN, ids=name)
def test_authors_settings_give_the_authors_numbers(case: dict[str, Any]) -> None:
    found = rank_metrics(weight(case["recipe"]), transpose=False, tolerance=1e-5)
    for side in ("in", "out"):
        assert getattr(found, f"rank_{side}") == case[f"{side}_rank"]
        assert getattr(found, f"condition_{side}") == pytest.approx(case[f"{side}_condition"], rel=1e-4)
        assert getattr(found, f"gain_{side}") == pytest.approx(case[f"{side}_S"], rel=1e-4)
        assert getattr(found, f"solved_{side}") != case[f"original_raises_{side}"]


@pytest.mark.parametrize("case", GOLDEN, ids=name)
def test_precise_and_transposed_ranks(case: dict[str, Any]) -> None:
    W = weight(case["recipe"])
    tight, transposed = rank_metrics(W, transpose=False), rank_metrics(W)
    assert (tight.rank_in, tight.rank_out) == (case["tight_in_rank"], case["tight_out_rank"])
    assert (transposed.rank_in, transposed.rank_out) == (case["transposed_in_rank"], case["transposed_out_rank"])
    assert transposed.solved_in and transposed.solved_out


def test_many_weights_at_once_equal_one_by_one() -> None:
    weights = [weight(case["recipe"]) for case in GOLDEN]
    weights.append(weights[0].clone())
    together = rank_metrics_of(weights)
    for one, of_many in zip(map(rank_metrics, weights), together, strict=True):
        assert (one.rank_in, one.rank_out) == (of_many.rank_in, of_many.rank_out)
        assert one.gain_out == pytest.approx(of_many.gain_out, rel=1e-6)
    assert together[0] == together[-1]
    assert rank_metrics_of([]) == []


def test_condition_of_the_observed_values_is_smaller() -> None:
    W = weight(GOLDEN[0]["recipe"])
    values = torch.linalg.svdvals(W.flatten(1))
    observed = rank_metrics(W, condition="observed").condition_out
    assert observed == pytest.approx(float(values[0] / values[3]), rel=1e-5)
    assert observed < rank_metrics(W).condition_out


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_have_no_rank_and_spoil_no_other(bad: float) -> None:
    W = weight(GOLDEN[0]["recipe"]).double()
    broken = W.clone()
    broken[0, 0, 0, 0] = bad
    found, alone = rank_metrics_of([broken, W])[0], rank_metrics_of([W])[0]
    assert (found.rank_in, found.rank_out, found.solved_in, found.solved_out) == (0, 0, False, False)
    assert rank_metrics_of([broken, W])[1] == alone and alone.solved_in and alone.rank_in > 0


def test_weights_stay_as_they_are() -> None:
    W = weight(GOLDEN[1]["recipe"]).requires_grad_()
    before = W.detach().clone()
    rank_metrics(W)
    assert torch.equal(W, before) and W.grad is None


def test_refuses_a_matrix() -> None:
    with pytest.raises(ValueError, match="out, in, kh, kw"):
        rank_metrics(torch.zeros(4, 4))


class OnGpu(torch.Tensor):
    """A tensor that says it lies on a GPU; ``reads`` are the shapes of what the host has copied from there."""

    device = property(lambda self: torch.device("cuda:0"))
    reads: ClassVar[list[tuple[int, ...]]] = []

    def cpu(self):
        OnGpu.reads.append(tuple(self.shape))
        return self.as_subclass(torch.Tensor)

    def numpy(self):
        raise TypeError("can't convert cuda:0 device type tensor to numpy")


SHAPES = [(8, 4, 3, 3), (8, 8, 3, 3), (8, 4, 3, 3), (4, 8, 1, 1), (6, 1, 3, 3), (8, 8, 1, 1)]


@pytest.mark.parametrize("transpose", [True, False])
def test_on_a_gpu_matrices_of_one_size_are_solved_together_and_read_once(monkeypatch, transpose):
    draw = torch.Generator().manual_seed(0)
    weights = [torch.randn(shape, generator=draw) for shape in SHAPES]
    solved, solve = [], torch.linalg.eigvalsh

    def eigvalsh(grams):
        solved.append(tuple(grams.shape))
        return solve(grams)

    here = rank_metrics_of(weights, transpose=transpose)
    monkeypatch.setattr(torch.linalg, "eigvalsh", eigvalsh)
    monkeypatch.setattr(OnGpu, "reads", [])
    there = rank_metrics_of([weight.as_subclass(OnGpu) for weight in weights], transpose=transpose)
    assert sorted(solved) == [(1, 1, 1), (1, 6, 6), (3, 4, 4), (5, 8, 8)]
    assert OnGpu.reads == [(1 + 6 + 3 * 4 + 5 * 8,)]
    for ours, theirs in zip(here, there, strict=True):
        assert vars(ours) == pytest.approx(vars(theirs), rel=1e-10, abs=1e-10)


def test_what_a_gpu_cannot_solve_a_cpu_does(monkeypatch):
    weights, solve = [torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))], torch.linalg.eigvalsh

    def eigvalsh(grams):
        if isinstance(grams, OnGpu):
            raise torch.linalg.LinAlgError("failed to converge")
        return solve(grams)

    monkeypatch.setattr(torch.linalg, "eigvalsh", eigvalsh)
    assert rank_metrics_of([weights[0].as_subclass(OnGpu)]) == rank_metrics_of(weights)
