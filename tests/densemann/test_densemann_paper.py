"""DensEMANN's figures: layers and filters are replayed from the events."""

from pathlib import Path

from reports.report_runs import MAKERS

from growsearch.algorithms.densemann.paper import filters_over_time, growth
from growsearch.run_folder.read import RunRecord


def test_filters_are_replayed_from_edits(tmp_path: Path) -> None:
    steps = filters_over_time(RunRecord(MAKERS["densemann"](tmp_path / "run")))
    assert [blocks for _, blocks in steps] == [[[3]], [[4]], [[3]], [[3, 2]], [[3]], [[3]], [[3], [3]]]


def test_every_band_is_named(tmp_path: Path) -> None:
    drawing = growth(RunRecord(MAKERS["densemann"](tmp_path / "run")))
    assert drawing is not None
    for name in ("block 1, layer 1", "block 1, layer 2", "block 2, layer 1"):
        assert f">{name}</text>" in drawing.svg
