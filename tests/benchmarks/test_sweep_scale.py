"""A folder of many runs: each job finds its own, and none is read more often than once by a process."""

import sys
from collections import Counter
from pathlib import Path

import pytest

from growsearch.cli import main
from growsearch.run_folder import RunFolder

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
from sweeps import SMALL, copies

RUNS = 50


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("many")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        assert main(["run", *SMALL, "output.root=first"]) == 0
        (run,) = root.glob("first/*/*/*")
        copies(run, root / "outputs" / "fixed" / "digits", RUNS)
        yield root


def test_every_job_of_a_repeated_sweep_finds_its_run(folder, monkeypatch, capsys):
    read: Counter[Path] = Counter()
    whole = RunFolder.read_identity
    monkeypatch.setattr(RunFolder, "read_identity", lambda self: read.update([self.path]) or whole(self))
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(["run", "-m", *SMALL, "seed=0,7,49"]) == 0
    said = capsys.readouterr().out
    assert [f"seed{seed} (" in said for seed in (0, 7, 49)] == [True] * 3
    assert said.count("finished already") == 3
    assert max(read.values()) == 1


@pytest.mark.parametrize("words", [["runs"], ["report", "outputs"], ["table", "ectonas-1", "outputs"]])
def test_all_runs_are_told(folder, words, capsys):
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"{RUNS} runs: {RUNS} finished" in said or words[0] != "runs"
