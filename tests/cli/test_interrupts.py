"""Ctrl-C stops what runs and whatever would follow it, at any moment; a reader who leaves is no error."""

import signal
import subprocess
import sys

import pytest

from growsearch.cli import main
from growsearch.runner import session

start_module = sys.modules["growsearch.runner.start"]  # the package exports the function of that name

WORDS = [
    *("algo=fixed", "network=sequential", "network.topology=small_ffnn", "data=digits", "schedule=smoke"),
    *("hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false", "algo.training.epochs=1"),
    *("data.train_size=40", "data.val_size=20", "data.test_size=20"),
]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
    yield
    signal.signal(signal.SIGINT, before)


def interrupting(function):
    """The function, with Ctrl-C while it works."""

    def interrupted(*args, **options):
        signal.raise_signal(signal.SIGINT)
        return function(*args, **options)

    return interrupted


def test_a_sweep_interrupted_while_a_result_is_written_ends_there(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(session, "make_result", interrupting(session.make_result))
    with pytest.raises(SystemExit) as stopped:
        main(["run", "-m", *WORDS, "seed=0,1"])
    assert stopped.value.code == 130
    assert len(list(tmp_path.glob("outputs/*/*/*/result.json"))) == len(list(tmp_path.glob("outputs/*/*/*-seed*"))) == 1
    assert "nothing more is begun" in capsys.readouterr().out


def test_interrupted_before_anything_is_begun(monkeypatch, capsys):
    monkeypatch.setattr(start_module, "load_data", interrupting(start_module.load_data))
    assert main(["run", *WORDS]) == 130
    assert capsys.readouterr().err.endswith("growsearch: interrupted\n")


def test_a_reader_who_has_enough_is_no_error():
    command = [sys.executable, "-c", "import sys; from growsearch.cli import main; sys.exit(main(['ls']))"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    assert process.stderr.read() == b"" and process.wait() == 141
