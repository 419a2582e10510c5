import json
from pathlib import Path
from typing import Any

import pytest

from growsearch.algorithms.stagewise.config import StagewiseConfig, TrainingProtocol
from growsearch.algorithms.stagewise.decisions import (
    appended_modules,
    extra_epochs,
    growing_stages,
    grown,
    mean_scores,
    models_trained,
    reason_to_stop,
    temporary_depths,
    winner,
)
from growsearch.algorithms.stagewise.networks import fit_plan
from growsearch.training.optimizer import used_rate

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "stagewise.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["updates"], ids=lambda case: str(case["m"]))
def test_updates(case: dict[str, Any]) -> None:
    assert temporary_depths(case["m"], case["delta"]) == case["temporary_m"]
    grow = growing_stages(case["alpha_A"], case["alpha_T"])
    assert grow == case["grow"]
    assert grown(case["m"], grow, case["delta"]) == case["new_m"]


def test_not_a_number_never_grows() -> None:
    nan = float("nan")
    assert growing_stages([0.5, nan, nan], [nan, 0.5, nan]) == [False, False, False]


def test_a_gain_must_be_exceeded() -> None:
    assert growing_stages([0.5, 0.5], [0.75, 0.7501], min_gain=0.25) == [False, True]


@pytest.mark.parametrize("case", GOLDEN["traces"], ids=lambda case: case["name"])
def test_traces(case: dict[str, Any]) -> None:
    depths, found = case["m0"], []
    for mask in case["grow"]:
        depths = grown(depths, [bool(more) for more in mask], case["delta"])
        found.append(depths)
    assert found == case["m_after"]
    assert models_trained(len(found)) == case["n_models_trained"]
    depth = (lambda m: 12 * sum(m) + 25) if case["name"].startswith("cells") else (lambda m: 2 * sum(m) + 3)
    assert [depth(m) for m in found] == case["depth"]


def test_donor_depths_are_a_limit() -> None:
    assert temporary_depths([4, 5, 6], 2, [6, 6, 6]) == [6, 6, 6]
    assert grown([4, 6, 6], [False, True, True], 2, [6, 6, 6]) == [4, 6, 6]


def test_modules_are_appended_at_the_ends_of_stages() -> None:
    assert appended_modules([1, 2, 1], [3, 2, 2]) == [(0, 1), (0, 2), (2, 1)]


@pytest.mark.parametrize(
    ("options", "done", "expected"),
    [
        ({"extra_epochs": 4}, 100, [4, 4, 4]),
        ({"extra_epochs": 4, "max_epochs": 106}, 100, [4, 2, 0]),
        ({"extra_epochs": 4, "max_epochs": 90}, 100, [0, 0, 0]),
        ({"extra_epochs": 4, "score_after_extra": True}, 100, [0, 0, 0]),
    ],
)
def test_extra_epochs_end_at_the_cap(options: dict[str, Any], done: int, expected: list[int]) -> None:
    assert extra_epochs(StagewiseConfig(**options), 3, done) == expected


@pytest.mark.parametrize(
    ("accuracies", "expected"),
    [([0.9, 0.3, 0.5, 0.5], 2), ([0.9], 0), ([None], 0), ([None, None, None], 2), ([0.9, 0.1, None], 1)],
)
def test_the_best_candidate_wins(accuracies: list[float | None], expected: int) -> None:
    assert winner(accuracies) == expected


def rates(protocol: TrainingProtocol, epochs: int) -> list[float]:
    plan = fit_plan(StagewiseConfig(training=protocol), epochs, "candidate")
    return [plan.schedule.rate(epoch, plan.epochs) for epoch in range(epochs)]


@pytest.mark.parametrize(("key", "lr_at"), [("lr_paper", [100, 150]), ("lr_code", [101, 151])])
def test_learning_rates(key: str, lr_at: list[float]) -> None:
    found = rates(TrainingProtocol(lr_at=lr_at), 200)
    for case in GOLDEN["lr"]:
        assert found[case["epoch"]] == pytest.approx(case[key])


@pytest.mark.parametrize("schedule", ["milestones", "fractions", "cosine"])
def test_extra_epochs_keep_the_final_rate(schedule: str) -> None:
    protocol = TrainingProtocol(
        epochs=20, schedule=schedule, lr_at=[10, 15] if schedule == "milestones" else [0.5, 0.75]
    )
    assert rates(protocol, 30) == rates(protocol, 20) + [rates(protocol, 20)[-1]] * 10


def test_time_decay() -> None:
    for case in GOLDEN["keras_decay"]:
        plan = fit_plan(StagewiseConfig(training=TrainingProtocol(time_decay=1e-6)), 1, "candidate")
        assert used_rate(case["lr"], plan.time_decay, case["updates"]) == pytest.approx(case["lr_eff"])
    assert fit_plan(StagewiseConfig(), 1, "candidate").time_decay == 0


def test_a_score_that_one_training_lacks_is_missing() -> None:
    assert mean_scores([[0.1, 0.2, None, 0.5], [0.3, None, 0.4, 1.5]]) == [pytest.approx(0.2), None, None, 1.0]


def test_an_iteration_that_just_fits_under_the_cap_is_made() -> None:
    config = StagewiseConfig(max_epochs=20, score_trainings=2, training=TrainingProtocol(epochs=3))
    assert reason_to_stop(config, 20 - 2 * 2 * 3, [1, 1], [2, 2]) == ""
    assert "max_epochs=20" in reason_to_stop(config, 21 - 2 * 2 * 3, [1, 1], [2, 2])
    assert "deeper than [2, 2]" in reason_to_stop(config, 0, [2, 2], [2, 2])
