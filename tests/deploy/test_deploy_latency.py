"""Latencies are of the runs that were asked for, on the device and threads that were asked for."""

import json
import shutil

import torch
from torch import nn

from growsearch.cli import main
from growsearch.deploy.latency import LEAST_RUNS, WARM_UP, measure, measure_network, processor
from growsearch.run_folder.read import RunRecord


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
    assert [(row["batch"], row["threads"], row["device"]) for row in rows] == [(1, 1, processor()), (3, 1, processor())]
    assert all(0 < row["median"] <= row["slow"] for row in rows)


def test_a_folder_that_cannot_be_written_costs_no_measurement(digits_run, tmp_path, capsys):
    shutil.copytree(digits_run, tmp_path / "run")
    kept = tmp_path / "run" / "latency.json"
    kept.unlink(missing_ok=True)
    kept.mkdir()
    assert main(["latency", str(tmp_path / "run"), "--batch", "1", "--threads", "1", "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["batch"] == 1
    assert said.err.startswith("growsearch: not kept for reports: ") and said.err.count("\n") == 1


def test_what_cannot_be_measured_is_refused(digits_run, capsys):
    for words in (["--batch", "0"], ["--threads", "0"], ["--device", "tpu"], ["--device", "cuda:77"]):
        assert main(["latency", str(digits_run), *words]) == 2
        assert f"{words[0]}: {words[1]!r} is not accepted".replace("'0'", "0") in capsys.readouterr().err


def test_what_was_measured_is_kept_and_compared(digits_run, tmp_path, capsys):
    for name in ("first", "second"):
        shutil.copytree(digits_run, tmp_path / name)
        (tmp_path / name / "latency.json").unlink(missing_ok=True)
    damaged = tmp_path / "first" / "latency.json"
    damaged.write_text("{")
    for batches in (["1", "3"], ["1"]):
        assert main(["latency", str(damaged.parent), "--batch", *batches, "--threads", "1"]) == 0
    rows = json.loads(damaged.read_text())["measured"]
    assert sorted(row["batch"] for row in rows) == [1, 3]
    one = next(row["median"] for row in rows if row["batch"] == 1)
    assert main(["report", str(tmp_path), "-o", str(tmp_path / "all.html")]) == 0
    page = (tmp_path / "all.html").read_text()
    assert "latency of 1 image" in page and f"{1000 * one:,.3g} ms" in page
    record = RunRecord(damaged.parent)
    assert [value for key, value in record.result.items() if key.startswith("latency of 1 image (")] == [one]
    damaged.write_text(
        json.dumps({"measured": [7, {"median": "x"}, {"median": 1e-3, "batch": "<b>" * 999, "device": {}}]})
    )
    assert main(["report", str(damaged.parent), "-o", str(tmp_path / "one.html")]) == 0
    assert "<b>" not in (tmp_path / "one.html").read_text()
