"""Exports compute what the network does, for every family, format and batch size."""

import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

from growsearch.cli import main
from growsearch.data.normalise import Normalisation
from growsearch.deploy import Preprocessing
from growsearch.deploy.export import ABSOLUTE, RELATIVE, export
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec

DENSE = {"stem_filters": 4, "filters": [[3, 4], [5]], "bottlenecks": [[6, 7], [8]], "transitions": [5]}
FAMILIES = {
    "densenet": {"family": "densenet", "in_channels": 1, "classes": 5, "stem": "small", **DENSE},
    "sequential": sequential_spec([3, 5], [7], (1, 16, 16), 5),
    "resnet_channels": {"family": "resnet_channels", "blocks": [1, 1], "channels": 8, "classes": 5, "in_channels": 1},
    "channel_darts": {"family": "channel_darts", "cells": 3, "channels": 4, "classes": 5, "in_channels": 1},
    "darts": {"family": "darts", "genotype": "DL2", "channels": 4, "layers": 3, "classes": 5, "in_channels": 1},
    "resnet": {"family": "resnet", "depths": [1, 1, 1], "width": 4, "classes": 5, "in_channels": 1},
    "bottleneck": {"family": "bottleneck", "depths": [1, 1, 1, 1], "width": 2, "classes": 5, "in_channels": 1},
    "nasnet": {"family": "nasnet", "depths": [1, 1, 1], "width": 4, "classes": 5, "in_channels": 1},
}
SLOWER = sorted({*FAMILIES} - {"densenet", "sequential"})
PREPROCESSING = Preprocessing((1, 16, 16), tuple("abcde"), Normalisation.constants([0.3], [0.2], "a test"))


def lively(spec) -> nn.Module:
    """A network whose norms and biases are not at their starting values."""
    module = build(spec)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point() and any(part in name for part in ("norm", "bn", "bias", "running")):
                tensor.add_(torch.rand(tensor.shape, generator=generator), alpha=0.2)
    return module.eval()


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


@pytest.mark.parametrize("family", FAMILIES)
def test_torch_export_of_every_family_agrees_at_any_batch_size(family, tmp_path):
    module = lively(FAMILIES[family])
    done = export(module, PREPROCESSING, pictures(8), tmp_path / "network.pt2", "pt2")
    images = PREPROCESSING(pictures(13))
    with torch.no_grad():
        wanted, found = module(images), torch.export.load(done.path).module()(images)
    assert float(((found - wanted).abs() / (ABSOLUTE + RELATIVE * wanted.abs())).max()) <= 1
    assert float(wanted.std()) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["network.pt2"]


@pytest.mark.parametrize(
    "family",
    ["densenet", "sequential", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOWER)],
)
def test_onnx_agrees_at_any_batch_size(family, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = lively(FAMILIES[family])
    done = export(module, PREPROCESSING, pictures(8), tmp_path / "network.onnx", "onnx")
    session = onnxruntime.InferenceSession(done.path)
    images = PREPROCESSING(pictures(13))
    (found,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = module(images)
    assert float(((torch.from_numpy(found) - wanted).abs() / (ABSOLUTE + RELATIVE * wanted.abs())).max()) <= 1
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list("abcde")
    assert json.loads(notes["normalisation"])["mean"][0][0] == pytest.approx([0.3])


def test_safetensors_hold_architecture_and_weights(tmp_path):
    module = lively(FAMILIES["densenet"])
    done = export(module, PREPROCESSING, pictures(4), tmp_path / "network.safetensors", "safetensors")
    assert done.difference == 0
    with safe_open(done.path, "pt") as file:
        assert json.loads(file.metadata()["architecture"]) == module.spec()


class Disagreeing(nn.Linear):
    """Computes something else when it is traced."""

    def forward(self, x):
        return super().forward(x.flatten(1)) + (1e-3 if torch.compiler.is_exporting() else 0.0)


def test_a_file_that_disagrees_is_not_written(tmp_path):
    kept = tmp_path / "network.pt2"
    kept.write_text("an earlier one")
    with pytest.raises(UserError, match=r"not written; its outputs differ from the network's by up to 0\.001"):
        export(Disagreeing(256, 5), PREPROCESSING, pictures(4), kept, "pt2")
    assert kept.read_text() == "an earlier one"
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'growsearch\[export\]'"):
        export(build(FAMILIES["sequential"]), PREPROCESSING, pictures(4), tmp_path / "network.onnx", "onnx")


def test_the_command_checks_on_the_runs_own_test_images(digits_run, tmp_path, capsys):
    assert main(["export", str(digits_run), "--format", "safetensors", "-o", str(tmp_path / "a.safetensors")]) == 0
    assert "agrees with the network on 32 test images" in capsys.readouterr().out
    assert main(["export", str(digits_run), "--candidate", "3"]) == 2
    assert "candidates/3: not found" in capsys.readouterr().err
