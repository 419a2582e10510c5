"""What a run's network says of pictures."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor, nn

from growsearch.data.pictures import SUFFIXES
from growsearch.deploy.load import load
from growsearch.deploy.preprocessing import MOST_VALUES, Preprocessing, load_preprocessing
from growsearch.errors import UserError
from growsearch.untrusted import parsing


@dataclass(frozen=True)
class Prediction:
    """What the network says of one picture.

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


@torch.no_grad()
def predict(
    run_dir: str | PathLike[str],
    images: Sequence[str | PathLike[str]],
    candidate: int | None = None,
    top: int = 5,
    batch_size: int = 64,
    trust: bool = False,
) -> Iterator[Prediction]:
    """Classify pictures with the network, preprocessing and class names of a run.

    Args:
        run_dir: folder of a finished run.
        images: files, or folders whose pictures are taken in order of their names.
        candidate: number of the candidate, where a method's output is a list.
        top: how many classes to name.
        batch_size: pictures at a time.
        trust: see :func:`growsearch.deploy.load`.

    Yields:
        One prediction per picture, in order; a damaged one does not end the work.

    Raises:
        UserError: if the run is not finished, or there is nothing to look at.
    """
    preprocessing, module = load_preprocessing(run_dir, candidate), load(run_dir, candidate, trust)
    channels, height, width = preprocessing.image_shape
    batch_size = max(1, min(batch_size, MOST_VALUES // (channels * height * width)))
    files = iter(_files(images))
    while batch := list(islice(files, batch_size)):
        read = [_read(preprocessing, file) for file in batch]
        whole = [image for image in read if isinstance(image, Tensor)]
        rows = iter(_ranked(_logits(module, preprocessing, whole), preprocessing, top) if whole else ())
        for file, image in zip(batch, read, strict=True):
            yield (
                Prediction(str(file), *next(rows)) if isinstance(image, Tensor) else Prediction(str(file), error=image)
            )


def _files(images: Sequence[str | PathLike[str]]) -> list[Path]:
    found: list[Path] = []
    for image in map(Path, images):
        if not image.is_dir():
            found.append(image)
            continue
        inside = sorted(path for path in image.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())
        if not inside:
            raise UserError(f"{image}: no pictures found, at least one ({', '.join(sorted(SUFFIXES))}) expected")
        found += inside
    return found


def _read(preprocessing: Preprocessing, file: Path) -> Tensor | str:
    if not file.is_file():
        return f"{file}: not found, a picture or a folder of them expected"
    try:
        return preprocessing.read(file)
    except UserError as error:
        return str(error)


def _logits(module: nn.Module, preprocessing: Preprocessing, images: list[Tensor]) -> Tensor:
    """[N, classes]; the files of a run may have been put together of those of several."""
    with parsing("network", "not made for the images and classes of its preprocessing.json"):
        logits = module(preprocessing(torch.stack(images)))
        if logits.shape != (len(images), len(preprocessing.classes)):
            raise ValueError(f"{list(logits.shape)} for {len(preprocessing.classes)} classes")
    return logits


def _ranked(
    logits: Tensor, preprocessing: Preprocessing, top: int
) -> Iterator[tuple[tuple[str, ...], tuple[float, ...]]]:
    best = logits.double().softmax(1).topk(min(top, logits.shape[1]), dim=1)
    for values, labels in zip(best.values.tolist(), best.indices.tolist(), strict=True):
        yield tuple(preprocessing.classes[label] for label in labels), tuple(values)
