"""DensEMANN's figures: layers and filters are replayed from the events."""

from pathlib import Path

import pytest
from reports.report_runs import MAKERS, edit, epoch, phase, result, write_run

from growsearch.algorithms.densemann import figures
from growsearch.algorithms.densemann.figures import filters_over_time, growth
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
