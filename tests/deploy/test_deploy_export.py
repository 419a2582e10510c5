"""Exports compute what the network does, for every family, format and batch size."""

import json
import re
from functools import cache

import pytest
import torch
from safetensors import safe_open
from sampling import sampled
from torch import nn

from growsearch.cli import main
from growsearch.data.dataset import Split
from growsearch.data.normalise import Normalisation
from growsearch.deploy import Preprocessing
from growsearch.deploy.export import ABSOLUTE, RELATIVE, export
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.surgery import channel_groups, prune, widen

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


@cache
def edited(family: str) -> nn.Module:
    """A network of which one group of channels was grown and another pruned."""
    module, example = lively(FAMILIES[family]), torch.zeros(2, 1, 16, 16)
    free = [group for group in channel_groups(module, example) if not group.frozen and group.size > 1]
    widen(module, free[0], free[0].size + 3, generator=torch.Generator().manual_seed(3))
    prune(module, free[-1], keep=range(free[-1].size - 1))
    return module.eval()


def check_pt2(module: nn.Module, folder) -> None:
    """Write, read and compare at a batch size that the writer has not seen."""
    done = export(module, PREPROCESSING, split(8), folder / "network.pt2", "pt2")
    images = PREPROCESSING(pictures(13))
    with torch.no_grad():
        wanted, found = module(images), torch.export.load(done.path).module()(images)
    assert float(((found - wanted).abs() / (ABSOLUTE + RELATIVE * wanted.abs())).max()) <= 1
    assert torch.equal(found.argmax(1), wanted.argmax(1))
    assert float(wanted.std()) > 0
    assert [path.name for path in folder.iterdir()] == ["network.pt2"]


def pictures(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 1, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(2))


def split(count: int) -> Split:
    return Split(pictures(count), torch.zeros(count, dtype=torch.int64))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_torch_export_of_every_family_agrees_at_any_batch_size(family, tmp_path):
    check_pt2(lively(FAMILIES[family]), tmp_path)


@pytest.mark.parametrize("family", sampled(FAMILIES, "densenet", "sequential"))
def test_torch_export_of_what_was_grown_and_pruned(family, tmp_path):
    module = edited(family)
    assert sum(p.numel() for p in module.parameters()) != sum(p.numel() for p in lively(FAMILIES[family]).parameters())
    check_pt2(module, tmp_path)


@pytest.mark.parametrize("family", sampled(FAMILIES, "densenet"))
def test_onnx_agrees_at_any_batch_size(family, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    module = edited(family)
    done = export(module, PREPROCESSING, split(8), tmp_path / "network.onnx", "onnx")
    session = onnxruntime.InferenceSession(done.path)
    images = PREPROCESSING(pictures(13))
    (found,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        wanted = module(images)
    assert float(((torch.from_numpy(found) - wanted).abs() / (ABSOLUTE + RELATIVE * wanted.abs())).max()) <= 1
    assert found.argmax(1).tolist() == wanted.argmax(1).tolist()
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list("abcde")
    assert json.loads(notes["normalisation"])["mean"][0][0] == pytest.approx([0.3])


def test_safetensors_hold_architecture_and_weights(tmp_path):
    module = lively(FAMILIES["densenet"])
    done = export(module, PREPROCESSING, split(4), tmp_path / "network.safetensors", "safetensors")
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
        export(Disagreeing(256, 5), PREPROCESSING, split(4), kept, "pt2")
    assert kept.read_text() == "an earlier one"
    assert len(list(tmp_path.iterdir())) == 1


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(UserError, match=r"pip install 'growsearch\[export\]'"):
        export(build(FAMILIES["sequential"]), PREPROCESSING, split(4), tmp_path / "network.onnx", "onnx")


def test_the_command_checks_on_the_runs_own_test_images(digits_run, tmp_path, capsys):
    assert main(["export", str(digits_run), "--format", "safetensors", "-o", str(tmp_path / "a.safetensors")]) == 0
    said = capsys.readouterr().out
    assert "agrees with the network on 32 test images" in said
    assert re.search(r"ms for 1 image .*\n.*ms for 32 images", said)
    assert main(["export", str(digits_run), "--candidate", "3"]) == 2
    assert "candidate 3 is not in it; use " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--format", "safetensors", "--raw"], "--raw is not accepted with --format safetensors; use onnx or pt2"),
        (["--format", "python", "--precision", "float16"], "float16 is not accepted with --format python; use float32"),
        (["--format", "pt2", "--precision", "int8"], "int8 is not accepted with --format pt2; use float32 or float16"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(words, said, digits_run, capsys):
    assert main(["export", str(digits_run), *words]) == 2
    assert said in capsys.readouterr().err
