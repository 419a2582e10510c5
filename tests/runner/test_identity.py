"""A run is recognised by what changes its numbers: its options, its data, and what was handed in."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from growsearch.cli import main
from growsearch.cli.compose import compose_run
from growsearch.config import read_run, typed
from growsearch.runner.identity import identity_of, with_absolute_paths
from growsearch.runner.source import source_files

WORDS = [
    *("algo=fixed", "network=sequential", "network.topology=small_ffnn", "schedule=smoke", "hardware=cpu"),
    *("track=quiet", "track.report=false", "data=npz", "data.path=mine.npz", "data.val_size=0.2"),
    *("algo.training.epochs=1", "data.train_size=null", "data.test_size=null"),
]


def write(path: Path, seed: int) -> None:
    """Sixty grey pictures of two classes."""
    draw = np.random.default_rng(seed)
    images = draw.integers(0, 256, (60, 8, 8), dtype=np.uint8)
    np.savez(path, images=images, labels=np.arange(60) % 2)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    write(tmp_path / "mine.npz", 0)
    return tmp_path


def runs(place: Path) -> list[Path]:
    return sorted(path.parent for path in place.glob("outputs/*/*/*/config.yaml"))


def unfinished(run: Path) -> None:
    """As a run that was killed in its last step."""
    for name in ("result.json", "report.html"):
        (run / name).unlink(missing_ok=True)
    shutil.rmtree(run / "network")


def test_a_finished_run_of_an_archive_is_found_and_not_locked(place, capsys, monkeypatch):
    assert main(["run", *WORDS]) == 0
    (run,) = runs(place)
    (run / ".lock").unlink(missing_ok=True)
    before = {path.name: path.stat().st_mtime_ns for path in run.iterdir()}
    monkeypatch.setattr(os, "access", lambda path, mode: place / "outputs" not in path.absolute().parents)
    for command in (["run", *WORDS], ["resume", str(run)]):
        assert main(command) == 0
        assert capsys.readouterr().out.splitlines()[-1].startswith("finished already: ")
    assert {path.name: path.stat().st_mtime_ns for path in run.iterdir()} == before
    (run / "network").rename(run / "moved")
    (run / "network").symlink_to("moved")
    assert main(["resume", str(run)]) == 2
    assert "it is no folder of the run's own" in capsys.readouterr().err


def test_a_place_that_cannot_be_written_is_refused_before_data_are_read(place, capsys, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    monkeypatch.setattr(sys.modules["growsearch.runner.start"], "prepare", lambda *given: pytest.fail("data were read"))
    assert main(["run", *WORDS]) == 2
    assert capsys.readouterr().err == f"growsearch: output.root: {place} cannot be written; choose another place\n"


def test_the_same_command_on_other_data_is_another_run(place, capsys):
    assert main(["run", *WORDS]) == 0
    write(place / "mine.npz", 1)
    assert main(["run", *WORDS]) == 0
    first, second = runs(place)
    digests = [json.loads((run / "result.json").read_text())["data_digest"] for run in (first, second)]
    assert len(set(digests)) == 2
    capsys.readouterr()
    assert main(["run", *WORDS, "hardware.heartbeat=7"]) == 0
    said = capsys.readouterr().out
    assert "finished already" in said and len(runs(place)) == 2


def test_what_was_given_and_not_compared_is_named(place, capsys):
    assert main(["run", *WORDS]) == 0
    capsys.readouterr()
    assert main(["run", *WORDS, "track.console=true"]) == 0
    assert "not compared: track.console" in capsys.readouterr().out
    assert main(["run", *WORDS, "hardware.precision=bf16"]) == 0
    assert len(runs(place)) == 2


def test_data_that_changed_stop_a_resumed_run_unless_accepted(place, capsys):
    assert main(["run", *WORDS]) == 0
    (run,) = runs(place)
    unfinished(run)
    write(place / "mine.npz", 1)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert main(["resume", str(run)]) == 2
    said = capsys.readouterr().err.strip()
    assert "the data are not those that the run began with" in said and "1 changed" in said and "\n" not in said
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before
    assert main(["resume", str(run), "--accept-data"]) == 0


def test_a_run_goes_on_from_elsewhere_and_after_its_data_moved(place, monkeypatch, capsys):
    assert main(["run", *WORDS]) == 0
    (run,) = runs(place)
    (place / "elsewhere").mkdir()
    unfinished(run)
    monkeypatch.chdir(place / "elsewhere")
    assert main(["resume", str(run)]) == 0
    unfinished(run)
    (place / "mine.npz").rename(place / "elsewhere" / "moved here (1).npz")
    assert main(["resume", str(run)]) == 2
    assert main(["resume", str(run), "data.path=moved here (1).npz"]) == 0
    kept = read_run((run / "config.yaml").read_text())
    assert kept.data.path == str(place / "elsewhere" / "moved here (1).npz")


PACKAGE = {
    "mine/__init__.py": "",
    "mine/nets.py": "from torch import nn\nfrom . import parts\nimport beside\n\n"
    "def build():\n    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), parts.act(), nn.Linear(3, 2))\n",
    "mine/parts.py": "from torch import nn\nfrom mine.deep.er import act\n",
    "mine/deep/__init__.py": "",
    "mine/deep/er.py": "from torch.nn import ReLU as act\n",
    "beside.py": "def unused():\n    import late\n",
    "late.py": "",
    "other.py": "",
}


def write_package(place: Path) -> None:
    for name, text in PACKAGE.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)


def test_code_is_followed_to_all_that_it_imports_from_its_place(place, monkeypatch):
    write_package(place)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "pytest-of" not in each])
    found = {file.relative_to(place).as_posix() for file in source_files("mine.nets")}
    assert found == set(PACKAGE) - {"other.py"}
    assert [file.name for file in source_files("beside")] == ["beside.py", "late.py"]
    assert source_files("nowhere.at.all") == []


@pytest.mark.parametrize("changed", ["mine/nets.py", "mine/parts.py", "mine/deep/er.py", "late.py"])
def test_a_network_whose_code_changed_is_another_run_and_is_not_resumed(changed, place, capsys, monkeypatch):
    write_package(place)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("mine", "beside", "late")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if "pytest-of" not in each])
    own = [word for word in WORDS if not word.startswith("network")]
    words = [*own, "network=external", "network.name=mine.nets:build", "network.trust=true"]
    assert main(["run", *words]) == 0 == main(["run", *words])
    (run,) = runs(place)
    unfinished(run)
    (place / changed).write_text((place / changed).read_text() + "# changed\n")
    assert main(["resume", str(run), "--trust"]) == 2
    assert "the code of mine.nets:build is not that which the run began with; put it" in capsys.readouterr().err
    assert main(["resume", str(run), "--trust", "--accept-data"]) == 0
    unfinished(run)
    assert main(["resume", str(run), "--trust"]) == 0  # what was accepted once is the run's
    assert main(["run", *words]) == 0
    assert len(runs(place)) == 2


def test_options_that_change_numbers_cannot_be_changed_on_resume(place, capsys):
    assert main(["run", *WORDS]) == 0
    (run,) = runs(place)
    unfinished(run)
    assert main(["resume", str(run), "algo.training.lr=0.5"]) == 2
    assert "algo.training.lr: cannot be changed on resume" in capsys.readouterr().err
    assert main(["resume", str(run), "algo.trainng.lr"]) == 2
    assert main(["resume", str(run), "track.console=true"]) == 0


def fingerprint(words: list[str]) -> str:
    composed = with_absolute_paths(compose_run(words))
    return identity_of(composed, typed(composed).data, "cpu").fingerprint


def test_networks_handed_in_count_by_their_contents(place):
    assert main(["run", *WORDS]) == 0
    (run,) = runs(place)
    shutil.copytree(run, place / "found")
    words = [word for word in WORDS if not word.startswith("network")]
    before = fingerprint([*words, "network=found", "network.run=found"])
    shutil.move(place / "found", place / "there")
    assert fingerprint([*words, "network=found", "network.run=there"]) == before
    weights = place / "there" / "network" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert fingerprint([*words, "network=found", "network.run=there"]) != before


def test_where_and_how_it_is_shown_does_not_count(place):
    plain = fingerprint(WORDS)
    for word in ("track=default", "output.root=there", "data.workers=0", "hardware.device=cpu"):
        assert fingerprint([*WORDS, word]) == plain, word
    for word in ("seed=1", "algo.training.lr=0.3", "hardware.layout=channels_last", "hardware.threads=2"):
        assert fingerprint([*WORDS, word]) != plain, word
