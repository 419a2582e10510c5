"""Files in fewer bits: their accuracy on the test split is measured before they are put in place."""

import re

import pytest

from growsearch.cli import main

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
