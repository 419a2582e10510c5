"""What is recorded of precision, layout and the way steps are taken."""

import json

import pytest
from algorithms.methods import METHODS

from growsearch.cli.compose import compose_run
from growsearch.runner import start


def result(folder, *options):
    start(compose_run([*METHODS["fixed"], "algo.training.epochs=1", f"output.root={folder}", *options]))
    (path,) = folder.rglob("result.json")
    return json.loads(path.read_text(encoding="utf-8"))


def test_reduced_precision_stands_beside_the_exact_figures(tmp_path):
    found = result(tmp_path, "hardware.precision=bf16", "hardware.layout=channels_last")
    assert (found["precision"], found["layout"], found["step"]) == ("bf16", "channels_last", "eager")
    assert found["test_loss_float32"] == pytest.approx(found["test_loss"], rel=0.05)
    assert found["test_loss_float32"] != found["test_loss"]
    assert found["test_accuracy_float32"] == pytest.approx(found["test_accuracy"], abs=0.1)


def test_full_precision_needs_no_second_figure(tmp_path):
    found = result(tmp_path)
    assert (found["precision"], found["layout"], found["step"]) == ("float32", "channels_last", "eager")
    assert "test_loss_float32" not in found
