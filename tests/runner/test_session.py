"""One process's work on a run: what becomes of it when its folder is touched, and what it writes down."""

import json
import shutil
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from growsearch.cli import main
from growsearch.runner import session
from growsearch.runner.ledger import Ledger
from growsearch.runner.script import ScriptRunner

start_module = sys.modules["growsearch.runner.start"]  # the package exports the function of that name

WORDS = [
    *("algo=fixed", "network=sequential", "network.topology=small_ffnn", "data=digits", "schedule=smoke"),
    *("hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false", "algo.training.epochs=2"),
    *("data.train_size=40", "data.val_size=20", "data.test_size=20"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])


def harmed(monkeypatch, harm, name="drive"):
    """Run the command line, with ``harm`` done to the run's folder before the method of a session; its exit code."""
    usual = getattr(session.Session, name)

    def with_harm(self, *args):
        harm(self.folder.path)
        return usual(self, *args)

    monkeypatch.setattr(session.Session, name, with_harm)
    return main(["run", *WORDS])


@pytest.mark.parametrize("moment", ["drive", "finish"])
def test_a_run_whose_folder_is_deleted_says_so_and_writes_nothing(tmp_path, monkeypatch, capsys, moment):
    assert harmed(monkeypatch, shutil.rmtree, moment) == 2
    said = capsys.readouterr().err
    assert said.startswith("growsearch: outputs/fixed/digits/") and said.count("\n") == 1
    assert "the run's folder was removed or moved while the run worked" in said
    assert list(tmp_path.glob("outputs/*/*/*")) == []


def test_a_run_whose_lock_is_deleted_stops_and_goes_on_when_told(tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        assert harmed(patch, lambda path: (path / ".lock").unlink()) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "go on with: growsearch resume outputs/fixed/digits/" in said
    (run,) = tmp_path.glob("outputs/*/*/*")
    assert main(["resume", str(run)]) == 0


def test_a_run_whose_journal_is_deleted_stops(monkeypatch, capsys):
    assert harmed(monkeypatch, lambda path: (path / "events.jsonl").unlink()) == 2
    assert "events.jsonl: removed or changed by another program" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["config.yaml", "fingerprint.json"])
def test_a_run_whose_description_is_emptied_ends_and_is_found_again(name, tmp_path, monkeypatch, capsys):
    with monkeypatch.context() as patch:
        assert harmed(patch, lambda path: (path / name).write_text("")) == 0
    assert f"{name} was removed or changed while the run worked" in capsys.readouterr().out
    assert main(["run", *WORDS]) == 0
    assert capsys.readouterr().out.startswith("finished already: ")


def test_the_result_knows_its_command_and_what_it_cost(tmp_path):
    assert main(["run", *WORDS]) == 0
    (path,) = tmp_path.glob("outputs/*/*/*/result.json")
    result = json.loads(path.read_text())
    assert result["command"] == " ".join(["growsearch", "run", *WORDS])
    assert result["git"] is None
    assert result["cpu_seconds"] > 0


def test_the_memory_of_workers_counts(tmp_path, monkeypatch):
    measured = session.make_result
    alone = []

    def made(*args):
        result = measured(*args)
        alone.append(result["peak_memory_bytes"])
        return result

    monkeypatch.setattr(session, "make_result", made)
    close = ScriptRunner.close

    def closed(runner):
        runner.crew.peak_bytes = 3_000_000
        close(runner)

    monkeypatch.setattr(ScriptRunner, "close", closed)
    assert main(["run", *WORDS]) == 0
    (path,) = tmp_path.glob("outputs/*/*/*/result.json")
    assert json.loads(path.read_text())["peak_memory_bytes"] == alone[0] + 3_000_000


@pytest.mark.parametrize(("said", "done", "expected"), [(None, 5, None), (9, 5, 9), (3, 5, 5)])
def test_never_fewer_epochs_are_expected_than_there_were(said, done, expected):
    run = SimpleNamespace(runner=SimpleNamespace(expected=said), ledger=Ledger(epochs=done))
    assert session.Session.expected.fget(run) == expected


def test_a_run_that_another_process_finds_before_its_maker_has_locked_it_is_waited_for(monkeypatch, capsys):
    """Its maker goes on with it, or finds it finished, once the other has let it go."""
    usual, released = start_module.new_run, []

    def found_at_once(*args):
        made = usual(*args)
        held = made.lock()
        held.__enter__()
        monkeypatch.setattr(start_module, "new_run", usual)
        threading.Timer(0.2, lambda: released.append(held.__exit__(None, None, None))).start()
        return made

    closed, execute = [], start_module.execute

    def execute_after_closing(*args, **kwargs):
        assert len(closed) == 1, "the run that was prepared holds its workers"
        return execute(*args, **kwargs)

    monkeypatch.setattr(start_module, "new_run", found_at_once)
    monkeypatch.setattr(ScriptRunner, "close", lambda runner: closed.append(runner))
    monkeypatch.setattr(start_module, "execute", execute_after_closing)
    assert main(["run", "-m", *WORDS, "seed=0"]) == 0
    assert released and "waiting for another process" in capsys.readouterr().out
    assert len(list(Path("outputs").glob("*/*/*/result.json"))) == 1
