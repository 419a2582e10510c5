"""How many threads a run gets, with a clock of the test's own."""

import json

import pytest
import torch
from algorithms.methods import METHODS

from growsearch.cli.compose import compose_run
from growsearch.config import read_run
from growsearch.runner import session, start
from growsearch.training import device


@pytest.mark.parametrize(
    ("allowed", "seconds", "chosen"),
    [
        (4, {1: 1.0, 4: 0.3}, 4),  # clearly faster
        (4, {1: 1.0, 4: 0.7}, 1),  # not by enough: the others may be needed elsewhere
        (2, {1: 0.5, 2: 5.0}, 1),  # a busy machine
        (1, {1: 1.0}, 1),  # OMP_NUM_THREADS=1
    ],
)
def test_more_threads_only_where_they_pay(allowed, seconds, chosen, monkeypatch):
    clock = {"now": 0.0, "threads": allowed}
    monkeypatch.setattr(torch, "get_num_threads", lambda: clock["threads"])
    monkeypatch.setattr(torch, "set_num_threads", lambda n: clock.update(threads=n))
    monkeypatch.setattr(device.time, "perf_counter", lambda: clock["now"])

    def step():
        clock["now"] += seconds[clock["threads"]]

    assert device.choose_threads(step) == chosen
    assert clock["threads"] == chosen


def test_what_was_measured_is_recorded_and_a_resumed_run_does_not_measure_again(tmp_path, monkeypatch):
    """On a machine that has come to use one thread meanwhile."""
    threads, measured = [1], []
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads[-1])
    monkeypatch.setattr(torch, "set_num_threads", threads.append)

    def choose(step):
        measured.append(step())
        torch.set_num_threads(3)
        return 3

    monkeypatch.setattr(session, "choose_threads", choose)
    words = [*METHODS["fixed"], "algo.training.epochs=1", "hardware.threads=0", f"output.root={tmp_path}"]
    with monkeypatch.context() as patch:  # leave it at its first checkpoint
        patch.setattr(session.Session, "drive", lambda session, stop: None)
        patch.setattr(session.Session, "finish", lambda session: 0.0)
        start(compose_run(words))
    threads.append(1)
    start(compose_run(words))
    (path,) = tmp_path.rglob("result.json")
    assert json.loads(path.read_text(encoding="utf-8"))["threads"] == 3
    assert len(measured) == 1
    recorded = read_run((path.parent / "config.yaml").read_text(encoding="utf-8"))
    assert recorded.hardware.threads == 3  # what a repeat of the recorded configuration computes on
