"""Memory that runs out anywhere: the run is saved, says so in a line, and goes on as if nothing had been."""

import json
import random
import re
import sys

import pytest
import torch
from algorithms.chain import assert_same_tree, runner_of
from algorithms.methods import METHODS, ROWS
from algorithms.tiny import tiny_engine
from processes import events_of, only_run, state_of
from sampling import sampled
from torch.utils._python_dispatch import TorchDispatchMode

from growsearch.algorithms.fixed.config import FixedConfig
from growsearch.algorithms.fixed.search import Fixed
from growsearch.cli import main
from growsearch.errors import UserError, is_lack_of_memory
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.runner.script import ScriptRunner
from growsearch.training import Engine
from growsearch.training.out_of_memory import OutOfMemory, attempt, divided, next_divisor


class RunsOut(TorchDispatchMode):
    """Memory runs out in one torch operation: the ``at``-th."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.left = at

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.left -= 1
        if self.left == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return func(*args, **(kwargs or {}))


@pytest.fixture
def growsearch_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growsearch"])
    return lambda *words: main(["run", *words])


def assert_survives(name, moments, growsearch_run, finished, tmp_path, capsys) -> int:
    """Let memory run out at each of the moments, counted from where the run goes on; returns how often it did."""
    survived = 0
    for moment in moments:
        with RunsOut(moment):
            code = growsearch_run(*ROWS[name])
        if code == 0:
            break
        assert code == 2 and "memory ran out: " in capsys.readouterr().err
        survived += 1
    assert growsearch_run(*ROWS[name]) == 0
    run, reference = only_run(tmp_path), finished(name)
    remarks = [e for e in events_of(run) if e["kind"] == "note" and "from the checkpoint before it" in e["text"]]
    assert [e for e in events_of(run) if e not in remarks] == events_of(reference)
    assert_same_tree(state_of(run), state_of(reference))
    return survived


@pytest.mark.parametrize("name", sampled(METHODS, "fixed", "ectonas"))
def test_stopped_anywhere_and_run_again_equals_uninterrupted(name, growsearch_run, finished, tmp_path, capsys):
    draw = random.Random(name)
    moments = [draw.randrange(900, 1900), draw.randrange(2000, 9000)]
    assert assert_survives(name, moments, growsearch_run, finished, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", ROWS)
def test_stopped_many_times_equals_uninterrupted(name, growsearch_run, finished, tmp_path, capsys):
    draw = random.Random(name)
    moments = sorted(int(10 ** draw.uniform(1, 4.3)) for _ in range(20))
    survived = assert_survives(name, moments, growsearch_run, finished, tmp_path, capsys)
    print(f"{name}: memory ran out {survived} times")
    assert survived


def test_memory_that_runs_out_while_a_run_is_restored_is_told_as_such(growsearch_run, monkeypatch, capsys):
    with RunsOut(900):
        assert growsearch_run(*METHODS["fixed"]) == 2

    def load(runner, saved, journal):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patched:
        patched.setattr(ScriptRunner, "load", load)
        capsys.readouterr()
        assert growsearch_run(*METHODS["fixed"]) == 2
    assert "memory ran out: restoring the run" in capsys.readouterr().err
    assert growsearch_run(*METHODS["fixed"]) == 0


ROOM = 20
"""Images that a step has room for."""


@pytest.fixture
def little_room(monkeypatch):
    real = Engine.train_batch

    def train_batch(engine, network, cursor, recipe, size, left=1):
        with attempt("training", network, size):
            if size > ROOM:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
            real(engine, network, cursor, recipe, size)

    monkeypatch.setattr(Engine, "train_batch", train_batch)


@pytest.mark.parametrize("name", sampled(METHODS, "fixed", "densemann"))
def test_a_smaller_batch_is_told_recorded_and_repeatable(name, growsearch_run, little_room, tmp_path, capsys):
    words = [*METHODS[name], "hardware.out_of_memory=smaller_batch", "hardware.threads=1", "track.report=false"]
    assert growsearch_run(*words) == 0
    said = capsys.readouterr().out
    assert "are halved, to" in said and "; peak " in said
    run = only_run(tmp_path)
    result, events = json.loads((run / "result.json").read_text()), events_of(run)
    assert result["out_of_memory"] == "smaller_batch"
    notes = [e["text"] for e in events if e["kind"] == "note" and "memory ran out" in e["text"]]
    sizes = [int(found[1]) for note in notes if (found := re.search(r"are halved, to (\d+)", note))]
    assert len(sizes) == len(notes) and sizes[-1] <= ROOM < 2 * sizes[-1]
    assert result["batch_divisors"] == {"training": 2 ** len(sizes), "evaluation": 1}
    assert "the result differs" in notes[0]
    assert all(e["batch_size"] <= ROOM for e in events if e["kind"] == "epoch")
    again = tmp_path / "again"
    assert growsearch_run(*words, f"output.root={again}") == 0
    (other,) = again.glob("*/*/*/events.jsonl")
    assert events_of(other.parent) == events


def test_evaluation_goes_on_in_smaller_batches_with_the_same_result(growsearch_run, finished, monkeypatch, tmp_path):
    from growsearch.training import engine as module

    real = module.evaluate

    def evaluate(network, loader, cursor, batch_size, *rest):
        if batch_size > ROOM:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(network, loader, cursor, batch_size, *rest)

    monkeypatch.setattr(module, "evaluate", evaluate)
    assert growsearch_run(*METHODS["fixed"], "hardware.out_of_memory=smaller_batch") == 0
    run = only_run(tmp_path)
    assert json.loads((run / "result.json").read_text())["batch_divisors"] == {"training": 1, "evaluation": 32}
    ours = [e["val_accuracy"] for e in events_of(run) if e["kind"] == "epoch"]
    assert ours == [e["val_accuracy"] for e in events_of(finished("fixed")) if e["kind"] == "epoch"]


def test_what_stops_says_what_would_do(growsearch_run, little_room, capsys):
    assert growsearch_run(*METHODS["densemann"], "track.report=false") == 2
    said = capsys.readouterr().err
    assert "memory ran out: training of network 0 (" in said and "in batches of 64; peak " in said
    assert "saved. The same command with hardware.out_of_memory=smaller_batch, " in said


def test_skip_is_refused_where_there_is_nothing_to_skip():
    module = build(sequential_spec([4], [10], (1, 8, 8), 10))
    with pytest.raises(UserError, match=r"hardware\.out_of_memory=skip is not accepted: this method has no candidates"):
        runner_of(Fixed, FixedConfig(), tiny_engine(out_of_memory="skip"), {"network": module})
    with pytest.raises(UserError, match=r"hardware\.out_of_memory: 'halve' is not accepted"):
        tiny_engine(out_of_memory="halve")


@pytest.mark.parametrize(
    ("error", "lack"),
    [
        (MemoryError(), True),
        (torch.OutOfMemoryError("CUDA out of memory"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("Storage size calculation overflowed with sizes=[1000000000000, 3]"), True),
        (RuntimeError("shapes differ"), False),
        (ValueError("not enough memory"), False),
    ],
)
def test_what_counts_as_a_lack_of_memory(error, lack):
    assert is_lack_of_memory(error) is lack


def test_the_policy_is_a_function_of_what_happened():
    lack = lambda batch: OutOfMemory("training", 0, 1, batch, "1 GiB")  # noqa: E731
    assert next_divisor("stop", lack(64), 1) is None
    assert next_divisor("skip", lack(64), 1) is None
    assert next_divisor("smaller_batch", lack(64), 1) == 2
    assert next_divisor("smaller_batch", lack(4), 16) == 32
    assert next_divisor("smaller_batch", lack(3), 16) is None
    assert next_divisor("smaller_batch", lack(None), 1) is None
    assert [divided(64, 4), divided(64, 64), divided(1, 2)] == [16, 2, 1]
