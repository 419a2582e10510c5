"""The interface changes on purpose only; runs of earlier versions still load, resume, report and export."""

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from compatibility.interface import FILE, interface
from compatibility.write_runs import COMMON, FOLDERS, ROWS
from processes import events_of
from safetensors.torch import load_file
from sampling import drawn, sampled

import growsearch
from growsearch.cli import main
from growsearch.config import read_run
from growsearch.registry import methods

LATER = {"prune", "grow"}
"""Methods that the first version did not have."""

KEPT = sorted(path for path in FOLDERS.glob("*/*") if path.is_dir())
VERSIONS = sorted({path.parent.name for path in KEPT})


def in_turn(kept: list[Path]) -> list[Any]:
    """Half of the methods, each of one version, another for the next method; all with the slow tests."""
    names = sorted({path.name for path in kept})
    always = [path for path in kept if VERSIONS[names.index(path.name) % len(VERSIONS)] == path.parent.name]
    return sampled(kept, *drawn(always, len(always) // 2 + 1))


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Put a kept run where its command would have put it; everything else happens there too."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])

    def copy(kept: Path, state: str) -> Path:
        config = read_run((kept / state / "config.yaml").read_text())
        run = (
            tmp_path / "outputs" / (config.algo.label or config.algo.name) / config.data.name / "20260101-000000-seed0"
        )
        shutil.copytree(kept / state, run)
        return run

    return copy


def test_the_interface_is_the_one_agreed_on():
    """See interface.py for what to do where a change is on purpose."""
    assert json.loads(json.dumps(interface())) == json.loads(FILE.read_text())


def test_every_method_and_the_first_version_are_kept():
    assert set(methods()) == set(ROWS) == {path.name for path in (FOLDERS / "0.1.0").iterdir()} | LATER


def by_name(path: Path) -> str:
    return f"{path.parent.name}-{path.name}"


@pytest.mark.parametrize("kept", in_turn(KEPT), ids=by_name)
def test_a_finished_run_loads_reports_exports_and_is_not_repeated(kept, place, capsys):
    run = place(kept, "finished")
    result = json.loads((run / "result.json").read_text())
    network = growsearch.load(run)
    assert sum(p.numel() for p in network.parameters() if p.requires_grad) == result["params"]
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)
    assert main(["report", str(run)]) == 0
    assert (run / "report.html").stat().st_size > 10_000
    assert main(["export", str(run), "--format", "safetensors", "--output", "exported.safetensors"]) == 0
    assert load_file("exported.safetensors")
    capsys.readouterr()
    assert main(["resume", str(run)]) == 0
    assert "finished already" in capsys.readouterr().out


@pytest.mark.parametrize("kept", [path for path in KEPT if path.parent.name == "0.1.0"], ids=by_name)
def test_an_unfinished_run_of_0_1_is_refused_in_a_line(kept, place, capsys):
    run = place(kept, "unfinished")
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["resume", str(run)]) == 2
    said = capsys.readouterr().err.strip()
    assert "unfinished run of growsearch 0.1.0" in said and said.count("\n") == 0
    assert all(path.read_bytes() == content for path, content in before.items())


@pytest.mark.parametrize("kept", in_turn([path for path in KEPT if path.parent.name != "0.1.0"]), ids=by_name)
def test_an_unfinished_run_goes_on_to_its_end(kept, place):
    run = place(kept, "unfinished")
    before = events_of(run)
    then = ["hardware.layout=contiguous"] if kept.parent.name == "0.2.0" else []  # its default
    assert main([*json.loads((kept / "command.json").read_text()), *then]) == 0
    after = events_of(run)
    assert after[: len(before)] == before
    result, old = (json.loads((path / "result.json").read_text()) for path in (run, kept / "finished"))
    assert old.keys() <= result.keys() and old["fingerprint"] == result["fingerprint"]


def test_an_option_added_since_does_not_part_a_run_from_its_command(tmp_path, monkeypatch, capsys):
    """As if ``algo.max_params`` had not been there when the run was written."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    command = ["run", *ROWS["fixed"], *COMMON, "algo.training.epochs=1"]
    assert main(command) == 0
    (config,) = Path("outputs").glob("*/*/*/config.yaml")
    text = config.read_text()
    assert "  max_params: 0\n" in text
    config.write_text(text.replace("  max_params: 0\n", ""))
    kept = json.loads((config.parent / "fingerprint.json").read_text())
    then = {**kept, "fingerprint": "0" * 16, "options": "1" * 16}
    (config.parent / "fingerprint.json").write_text(json.dumps(then))
    capsys.readouterr()
    assert main(command) == 0
    assert "finished already" in capsys.readouterr().out
    assert main([*command, "algo.max_params=100000"]) == 0  # another run: the option is not at its default
    assert len(list(Path("outputs").glob("*/*/*/config.yaml"))) == 2
