"""What is recorded of precision, layout and the way steps are taken."""

import json
import os

import pytest
import torch
from algorithms.methods import METHODS
from algorithms.tiny import tiny_engine

from growsearch.cli.compose import compose_run
from growsearch.errors import UserError
from growsearch.runner import start
from growsearch.training.precision import computing_in, make_repeatable, set_precision

GPU = torch.device("cuda:0")


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


@pytest.fixture
def flags():
    """What a GPU may round, as torch reads it; put back afterwards."""
    products, convolutions = torch.backends.cuda.matmul, torch.backends.cudnn
    before = products.allow_tf32, convolutions.allow_tf32
    yield lambda: (products.allow_tf32, convolutions.allow_tf32)
    products.allow_tf32, convolutions.allow_tf32 = before


def test_float32_is_not_rounded_on_a_gpu(flags):
    for precision, rounded in (("tf32", True), ("float32", False), ("bf16", False)):
        set_precision(precision, GPU)
        assert flags() == (rounded, rounded)


def test_a_figure_in_full_precision_beside_others(flags):
    set_precision("tf32", GPU)
    with pytest.raises(KeyError), computing_in("float32", "tf32", GPU):
        assert flags() == (False, False)
        raise KeyError
    assert flags() == (True, True)


def test_a_cpu_has_no_tf32():
    with pytest.raises(UserError, match=r"hardware\.precision: tf32 is not accepted"):
        tiny_engine(precision="tf32")


def test_a_gpu_is_asked_to_repeat(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", False)
    make_repeatable(GPU)
    assert torch.backends.cudnn.deterministic
    assert os.environ.pop("CUBLAS_WORKSPACE_CONFIG") == ":4096:8"
