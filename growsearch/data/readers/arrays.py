"""Arrays: scikit-learn's embedded digits, and the user's own in a .npz file, under the names that most such have."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from growsearch.data.arrays import read_npz
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.raw import Raw
from growsearch.data.root import user_path
from growsearch.errors import UserError
from growsearch.format import counted

DIGITS = "sklearn/datasets/data/digits.csv.gz"
"""A row an image: 64 pixels of 0..16, then the label."""


def read_digits(config: DataConfig) -> Raw:
    """Read the digits; their 0..16 become 0..255."""
    table = torch.from_numpy(_digits_table())
    images = table[:, :-1].mul(255.0 / 16.0).round().to(torch.uint8)
    return Raw(Split(images.view(-1, 1, 8, 8), table[:, -1].to(torch.int64)), None, tuple(map(str, range(10))))


def _digits_table() -> np.ndarray:
    """The rows as scikit-learn reads them; the file itself, as importing scikit-learn takes as long as torch."""
    try:
        return np.loadtxt(str(distribution("scikit-learn").locate_file(DIGITS)), delimiter=",")
    except (FileNotFoundError, PackageNotFoundError):
        from sklearn.datasets import load_digits

        digits = load_digits()
        return np.column_stack((digits.data, digits.target))


NAMES = {
    "train": (("x_train", "y_train"), ("train_images", "train_labels"), ("images", "labels"), ("x", "y"), ("X", "y")),
    "val": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
"""Arrays of images and labels, as Keras, MedMNIST and most people name them."""

MOST_CHANNELS = 4
"""``layout=auto`` takes the axis with so few entries for the channels."""


def read_own_arrays(config: DataConfig) -> Raw:
    """Read ``data.path``; see :func:`raw_of`."""
    file = user_path(config)
    return raw_of(read_npz(file), config.layout, file)


def raw_of(arrays: dict[str, np.ndarray], layout: str, file: Path | str) -> Raw:
    """Take arrays as a data set: images [N, H, W], [N, H, W, C] or [N, C, H, W] of bytes or of floats in 0..1.

    Labels may be any integers; the values that occur are the classes, in ascending order.

    Args:
        arrays: under :data:`NAMES`.
        layout: as ``data.layout``.
        file: what messages call them.

    Raises:
        UserError: if they are no images and labels.
    """
    pairs = {part: _pair(arrays, part) for part in NAMES}
    if pairs["train"] is None:
        found = ", ".join(sorted(arrays)) or "nothing"
        wanted = " or ".join("+".join(pair) for pair in NAMES["train"])
        raise UserError(f"{file}: it holds arrays {found}; it needs {wanted}")
    values = np.unique(_integers(pairs["train"][1], file))
    splits = {part: _split(pair, values, layout, file) for part, pair in pairs.items() if pair is not None}
    notes = tuple(_alone(arrays, part) for part in ("val", "test") if part not in splits and _alone(arrays, part))
    classes = tuple(str(value) for value in values)
    return Raw(splits["train"], splits.get("test"), classes, val=splits.get("val"), notes=notes)


def _pair(arrays: dict[str, np.ndarray], part: str) -> tuple[np.ndarray, np.ndarray] | None:
    for images, labels in NAMES[part]:
        if images in arrays and labels in arrays:
            return arrays[images], arrays[labels]
    return None


def _alone(arrays: dict[str, np.ndarray], part: str) -> str:
    """A note on an array of a part that is there without the other one; empty if there is none."""
    for pair in NAMES[part]:
        there, missing = sorted(pair, key=lambda name: name not in arrays)
        if there in arrays:
            return f"{there} was left out, as there is no {missing}."
    return ""


def _split(pair: tuple[np.ndarray, np.ndarray], values: np.ndarray, layout: str, file: Path | str) -> Split:
    images = as_images(pair[0], layout, file)
    labels = _integers(pair[1], file)
    if len(labels) != len(images):
        raise UserError(
            f"{file}: it has {counted(len(images), 'image')} but {counted(len(labels), 'label')}; use as many of both"
        )
    unknown = np.setdiff1d(labels, values)
    if len(unknown):
        raise UserError(f"{file}: label {unknown[0]} is in val or test only; use the training labels")
    return Split(images, torch.from_numpy(np.searchsorted(values, labels).astype(np.int64)))


def _integers(labels: np.ndarray, file: Path | str) -> np.ndarray:
    flat = labels.reshape(-1) if labels.ndim == 2 and labels.shape[1] == 1 else labels
    whole = flat.ndim == 1 and flat.dtype.kind in "iufb" and np.isfinite(flat).all()
    if not whole or (flat != flat.astype(np.int64)).any():
        raise UserError(f"{file}: labels are {labels.dtype} of {list(labels.shape)}; use one whole number per image")
    return flat.astype(np.int64)


def as_images(images: np.ndarray, layout: str, file: Path | str) -> Tensor:
    """Images [N, C, H, W], uint8 or float32 in 0..1, of an array; see :func:`raw_of`."""
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise UserError(f"{file}: images have shape {list(images.shape)}; use [N, H, W], [N, H, W, C] or [N, C, H, W]")
    if images.dtype.kind == "f":
        images = images.astype(np.float32)
        if not (np.isfinite(images).all() and images.min() >= 0 and images.max() <= 1):
            raise UserError(
                f"{file}: images are floats from {images.min():g} to {images.max():g}; use 0 to 1, or bytes"
            )
    elif images.dtype.kind not in "iub" or images.min() < 0 or images.max() > 255:
        raise UserError(f"{file}: images are {images.dtype}; use bytes (0 to 255) or floats of 0 to 1")
    else:
        images = images.astype(np.uint8)
    tensor = torch.from_numpy(np.ascontiguousarray(images))
    if tensor.dim() == 3:
        return tensor.unsqueeze(1)
    return tensor.permute(0, 3, 1, 2).contiguous() if _channels_last(images.shape, layout, file) else tensor


def _channels_last(shape: tuple[int, ...], layout: str, file: Path | str) -> bool:
    if layout != "auto":
        return layout == "nhwc"
    first, last = shape[1] <= MOST_CHANNELS, shape[3] <= MOST_CHANNELS
    if first == last:
        raise UserError(f"{file}: the axes of images of {list(shape)} are ambiguous; set data.layout=nchw or nhwc")
    return last
