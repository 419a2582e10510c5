"""At the end of a run the report is there, or a remark; the run itself never fails for it."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from processes import events_of
from reports.pages import Page

from growsearch import reports
from growsearch.cli import main
from growsearch.cli.compose import compose_run
from growsearch.runner import start
from growsearch.runner.session import Session


def test_run_ends_with_its_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    smoke = ["algo=densemann", "data=digits", "schedule=smoke", "hardware=cpu", "track=quiet", "algo.max_epochs=3"]
    start(compose_run([*smoke, f"output.root={tmp_path}"]))
    (page,) = tmp_path.glob("*/*/*/report.html")
    assert str(page) in capsys.readouterr().out
    read = Page(page)
    assert "Connection strength" in read.text and "not drawn" not in read.text
    assert main(["report", str(tmp_path), "--figures", str(tmp_path / "figures")]) == 0
    assert (tmp_path / "figures" / "story.svg").is_file()
    assert_config_alone_repeats(page.parent, tmp_path / "again")


def assert_config_alone_repeats(run: Path, again: Path) -> None:
    """What the page says of repeating a run."""
    again.mkdir()
    shutil.copy(run / "config.yaml", again)
    assert main(["resume", str(again)]) == 0
    assert events_of(again) == events_of(run)
    weights = [(folder / "network" / "weights.safetensors").read_bytes() for folder in (run, again)]
    assert weights[0] == weights[1]


def test_report_that_fails_is_a_remark(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(places: list[Path]) -> Path:
        raise OSError("disk on fire")

    monkeypatch.setattr(reports, "write_report", fail)
    session = SimpleNamespace(folder=SimpleNamespace(path=tmp_path))
    Session.report(session)  # type: ignore[arg-type]
    assert "disk on fire" in capsys.readouterr().out


def test_command_says_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "no finished run" in capsys.readouterr().err
