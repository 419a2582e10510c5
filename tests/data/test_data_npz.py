from pathlib import Path

import numpy as np
import pytest
import torch
from official_files import random_bytes

from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.errors import UserError


def loaded(file: Path, **options: object):  # type: ignore[no-untyped-def]
    return load(DataConfig(name="npz", path=str(file), **options), seed=0)  # type: ignore[arg-type]


LABELS = np.arange(20) % 3


@pytest.mark.parametrize(
    ("shape", "layout", "expected"),
    [
        ((20, 6, 7), "auto", (1, 6, 7)),
        ((20, 6, 7, 3), "auto", (3, 6, 7)),
        ((20, 4, 6, 7), "auto", (4, 6, 7)),
        ((20, 13, 6, 7), "nchw", (13, 6, 7)),
        ((20, 6, 7, 13), "nhwc", (13, 6, 7)),
    ],
)
def test_layouts(shape: tuple[int, ...], layout: str, expected: tuple[int, ...], tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=random_bytes(0, *shape), labels=LABELS)
    assert loaded(tmp_path / "a.npz", layout=layout).image_shape == expected


def test_names_that_others_use(tmp_path: Path) -> None:
    images = random_bytes(0, 20, 6, 6)
    np.savez(tmp_path / "keras.npz", x_train=images, y_train=LABELS, x_test=images[:5], y_test=LABELS[:5])
    np.savez_compressed(
        tmp_path / "medmnist.npz",
        **{f"{part}_images": images for part in ("train", "val", "test")},
        **{f"{part}_labels": LABELS[:, None] for part in ("train", "val", "test")},
    )
    keras, medmnist = loaded(tmp_path / "keras.npz", val_size=4), loaded(tmp_path / "medmnist.npz")
    assert (len(keras.train), len(keras.val), len(keras.test)) == (16, 4, 5)
    assert (len(medmnist.train), len(medmnist.val), len(medmnist.test)) == (20, 20, 20)
    assert torch.equal(medmnist.test.images[:, 0], torch.from_numpy(images))


def test_images_without_labels_are_told(tmp_path: Path) -> None:
    images = random_bytes(0, 20, 6, 6)
    np.savez(tmp_path / "a.npz", x_train=images, y_train=LABELS, x_test=images[:5], val_labels=LABELS)
    notes = loaded(tmp_path / "a.npz", val_size=4).notes
    assert "x_test was left out, as there is no y_test." in notes
    assert "val_labels was left out, as there is no val_images." in notes


def test_labels_may_start_at_one_or_have_gaps(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=random_bytes(0, 20, 6, 6), labels=np.array([1, 5, -2, 5] * 5, dtype=np.int16))
    data = loaded(tmp_path / "a.npz", test_size=4, val_size=0)
    assert data.classes == ("-2", "1", "5")
    assert torch.bincount(torch.cat((data.train.labels, data.test.labels))).tolist() == [5, 5, 10]


def test_floats_stay_floats(tmp_path: Path) -> None:
    images = np.random.default_rng(0).random((20, 6, 6))
    np.savez(tmp_path / "a.npz", images=images, labels=LABELS)
    data = loaded(tmp_path / "a.npz")
    assert data.train.images.dtype == torch.float32
    normalised = data.normalisation(data.train.images)
    torch.testing.assert_close(normalised.mean(), torch.tensor(0.0), atol=1e-5, rtol=0)
    torch.testing.assert_close(normalised.std(), torch.tensor(1.0), atol=1e-2, rtol=0)


def test_constant_images_are_normalised_to_zero(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.full((20, 6, 6), 7, dtype=np.uint8), labels=LABELS)
    data = loaded(tmp_path / "a.npz")
    assert data.normalisation(data.train.images).abs().max() < 1e-5


def test_one_pixel(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=random_bytes(0, 20, 1, 1), labels=LABELS)
    assert loaded(tmp_path / "a.npz").image_shape == (1, 1, 1)


IMAGES = random_bytes(0, 20, 6, 6)
WRONG = {
    "names": ({"pixels": IMAGES, "labels": LABELS}, "arrays labels, pixels; it needs x_train[+]y_train or"),
    "pickle": ({"images": IMAGES, "labels": np.array([{}] * 20)}, "pickled objects"),
    "axes": ({"images": random_bytes(0, 20, 6), "labels": LABELS}, r"images have shape \[20, 6\]"),
    "ambiguous": ({"images": random_bytes(0, 20, 6, 6, 6), "labels": LABELS}, r"data\.layout=nchw or nhwc"),
    "count": ({"images": IMAGES, "labels": LABELS[:-1]}, "20 images but 19 labels"),
    "half": ({"images": IMAGES, "labels": LABELS + 0.5}, "one whole number per image"),
    "words": ({"images": IMAGES, "labels": LABELS.astype(str)}, "one whole number per image"),
    "nan": ({"images": IMAGES, "labels": np.full(20, np.nan)}, "one whole number per image"),
    "range": ({"images": IMAGES.astype(float), "labels": LABELS}, "floats from 0 to 255; use 0 to 1, or bytes"),
    "infinite": ({"images": np.full((20, 6, 6), np.inf), "labels": LABELS}, "floats from inf"),
    "wide": ({"images": IMAGES.astype(int) + 1, "labels": LABELS}, r"bytes \(0 to 255\)"),
    "none": ({"images": IMAGES[:0], "labels": LABELS[:0]}, "images have shape"),
    "one class": ({"images": IMAGES, "labels": np.zeros(20, dtype=int)}, "it has 1 class"),
    "test label": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": IMAGES, "y_test": LABELS + 1},
        "label 3 is in val or test only",
    ),
    "test shape": (
        {"x_train": IMAGES, "y_train": LABELS, "x_test": random_bytes(0, 20, 5, 6), "y_test": LABELS},
        r"shape \[1, 5, 6\]; use \[1, 6, 6\] as in train",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_with_a_file(case: str, tmp_path: Path) -> None:
    arrays, message = WRONG[case]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(UserError, match=message) as caught:
        loaded(tmp_path / "a.npz")
    assert "\n" not in str(caught.value)
