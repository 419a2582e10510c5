"""CONet's figures: rows bear the names of layers."""

from pathlib import Path

from reports.report_runs import MAKERS

from growsearch.algorithms.conet.figures import channels, ranks
from growsearch.run_folder.read import RunRecord


def test_rows_bear_the_names_of_layers(tmp_path: Path) -> None:
    record = RunRecord(MAKERS["conet"](tmp_path / "run"))
    for make in (channels, ranks):
        drawing = make(record)
        assert drawing is not None and ">stem</text>" in drawing.svg and ">cells.0</text>" in drawing.svg
