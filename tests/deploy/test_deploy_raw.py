"""Preprocessing inside a file: pictures of any size, as the run itself would read them."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from growsearch.cli import main
from growsearch.data.normalise import Normalisation
from growsearch.data.resize import resize_to_cover
from growsearch.deploy import Preprocessing, load_preprocessing, predict
from growsearch.deploy.raw import Raw, Scale
from growsearch.errors import UserError

SIDES = st.integers(1, 90)

MOST_OFF = 2
"""How much a byte may differ from what Pillow (or torch) makes of the same picture: sums are rounded otherwise."""


def noise(height: int, width: int, channels: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (height, width, channels), dtype=torch.uint8, generator=generator)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, to=st.tuples(st.integers(1, 40), st.integers(1, 40)), seed=st.integers(0, 99))
def test_scaled_as_pillow_does_to_two_of_255(height, width, to, seed):
    pixels = noise(height, width, 3, seed)
    fitted = ImageOps.fit(Image.fromarray(pixels.numpy()), to[::-1], Image.Resampling.BILINEAR)
    found = Scale(*to, "pillow")(pixels[None])[0].permute(1, 2, 0)
    assert np.abs(found.numpy() - np.asarray(fitted).astype(np.float32)).max() <= MOST_OFF


@settings(max_examples=40, deadline=None)
@given(height=st.integers(8, 90), width=st.integers(8, 90), side=st.integers(2, 40), seed=st.integers(0, 99))
def test_scaled_as_data_sets_are_to_two_of_255(height, width, side, seed):
    pixels = noise(height, width, 2, seed)
    wanted = resize_to_cover(pixels.permute(2, 0, 1)[None].contiguous(), (side, side)).float()
    assert float((Scale(side, side, "torch")(pixels[None]) - wanted).abs().max()) <= MOST_OFF


def test_pictures_of_the_networks_size_stay_as_they_are():
    pixels = noise(9, 7, 3, 0)
    for rule in ("pillow", "torch"):
        assert torch.equal(Scale(9, 7, rule)(pixels[None])[0], pixels.permute(2, 0, 1).float())


def test_a_file_with_preprocessing_reads_pictures_of_any_size(digits_run, tmp_path):
    onnxruntime = pytest.importorskip("onnxruntime")
    path = tmp_path / "network.onnx"
    assert main(["export", str(digits_run), "--format", "onnx", "--raw", "-o", str(path)]) == 0
    session = onnxruntime.InferenceSession(path)
    preprocessing = load_preprocessing(digits_run)
    for index, (height, width) in enumerate(((8, 8), (40, 25), (5, 31))):
        smooth = Image.fromarray(noise(8, 8, 1, index)[..., 0].numpy()).resize(
            (width, height), Image.Resampling.BICUBIC
        )
        smooth.save(tmp_path / f"{index}.png")
        (found,) = session.run(None, {"pictures": np.asarray(smooth)[None, :, :, None]})
        (said,) = predict(digits_run, [tmp_path / f"{index}.png"], top=1)
        assert found.shape == (1, 10) and found.sum() == pytest.approx(1.0, abs=1e-5)
        assert found.max() == pytest.approx(said.probabilities[0], abs=0.02)
    notes = session.get_modelmeta().custom_metadata_map
    assert json.loads(notes["classes"]) == list(preprocessing.classes)
    resize = json.loads(notes["resize"])
    assert (resize["height"], resize["width"], resize["channels"]) == (8, 8, 1)
    assert notes["input"].startswith("pictures [N, height, width, C] uint8")


def test_rows_of_a_table_are_no_pictures():
    preprocessing = Preprocessing((1, 4, 4), ("no", "yes"), Normalisation.unit(1), table=True)
    with pytest.raises(UserError, match="trained on rows of a table"):
        Raw(torch.nn.Flatten(), preprocessing)
