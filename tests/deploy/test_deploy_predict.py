"""Predictions on pictures: the run's own preprocessing, whatever the file is like."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

from growsearch.cli import main
from growsearch.config import read_run, typed
from growsearch.data.load import load as load_data
from growsearch.deploy import load_preprocessing, predict
from growsearch.errors import UserError


@pytest.fixture(scope="module")
def test_split(digits_run):
    config = typed(read_run((digits_run / "config.yaml").read_text()))
    return load_data(config.data, config.seed)


def write_pngs(data, folder):
    for index, image in enumerate(data.test.images):
        Image.fromarray(image[0].numpy()).save(folder / f"{index:04d}.png")


def test_pictures_of_the_test_split_give_the_runs_test_accuracy(digits_run, test_split, tmp_path):
    write_pngs(test_split, tmp_path)
    said = [one.classes[0] for one in predict(digits_run, [tmp_path], batch_size=40)]
    right = sum(name == test_split.classes[label] for name, label in zip(said, test_split.test.labels, strict=True))
    accuracy = json.loads((digits_run / "result.json").read_text())["test_accuracy"]
    assert accuracy > 0.6
    assert right / len(said) == pytest.approx(accuracy)


def test_json_names_five_classes_and_their_probabilities(digits_run, test_split, tmp_path, capsys):
    write_pngs(test_split, tmp_path)
    assert main(["predict", str(digits_run), str(tmp_path / "0003.png"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    probabilities = [one["probability"] for one in said["predictions"]]
    assert said["image"].endswith("0003.png")
    assert len({one["class"] for one in said["predictions"]}) == 5
    assert probabilities == sorted(probabilities, reverse=True)
    assert 0.5 < sum(probabilities) <= 1.0 + 1e-9


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA", "1", "I;16", "P"])
def test_any_mode_of_picture_becomes_what_the_network_expects(mode, digits_run, tmp_path):
    grey = Image.fromarray((np.arange(64, dtype=np.uint8).reshape(8, 8) // 32 * 255).astype(np.uint8))
    picture = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
    picture.save(tmp_path / "picture.png")
    read = load_preprocessing(digits_run).read(tmp_path / "picture.png")
    assert torch.equal(read[0], torch.from_numpy(np.asarray(grey).copy()))


def test_exif_orientation_is_followed_and_large_pictures_are_scaled(digits_run, tmp_path):
    upright = Image.fromarray(np.kron(np.tri(8, dtype=np.uint8) * 255, np.ones((4, 4), dtype=np.uint8)))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise by a quarter
    upright.save(tmp_path / "upright.png")
    upright.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    preprocessing = load_preprocessing(digits_run)
    first, second = (preprocessing.read(tmp_path / f"{name}.png") for name in ("upright", "turned"))
    assert first.shape == (1, 8, 8)
    assert torch.equal(first, second)


def test_a_damaged_picture_is_named_and_the_others_are_classified(digits_run, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"no picture")
    assert main(["predict", str(digits_run), str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "a.png" in said.out
    assert "b.png: it is no picture" in said.err


def test_what_cannot_be_predicted_says_so(digits_run, tmp_path, capsys):
    assert main(["predict", str(digits_run), str(tmp_path / "x.png")]) == 2
    assert "x.png: there is no such file; use a picture or a folder of them" in capsys.readouterr().err
    assert main(["predict", str(tmp_path), "x.png"]) == 2
    assert "network: there is no such folder" in capsys.readouterr().err
    with pytest.raises(UserError, match="it has no pictures"):
        list(predict(digits_run, [tmp_path]))
    with pytest.raises(UserError, match="candidate 7 is not in it; use "):
        list(predict(digits_run, [tmp_path], candidate=7))
