"""How many threads a run gets, with a clock of the test's own."""

import pytest
import torch

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
