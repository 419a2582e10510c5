"""Preprocessing survives the way through its files, and refuses damaged ones."""

import json

import pytest
import torch

from growsearch.data.config import DataConfig
from growsearch.data.load import load as load_data
from growsearch.data.normalise import Normalisation
from growsearch.deploy import Preprocessing, preprocessing_of
from growsearch.errors import UserError


def test_a_mean_image_and_names_come_back(tmp_path):
    mean_image = torch.rand(3, 5, 7, generator=torch.Generator().manual_seed(0))
    made = Preprocessing((3, 5, 7), ("a", "ä b"), Normalisation(mean_image, torch.ones(3, 1, 1), "here"))
    made.save(tmp_path)
    read = Preprocessing.load(tmp_path)
    assert (read.image_shape, read.classes, read.normalisation.source) == ((3, 5, 7), ("a", "ä b"), "here")
    images = torch.randint(0, 256, (2, 3, 5, 7), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    assert torch.equal(read(images), made(images))


def test_a_resized_data_set_scales_pictures_as_it_scaled_its_images(tmp_path):
    from PIL import Image

    small, large = (load_data(DataConfig(name="digits", resize=side), 0) for side in (None, 12))
    Image.fromarray(small.test.images[0, 0].numpy()).save(tmp_path / "digit.png")
    preprocessing = preprocessing_of(large, DataConfig(name="digits", resize=12))
    assert torch.equal(preprocessing.read(tmp_path / "digit.png"), large.test.images[0])


def test_a_table_takes_no_pictures(tmp_path):
    made = Preprocessing((1, 4, 4), ("no", "yes"), Normalisation.unit(1), table=True)
    with pytest.raises(UserError, match="trained on rows of a table"):
        made.read(tmp_path / "picture.png")


@pytest.mark.parametrize("damage", [{"image_shape": [1, 2]}, {"classes": None}, {"image_shape": [2, 5, 7]}])
def test_damaged_files_are_refused(damage, tmp_path):
    Preprocessing((3, 5, 7), ("a", "b"), Normalisation.unit(3)).save(tmp_path)
    path = tmp_path / "preprocessing.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **damage}))
    with pytest.raises(UserError, match=r"preprocessing\.json: not the preprocessing"):
        Preprocessing.load(tmp_path)
