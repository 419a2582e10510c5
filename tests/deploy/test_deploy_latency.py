"""Latencies are of the runs that were asked for, on the device and threads that were asked for."""

import json

import torch
from torch import nn

from growsearch.cli import main
from growsearch.deploy.latency import LEAST_RUNS, WARM_UP, measure, measure_network


class Counting(nn.Module):
    """Notes each batch that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[torch.Size, bool, int]] = []

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        self.seen.append((images.shape, self.training, torch.get_num_threads()))
        return images


def test_each_batch_size_is_run_in_evaluation_mode():
    module, threads = Counting().train(), torch.get_num_threads()
    found = measure_network(module, (3, 4, 5), [1, 7], threads=2)
    assert [one.batch for one in found] == [1, 7]
    assert {(shape, mode, count) for shape, mode, count in module.seen} == {
        (torch.Size((1, 3, 4, 5)), False, 2),
        (torch.Size((7, 3, 4, 5)), False, 2),
    }
    assert torch.get_num_threads() == threads
    assert len(module.seen) == sum(one.runs + WARM_UP for one in found)


def test_median_and_ninth_decile(monkeypatch):
    ticks = iter([0.0] * WARM_UP + [t for i in range(1, 11) for t in (100.0 * i, 100.0 * i + i)])
    monkeypatch.setattr("growsearch.deploy.latency.time.perf_counter", lambda: next(ticks))
    found = measure(lambda images: None, torch.zeros(2), seconds=1.0)
    assert (found.runs, found.median, found.slow) == (LEAST_RUNS, 6.0, 9.0)
    assert found.text() == "6.00 s for 2 images (9 of 10 runs within 9.00 s)"


def test_the_command_measures_a_runs_network(digits_run, capsys):
    assert main(["latency", str(digits_run), "--batch", "1", "3", "--threads", "1", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["batch"], row["threads"], row["device"]) for row in rows] == [(1, 1, "cpu"), (3, 1, "cpu")]
    assert all(0 < row["median"] <= row["slow"] for row in rows)


def test_what_cannot_be_measured_is_refused(digits_run, capsys):
    for words in (["--batch", "0"], ["--threads", "0"], ["--device", "tpu"], ["--device", "cuda:77"]):
        assert main(["latency", str(digits_run), *words]) == 2
        assert f"{words[0]}: {words[1]!r} is not accepted".replace("'0'", "0") in capsys.readouterr().err
