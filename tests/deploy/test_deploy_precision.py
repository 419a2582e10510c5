"""Files in fewer bits: their accuracy on the test split is measured before they are put in place."""

import re

import pytest
import torch
from torch import nn

from growsearch.cli import main
from growsearch.data.dataset import Split
from growsearch.data.normalise import Normalisation
from growsearch.deploy import Preprocessing
from growsearch.deploy.export import export
from growsearch.deploy.formats import Variant

pytest.importorskip("onnxruntime")
WORDS = [("onnx", "int8"), ("onnx", "float16"), ("pt2", "float16")]


@pytest.mark.parametrize(("format", "precision"), WORDS)
def test_accuracy_is_told_and_kept(format, precision, digits_run, tmp_path, capsys):
    path = tmp_path / f"network.{format}"
    words = ["export", str(digits_run), "--format", format, "--precision", precision, "--most-lost", "0.05"]
    assert main([*words, "-o", str(path), *(["--raw"] if precision == "int8" else [])]) == 0
    said = re.search(r"accuracy (.*) % on 150 test images; the network's own is (.*) %", capsys.readouterr().out)
    assert said is not None
    found, own = map(float, said.groups())
    assert found >= own - 5 and own > 60
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_int8_computes_in_eight_bits(digits_run, tmp_path):
    onnx = pytest.importorskip("onnx")
    path = tmp_path / "network.onnx"
    words = ["export", str(digits_run), "--format", "onnx", "--precision", "int8", "--most-lost", "1"]
    assert main([*words, "-o", str(path)]) == 0
    graph = onnx.load(path)
    weights = [tensor for tensor in graph.graph.initializer if tensor.data_type == onnx.TensorProto.INT8]
    assert sum(len(tensor.raw_data) for tensor in weights) > 1000
    assert {entry.key: entry.value for entry in graph.metadata_props}["precision"] == "int8"


def test_a_file_that_loses_too_much_is_not_written(digits_run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(
        "growsearch.deploy.formats.Half.forward", lambda self, images: -self.network(images.half()).float()
    )
    path = tmp_path / "network.pt2"
    path.write_text("an earlier one")
    assert main(["export", str(digits_run), "--precision", "float16", "-o", str(path)]) == 2
    assert re.search(r"not written; in float16 accuracy falls from .* % to .* %", capsys.readouterr().err)
    assert path.read_text() == "an earlier one" and len(list(tmp_path.iterdir())) == 1


class Decoded(Split):
    """Images that exist only once they are taken, as those of streamed data sets."""

    def __len__(self):
        return len(self.labels)

    def take(self, indices):
        whole = Split(self.hidden, self.labels).take(indices)
        return Split(whole.images, whole.labels)


def test_images_that_are_decoded_when_they_are_taken(tmp_path):
    test = Decoded(None, torch.zeros(120, dtype=torch.int64))
    test.hidden = torch.randint(0, 256, (120, 1, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    preprocessing = Preprocessing((1, 4, 4), ("a", "b", "c"), Normalisation.unit(1))
    done = export(module, preprocessing, test, tmp_path / "a.pt2", "pt2", Variant(True, "float16"), most_lost=0.2)
    assert done.images == 120 and done.accuracies is not None
    assert export(module, preprocessing, test, tmp_path / "b.pt2", "pt2").images == 32


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["3", "--precision", "int8"], "--most-lost: 3 is not accepted; use a share from 0 to 1"),
        (["nan", "--precision", "int8"], "--most-lost: nan is not accepted; use a share from 0 to 1"),
        (["0.5"], "--most-lost: 0.5 has no effect with --precision float32; leave it out"),
    ],
)
def test_a_loss_that_is_no_share_or_that_nothing_asks_for(words, said, capsys):
    assert main(["export", "nowhere", "--most-lost", *words]) == 2
    assert said in capsys.readouterr().err
