"""Predictions of a run's network for pictures and rows of tables."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from growsearch.data.pictures import SUFFIXES
from growsearch.data.table import read_table
from growsearch.deploy.load import load
from growsearch.deploy.preprocessing import MOST_VALUES, Preprocessing, load_preprocessing
from growsearch.errors import UserError
from growsearch.untrusted import parsing

if TYPE_CHECKING:
    import pandas as pd

    from growsearch.data.table_encoder import TableEncoder


@dataclass(frozen=True)
class Prediction:
    """Prediction for one picture.

    Attributes:
        image: its path.
        classes: the likeliest classes, best first.
        probabilities: of each, by the softmax of the logits.
        error: why the picture could not be read; there are no classes then.
    """

    image: str
    classes: tuple[str, ...] = ()
    probabilities: tuple[float, ...] = ()
    error: str | None = None


@dataclass(frozen=True)
class RowPredictions:
    """Predictions for the rows of a table.

    Attributes:
        rows: the table as it was read, cells as text.
        classes: the likeliest class of each row.
        probabilities: [rows, classes] float64, in the order of the classes of the run.
        notes: what was done about missing values and unknown categories.
        right: how many of ``known`` rows were classified as the table says.
        known: rows whose class the table says.
    """

    rows: pd.DataFrame
    classes: list[str]
    probabilities: Tensor
    notes: list[str]
    right: int
    known: int


@torch.no_grad()
def predict(
    run_dir: str | PathLike[str],
    images: Sequence[str | PathLike[str]],
    candidate: int | None = None,
    top: int | None = 5,
    batch_size: int = 64,
    trust: bool = False,
) -> Iterator[Prediction]:
    """Classify pictures with the network, preprocessing and class names of a run.

    Args:
        run_dir: folder of a finished run.
        images: files, or folders whose pictures are taken in order of their names.
        candidate: number of the candidate, where a method's output is a list.
        top: how many classes to name; None for all.
        batch_size: pictures at a time.
        trust: see :func:`growsearch.deploy.load`.

    Yields:
        One prediction per picture, in order; a damaged one does not end the work.

    Raises:
        UserError: if the run is not finished, or there is nothing to look at.
    """
    preprocessing, module = load_preprocessing(run_dir, candidate), load(run_dir, candidate, trust)
    batch_size = _limited(batch_size, preprocessing)
    files = iter(_files(images))
    while batch := list(islice(files, batch_size)):
        read = [_read(preprocessing, file) for file in batch]
        whole = [image for image in read if isinstance(image, Tensor)]
        rows = iter(
            _ranked(_probabilities(module, preprocessing, torch.stack(whole)), preprocessing, top) if whole else ()
        )
        for file, image in zip(batch, read, strict=True):
            yield (
                Prediction(str(file), *next(rows)) if isinstance(image, Tensor) else Prediction(str(file), error=image)
            )


@torch.no_grad()
def predict_rows(
    run_dir: str | PathLike[str],
    table: str | PathLike[str],
    candidate: int | None = None,
    batch_size: int = 1024,
    trust: bool = False,
    encoder: TableEncoder | None = None,
) -> RowPredictions:
    """Classify the rows of a table with the network, encoders and class names of a run on a table.

    Args:
        run_dir: folder of a finished run of ``data=csv`` or ``data=adult``.
        table: a file with the columns of the training table; the target's and others need not be there.
        candidate: number of the candidate, where a method's output is a list.
        batch_size: rows at a time.
        trust: see :func:`growsearch.deploy.load`.
        encoder: in place of the run's own, for runs that kept none.

    Raises:
        UserError: if the run is not finished or not of a table, or the file is no such table or written in another way.
    """
    preprocessing, module, file = load_preprocessing(run_dir, candidate), load(run_dir, candidate, trust), Path(table)
    encoder = encoder or preprocessing.encoder
    if encoder is None:
        what = "rows, of which it kept no encoder" if preprocessing.table else "pictures"
        raise UserError(f"{table}: it is a table, but the run was trained on {what}")
    if not file.is_file():
        what = "it is no regular file" if file.exists() else "there is no such file"
        raise UserError(f"{file}: {what}; use a table")
    rows = read_table(file, encoder.header)
    encoded = encoder(rows, str(file))
    encoder.require_same_style(encoded, str(file))
    batches = encoded.images.split(_limited(batch_size, preprocessing))
    probabilities = torch.cat([_probabilities(module, preprocessing, batch) for batch in batches])
    classes = [preprocessing.classes[label] for label in probabilities.argmax(1).tolist()]
    said = rows[encoder.target].tolist() if encoder.target in rows.columns else []
    judged = [(word, found) for word, found in zip(said, classes, strict=False) if word in preprocessing.classes]
    right = sum(word == found for word, found in judged)
    return RowPredictions(rows, classes, probabilities, encoded.notes(file.name), right, len(judged))


def _limited(batch_size: int, preprocessing: Preprocessing) -> int:
    """Batches of as many images as asked for, or fewer if they are very large."""
    return max(1, min(batch_size, MOST_VALUES // math.prod(preprocessing.image_shape)))


def _files(images: Sequence[str | PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for image in map(Path, images):
        if not image.is_dir():
            found.append(image)
            continue
        inside = sorted(path for path in image.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not inside:
            raise UserError(f"{image}: it has no pictures; it needs at least one ({', '.join(sorted(SUFFIXES))})")
        found += inside
    return found


def _read(preprocessing: Preprocessing, file: Path) -> Tensor | str:
    if not file.is_file():
        return f"{file}: there is no such file; use a picture or a folder of them"
    try:
        return preprocessing.read(file)
    except UserError as error:
        return str(error)


def _probabilities(module: nn.Module, preprocessing: Preprocessing, images: Tensor) -> Tensor:
    """[N, classes] float64; the files of a run may have been put together of those of several."""
    with parsing("network", "not made for the images and classes of its preprocessing.json"):
        logits = module(preprocessing(images))
        if logits.shape != (len(images), len(preprocessing.classes)):
            raise ValueError(f"{list(logits.shape)} for {len(preprocessing.classes)} classes")
    return logits.double().softmax(1)


def _ranked(
    probabilities: Tensor, preprocessing: Preprocessing, top: int | None
) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
    count = probabilities.shape[1]
    best = probabilities.topk(count if top is None else min(top, count), dim=1)
    for values, labels in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        yield tuple(preprocessing.classes[label] for label in labels), tuple(values)
