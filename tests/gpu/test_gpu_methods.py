"""Every method's smoke run on a GPU: captured steps against eager ones, resumed runs, reduced precision."""

import json
from pathlib import Path

import pytest
import torch
from algorithms.chain import events_in, flatten, run_through
from algorithms.methods import METHODS

from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.runner import start
from growsearch.runner.start import prepare
from growsearch.training import cuda_graphs

pytestmark = pytest.mark.gpu

NAMES = ("kind", "network", "phase", "epoch", "op", "where", "name", "images", "batch_size", "params")
"""What has to be the same in both events; numbers that were computed only have to be close."""


@pytest.fixture(autouse=True)
def early_captures(monkeypatch):
    """Smoke runs are short: capture after one step of warm-up."""
    monkeypatch.setattr(cuda_graphs, "WARM_UPS", 1)


def overrides(name, *more):
    return [*(o for o in METHODS[name] if not o.startswith("hardware=")), "hardware=gpu", *more]


def algorithm(name, *more):
    return prepare(typed(compose_run(overrides(name, *more))))


def assert_alike(ours, theirs):
    """The same course of events, and numbers that agree to rounding."""
    (events, end), (other_events, other_end) = ours, theirs
    shape = [[{key: event.get(key) for key in NAMES} for event in run] for run in (events, other_events)]
    assert shape[0] == shape[1]
    for event, other in zip(events, other_events, strict=True):
        for key in ("train_loss", "val_loss"):
            if event.get(key) is not None:
                assert event[key] == pytest.approx(other[key], rel=1e-2, abs=1e-3), (key, event, other)
    one, two = flatten(end["networks"]), flatten(other_end["networks"])
    assert one.keys() == two.keys()
    for key, tensor in one.items():
        if torch.is_tensor(tensor) and tensor.is_floating_point():
            torch.testing.assert_close(tensor, two[key], rtol=1e-2, atol=1e-3, msg=lambda t, key=key: f"{key}: {t}")


@pytest.mark.parametrize("name", METHODS)
def test_a_captured_run_goes_as_an_eager_one(name):
    eager = run_through(algorithm(name, "hardware.step=eager"))
    method = algorithm(name, "hardware.step=captured")
    assert_alike(eager, run_through(method))
    assert method.bench.engine.notes == []


def run_resumed(make, after=(3, 14, 45)):
    """Save at those steps and lines, and go on in a fresh instance."""
    runner, lines = make(), []
    for count in after:
        lines += [line for _, line in zip(range(count), runner.run(), strict=False) if line is not None]
        saved, runner = runner.save(), make()
        runner.load(saved, [line.record for line in lines])
    lines += [line for line in runner.run() if line is not None]
    return events_in(lines), runner.save()


@pytest.mark.parametrize("name", ["densemann", "prdarts", "ectonas"])
def test_a_run_left_and_resumed_goes_as_one_that_was_not(name):
    make = lambda: algorithm(name, "hardware.step=captured")  # noqa: E731
    assert_alike(run_through(make()), run_resumed(make))


def test_candidates_side_by_side_end_as_one_after_another():
    def key(event):
        return json.dumps({name: event.get(name) for name in NAMES}, sort_keys=True)

    alone, together = (run_through(algorithm("ectonas", f"algo.interleave={count}")) for count in (1, 4))
    assert_alike((sorted(alone[0], key=key), alone[1]), (sorted(together[0], key=key), together[1]))


def test_reduced_precision_is_recorded_beside_the_exact_figures(tmp_path):
    options = ["hardware.precision=bf16", "hardware.layout=channels_last", f"output.root={tmp_path}"]
    start(compose_run(overrides("fixed", *options)))
    (path,) = Path(tmp_path).rglob("result.json")
    result = json.loads(path.read_text())
    assert (result["precision"], result["layout"], result["step"]) == ("bf16", "channels_last", "captured")
    assert abs(result["test_accuracy"] - result["test_accuracy_float32"]) < 0.1
    assert result["test_loss"] != result["test_loss_float32"]
