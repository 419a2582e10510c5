from typing import Any

import pytest
import torch

from growsearch import plugins
from growsearch.data import registry
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.load import load
from growsearch.data.raw import Raw
from growsearch.data.readers import arrays
from growsearch.data.resize import resize_to_cover
from growsearch.errors import UserError


def test_the_same_arguments_give_the_same_images() -> None:
    first, again, other = (load(DataConfig(val_size=200), seed) for seed in (0, 0, 1))
    assert torch.equal(first.train.images, again.train.images)
    assert not torch.equal(first.train.images, other.train.images)
    assert torch.equal(first.test.images, other.test.images)  # judged on the same images whatever the seed
    fixed = [load(DataConfig(val_size=200, seed=5), seed) for seed in (0, 1)]
    assert torch.equal(fixed[0].train.images, fixed[1].train.images)


def test_no_image_is_in_two_splits() -> None:
    data = load(DataConfig(val_size=300, test_size=360), seed=3)
    images = torch.cat((data.train.images, data.val.images, data.test.images)).flatten(1)
    labels = torch.cat((data.train.labels, data.val.labels, data.test.labels))
    assert len(images) == 1797
    whole = load(DataConfig(val_size=0, test_size=1, split="halves"), seed=0)
    everything = torch.cat((whole.train.images, whole.test.images)).flatten(1).sum(1).sort().values
    assert torch.equal(images.sum(1).sort().values, everything)
    assert torch.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_deciding_on_the_test_images_is_said() -> None:
    data = load(DataConfig(val_from="test", val_size=0.5), seed=0)
    assert torch.equal(data.val.images, data.test.images)
    assert len(data.train) == 1797 - len(data.test)
    assert any("not an independent measure" in note for note in data.notes)


def test_missing_classes_are_said() -> None:
    data = load(DataConfig(train_size=3, val_size=0), seed=0)
    assert any("of 10 classes have no training image" in note for note in data.notes)


def test_resized_digits() -> None:
    data = load(DataConfig(resize=16), seed=0)
    assert data.image_shape == (1, 16, 16)
    assert data.train.images.dtype == torch.uint8


def test_resize_covers_and_cuts_the_centre() -> None:
    images = torch.zeros(2, 3, 8, 16, dtype=torch.uint8)
    images[:, :, :, 4:12] = 200
    resized = resize_to_cover(images, (4, 4))
    assert resized.shape == (2, 3, 4, 4)
    assert resized[:, :, :, 1:3].eq(200).all()
    assert resize_to_cover(images[:, :, :, :8], (8, 8)).data_ptr() == images.data_ptr()
    assert torch.equal(resize_to_cover(images, (4, 8))[:, :, :, 3:5], torch.full((2, 3, 4, 2), 200, dtype=torch.uint8))


def test_moving_moves_everything() -> None:
    data = load(DataConfig(), seed=0).to("meta")
    assert {data.train.images.device.type, data.test.labels.device.type, data.normalisation.mean.device.type} == {
        "meta"
    }


class InstalledPackage:
    name = "stripes"
    value = "somewhere:read"
    dist = None

    @staticmethod
    def load() -> Any:
        def read(config: DataConfig) -> Raw:
            labels = torch.arange(40) % 2
            images = torch.zeros(40, 1, 4, 4, dtype=torch.uint8)
            images[labels == 1, :, ::2] = 255
            return Raw(Split(images, labels), None, ("plain", "striped"))

        return read


def test_a_data_set_of_another_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def installed(group: str) -> list[type]:
        return [InstalledPackage] if group == "growsearch.data" else []

    monkeypatch.setattr(plugins, "entry_points", installed)
    assert registry.names()[-1] == "stripes"
    data = load(DataConfig(name="stripes", path="an option of its own"), seed=0)
    assert (len(data.train), data.classes) == (29, ("plain", "striped"))


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (Raw(Split(torch.zeros(4, 1, 2, 2), torch.tensor([0, 1, 2, 1])), None, ("a", "b")), "labels go from 0 to 2"),
        (Raw(Split(torch.zeros(4, 1, 2, 2), torch.tensor([0, -1, 1, 1])), None, ("a", "b")), "labels go from -1 to 1"),
        (
            Raw(Split(torch.zeros(4, 1, 2, 2), torch.zeros(3).long()), None, ("a", "b")),
            "one int64 for each of 4 images",
        ),
        (
            Raw(Split(torch.zeros(4, 2, 2), torch.zeros(4).long()), None, ("a", "b")),
            r"are \[4, 2, 2\] of float32",
        ),
        (
            Raw(Split(torch.zeros(4, 1, 2, 2).half(), torch.zeros(4).long()), None, ("a", "b")),
            "images are .* of float16; use",
        ),
        (
            Raw(Split(torch.zeros(4, 1, 2, 2), torch.zeros(4).long()), None, ("a", "b")),
            "no training images of class 'b'",
        ),
    ],
)
def test_what_nothing_can_be_trained_on(raw: Raw, message: str) -> None:
    with pytest.raises(UserError, match=f"data mine.*{message}"):
        raw.check("mine")


def test_digits_are_scikit_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    straight = arrays.read_digits(DataConfig())
    monkeypatch.setattr(arrays, "DIGITS", "sklearn/elsewhere")
    by_its_loader = arrays.read_digits(DataConfig())
    assert torch.equal(straight.pool.images, by_its_loader.pool.images)
    assert torch.equal(straight.pool.labels, by_its_loader.pool.labels)
    assert straight.pool.images.shape == (1797, 1, 8, 8)
