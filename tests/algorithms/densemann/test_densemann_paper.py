"""DensEMANN's t-test, and its figures: layers and filters are replayed from the events."""

import math
from pathlib import Path

import pytest
from reports.report_runs import MAKERS, edit, epoch, phase, result, write_run

from growsearch.algorithms.densemann import figures
from growsearch.algorithms.densemann.figures import filters_over_time, growth
from growsearch.algorithms.densemann.paper import p_value
from growsearch.run_folder.read import RunRecord


def test_filters_are_replayed_from_edits(tmp_path: Path) -> None:
    steps = filters_over_time(RunRecord(MAKERS["densemann"](tmp_path / "run")))
    assert [blocks for _, blocks in steps] == [[[3]], [[4]], [[3]], [[3, 2]], [[3]], [[3]], [[3], [3]]]


def test_a_long_growth_is_replayed_whole_and_thinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figures, "MOST_STEPS", 50)
    edits = [edit("add_filters", index, filters=[0]) for index in range(5000)]
    events = [phase("growth", 0, filters=[[1]]), epoch(0), *edits, epoch(1)]
    steps = figures.filters_over_time(RunRecord(write_run(tmp_path / "run", result("densemann"), events, {})))
    assert len(steps) <= 52 and steps[-1] == (1.5, [[5001]])


def test_every_band_is_named(tmp_path: Path) -> None:
    drawing = growth(RunRecord(MAKERS["densemann"](tmp_path / "run")))
    assert drawing is not None
    for name in ("block 1, layer 1", "block 1, layer 2", "block 2, layer 1"):
        assert f">{name}</text>" in drawing.svg


def of_mean_and_sd(mean, sd, n=5):
    """Values with that mean and sample standard deviation."""
    shape = [-2.0, -1.0, 0.0, 1.0, 2.0][:n]
    return [mean + sd * value / math.sqrt(2.5) for value in shape]


@pytest.mark.parametrize(
    "grown, mean, sd, p",
    [(91.34, 91.90, 0.42, 0.039), (93.91, 94.25, 0.16, 0.010), (94.70, 94.50, 0.16, 0.044)],
    ids=["cifar10 validation", "cifar10 test", "svhn test"],
)
def test_published_p_values_follow_from_published_means(grown, mean, sd, p):
    found = p_value(grown, of_mean_and_sd(mean, sd))
    # The published figures are rounded: half a unit in the last place of each moves p by up to a quarter.
    assert found == pytest.approx(p, rel=0.25)
    assert found < 0.05


def test_unpublished_differences_are_not_significant():
    assert p_value(94.43, of_mean_and_sd(94.47, 0.22)) > 0.05


def test_values_that_agree_have_no_spread_to_compare_with():
    assert p_value(0.5, [0.5, 0.5]) == 1.0
    assert p_value(0.5, [0.6, 0.6]) == 0.0
