"""Sweeps through Hydra's launchers: what fails is told, the rest is done; a preempted job goes on."""

import contextlib
import importlib.util
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest
from processes import LOG, command, events_of, forked, only_run

from growsearch.cli import main

WORDS = ["algo=fixed", "network=sequential", "data=digits", "schedule=smoke", "hardware=cpu", "track=quiet"]
ONE_BAD = [*WORDS, "track.report=false", "algo.training.epochs=1", "data.resize=0,8"]


def needs(launcher: str) -> None:
    if importlib.util.find_spec(f"hydra_plugins.hydra_{launcher}_launcher") is None:
        pytest.skip(f"hydra-{launcher}-launcher is not installed")


def assert_one_done_and_one_told(folder: Path, said: str) -> None:
    result = json.loads((only_run(folder) / "result.json").read_text())
    assert result["test_accuracy"] is not None
    assert "1 job of the sweep failed, the others are done" in said
    assert "job 1 (" in said
    assert "): data.resize: 0 is not accepted; use a side of 1 to 8192" in said
    (note,) = folder.glob("outputs/sweeps/*/0/error.txt")
    assert note.read_text().startswith("job 1 (")


def test_basic(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(["run", "-m", *ONE_BAD]) == 2
    said, told = capsys.readouterr()
    assert_one_done_and_one_told(tmp_path, told)
    assert "job 1 of 2: algo=fixed" in said and "job 2 of 2: algo=fixed" in said
    *_, first, second, counts = said.rstrip().splitlines()
    assert first.split()[:3] == ["1", "data.resize=0", "failed"] and "use a side of 1" in first
    assert second.split()[:3] == ["2", "data.resize=8", "finished"] and second.endswith(str(only_run(Path())))
    assert counts == "2 jobs: 1 failed, 1 finished"


def test_an_unforeseen_error_leaves_its_traceback(tmp_path, monkeypatch, capsys):
    def broken(composed, command, wait, tell):
        raise ZeroDivisionError("by nothing")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    monkeypatch.setattr("growsearch.runner.start", broken)
    assert main(["run", "-m", *WORDS, "seed=0,1"]) == 2
    said = capsys.readouterr().err
    assert "2 jobs of the sweep failed" in said
    assert "seed=1): ZeroDivisionError: by nothing" in said
    for note in tmp_path.glob("outputs/sweeps/*/*/error.txt"):
        assert "Traceback" in note.read_text()


def test_joblib(tmp_path):
    needs("joblib")
    large = tmp_path / "outputs/fixed/digits/large"
    large.mkdir(parents=True)
    (large / "result.json").write_text(json.dumps({"device": "CPU (some)", "peak_memory_bytes": 2**50}))
    words = ["run", "-m", "hydra/launcher=joblib", "hydra.launcher.n_jobs=2", "hardware.threads=0", *ONE_BAD]
    process = command(words, tmp_path)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert_one_done_and_one_told(tmp_path, err)
    assert "hydra.launcher.n_jobs: 2 jobs at a time are too many" in err
    assert "as much as outputs/fixed/digits/large took (1048576.0 GiB); use hydra.launcher.n_jobs=1" in err


def job_of(folder: Path) -> int:
    """The process that works on submitit's one job: the child of its controller, whose id names the job."""
    (submitted,) = folder.glob("outputs/sweeps/*/.submitit/*/*_submitted.pkl")
    controller = submitted.parent.name
    return int(Path(f"/proc/{controller}/task/{controller}/children").read_text().split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="looks for the job in /proc")
def test_submitit_requeues_a_preempted_job_which_goes_on(tmp_path, monkeypatch):
    needs("submitit")
    words = [*WORDS, "algo.training.epochs=60", "track.report=false"]
    preempted, reference = tmp_path / "preempted", tmp_path / "reference"
    preempted.mkdir()
    reference.mkdir()
    process = forked(["run", "-m", "hydra/launcher=submitit_local", *words], preempted)
    deadline = time.monotonic() + 200
    while not list(preempted.glob("outputs/fixed/*/*/events.jsonl")):
        assert process.is_alive() and time.monotonic() < deadline, (preempted / LOG).read_text()
        time.sleep(0.02)
    while len(events_of(only_run(preempted))) < 5:
        time.sleep(0.01)
    (logs,) = {path.parent for path in preempted.glob("outputs/sweeps/*/.submitit/*/*_submitted.pkl")}
    worker = job_of(preempted)
    for signum in (signal.SIGTERM, signal.SIGUSR2):  # as some clusters do: a warning, then the signal proper
        os.kill(worker, signum)
    process.join(300)
    assert process.exitcode == 0, (preempted / LOG).read_text()
    monkeypatch.chdir(reference)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    assert main(["run", *words]) == 0
    assert events_of(only_run(preempted)) == events_of(only_run(reference))
    said = "".join(path.read_text() for path in logs.glob("*_log.*"))
    assert "Requeued job" in said
    assert "going on with" in said


def worker_of(run: Path) -> int:
    """The process that works on a run: it holds its events open."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if os.readlink(link) == str(run / "events.jsonl"):
                return int(link.parts[2])
    raise AssertionError(f"nobody works on {run}")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="looks for the job in /proc")
@pytest.mark.parametrize("launcher", ["joblib", "submitit_local"])
def test_a_killed_job_is_told_and_the_same_command_goes_on(launcher, tmp_path, monkeypatch):
    needs(launcher.partition("_")[0])
    words = [*WORDS, "algo.training.epochs=120", "track.report=false", "seed=0,1"]
    swept, reference = tmp_path / "swept", tmp_path / "reference"
    swept.mkdir()
    reference.mkdir()
    options = ["hydra.launcher.n_jobs=2"] if launcher == "joblib" else []
    process = command(["run", "-m", f"hydra/launcher={launcher}", *options, *words], swept)
    deadline, begun = time.monotonic() + 300, []
    while len(begun) < 2:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.02)
        begun = [
            path.parent for path in swept.glob("outputs/fixed/*/*/events.jsonl") if len(events_of(path.parent)) > 4
        ]
    (first,) = (run for run in begun if run.name.endswith("seed0"))
    os.kill(worker_of(first), signal.SIGKILL)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 2, err
    assert "a job of the sweep was killed or could not be started; repeated, the command goes on" in err
    assert not (first / "result.json").exists()
    while launcher != "joblib" and len(list(swept.glob("outputs/fixed/*/*/result.json"))) < 1:  # it is left alone
        assert time.monotonic() < deadline
        time.sleep(0.1)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    for folder in (swept, reference):
        monkeypatch.chdir(folder)
        assert main(["run", "-m", *words]) == 0
    pairs = [
        sorted(folder.glob("outputs/fixed/*/*/events.jsonl"), key=lambda file: file.parent.name[-1])
        for folder in (swept, reference)
    ]
    assert [len(files) for files in pairs] == [2, 2]
    for ours, theirs in zip(*pairs, strict=True):
        assert events_of(ours.parent) == events_of(theirs.parent)
