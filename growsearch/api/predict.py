"""Predictions of a run's network as a table, for files and for arrays."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import TYPE_CHECKING, Any

import pandas as pd
import torch

from growsearch.api.arrays import plain_array
from growsearch.data.readers.arrays import as_images
from growsearch.data.resize import resize_to_cover
from growsearch.deploy import Preprocessing, load_preprocessing, predict
from growsearch.errors import UserError

if TYPE_CHECKING:
    from growsearch.api.results import Run

NAME = "images"


def predict_files(run: Run, files: Sequence[str | PathLike[str]], batch_size: int) -> pd.DataFrame:
    """A row for each picture; see :meth:`growsearch.Run.predict`."""
    classes = load_preprocessing(run.folder).classes
    rows = []
    for found in predict(run.folder, files, top=None, batch_size=batch_size, trust=run.trust):
        known = dict(zip(found.classes, found.probabilities, strict=True))
        values = [known.get(name, math.nan) for name in classes]
        rows.append(_row(found.image, classes, values) | {"error": found.error})
    return pd.DataFrame(rows)


@torch.no_grad()
def predict_arrays(run: Run, images: Any, batch_size: int) -> pd.DataFrame:
    """A row for each image of an array; see :meth:`growsearch.Run.predict`.

    Raises:
        UserError: if they are no images of the size that the network expects.
    """
    preprocessing = load_preprocessing(run.folder)
    prepared = _sized(as_images(plain_array(images), _layout(run), NAME), preprocessing)
    logits = [run.network(preprocessing(batch)) for batch in prepared.split(max(1, batch_size))]
    probabilities = torch.cat(logits).double().softmax(1).tolist()
    rows = [_row(number, preprocessing.classes, values) for number, values in enumerate(probabilities)]
    return pd.DataFrame(rows)


def _layout(run: Run) -> str:
    found = run.record.options.get("data.layout")
    return found if found in ("nchw", "nhwc") else "auto"


def _sized(images: torch.Tensor, preprocessing: Preprocessing) -> torch.Tensor:
    """Images of the network's size: scaled as the run scaled its own, where it did."""
    expected = preprocessing.image_shape
    if tuple(images.shape[1:]) == expected:
        return images
    if preprocessing.scaling != "torch" or images.shape[1] != expected[0]:
        found, wanted = ("x".join(map(str, shape)) for shape in (images.shape[1:], expected))
        raise UserError(f"{NAME}: they are {found}; use {wanted} (channels, height, width), as the run was trained on")
    return resize_to_cover(images, expected[1:])


def _row(image: str | int, classes: Sequence[str], values: Sequence[float]) -> dict[str, Any]:
    best = max(range(len(values)), key=lambda index: values[index])
    each = {f"probability_{name}": value for name, value in zip(classes, values, strict=True)}
    unread = math.isnan(values[best])
    return {"image": image, "predicted_class": None if unread else classes[best], "probability": values[best], **each}
