"""A network in another format, written only if it computes what the network does."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.data.dataset import Split
from growsearch.deploy.formats import WRITERS, Runner, Variant, check_variant, pictures_of
from growsearch.deploy.latency import BATCHES, Latency, measure
from growsearch.deploy.preprocessing import Preprocessing
from growsearch.deploy.raw import Raw
from growsearch.deploy.rows import encoder_of, example_rows, images_of
from growsearch.errors import UserError
from growsearch.run_folder.files import storage_errors
from growsearch.surgery.tensors import copied

ABSOLUTE, RELATIVE = 1e-5, 1e-4
"""A logit may differ by ``ABSOLUTE + RELATIVE * |logit|``."""

DOUBLE = 1e-10
"""Likewise for the python format, both computed in float64: the share of the largest logit, if that is above 1."""

OTHER_BATCHES = (1, 3)
"""Batch sizes that are tried beside the whole batch, for the size must be free."""

COMPARED = 32
"""Test images on which outputs are compared."""

MOST_LOST = 0.01
"""Accuracy on test images that float16 and int8 may lose."""

TESTED_AT_ONCE = 100


@dataclass(frozen=True)
class Export:
    """A file that was checked against the network.

    Attributes:
        path: the file, or the folder of the python format.
        images: how many it was checked on.
        difference: largest absolute difference of a logit (with ``raw``: of a probability).
        share: the largest difference as a share of what is allowed.
        accuracies: of the network and of the file, on those images; None where every logit was compared instead.
        latencies: of the file on this machine, by batch size.
        rows: these were rows made up for the check and no images.
    """

    path: Path
    images: int
    difference: float
    share: float
    accuracies: tuple[float, float] | None
    latencies: tuple[Latency, ...]
    rows: bool = False


def export(
    module: nn.Module,
    preprocessing: Preprocessing,
    test: Split,
    path: Path,
    format: str,
    variant: Variant | None = None,
    most_lost: float = MOST_LOST,
) -> Export:
    """Write ``module`` in ``format`` and compare what the file computes with what the network does.

    The file takes normalised images [B, C, H, W] float32, B free, and gives logits [B, classes]; with ``variant.raw``
    it takes pictures [B, any height, any width, C] uint8 and gives probabilities. In float32 the outputs are compared,
    in other precisions the accuracies.

    Args:
        module: the network; set to evaluation mode.
        preprocessing: of its run; class names, sizes and normalisation are noted in the file.
        test: images to check it on, at least one; outputs are compared on the first 32, accuracies on all.
        path: where the file goes; what is there is replaced only by a file that agrees. The python format makes a
            folder with model.py and model.safetensors.
        format: pt2, onnx, safetensors or python.
        variant: precision, and whether preprocessing is part of the file.
        most_lost: accuracy that another precision may lose.

    Raises:
        UserError: if the format is unknown or has no such variant, its packages are missing, the network cannot be
            exported, the file disagrees, or it cannot be written.
    """
    variant = variant or Variant()
    check_variant(format, variant, preprocessing)
    check_place(path, format)
    # torch.export needs a name with a suffix
    temporary = path.absolute().with_name(f".{os.getpid()}-{path.name}.{format}")
    module.eval()
    images = test.take(torch.arange(min(COMPARED, len(test)))).images
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove(temporary)
        try:
            runner = _written(module, preprocessing, temporary, format, variant)
            if format == "python":
                _compare_double(module, runner, preprocessing(images[: max(OTHER_BATCHES)]), path)
            accuracies: tuple[float, float] | None = None
            cases = _cases(module, preprocessing, images, variant.raw)
            if variant.precision == "float32":
                difference, share = _compare(runner, cases, path)
            else:
                accuracies, difference = _accuracies(module, preprocessing, runner, test, variant.raw)
                share = max(0.0, accuracies[0] - accuracies[1]) / most_lost if most_lost else 0.0
                _require_accuracy(path, accuracies, most_lost, len(test), variant.precision)
            latencies = tuple(_latency(runner, preprocessing, images, variant.raw, batch) for batch in BATCHES)
            _move(temporary, path)
        finally:
            _remove(temporary)
    rows = variant.raw and preprocessing.table
    count = COMPARED if rows else len(test) if accuracies is not None else len(images)
    return Export(path, count, difference, share, accuracies, latencies, rows)


def check_place(path: Path, format: str) -> None:
    """Refuse a folder as the name of a file, before anything is computed; the python format goes into a folder.

    Raises:
        UserError: naming it.
    """
    if path.is_dir() and not path.is_symlink() and (format != "python" or not path.absolute().name):
        raise UserError(f"{path}: it is a folder; name a {'folder' if format == 'python' else 'file'} in it")


def _written(module: nn.Module, preprocessing: Preprocessing, path: Path, format: str, variant: Variant) -> Runner:
    try:
        return WRITERS[format](module, preprocessing, path, variant)
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # the exporters raise many kinds for what they cannot trace
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"--format: {format} cannot hold this network ({type(error).__name__}: {reason})") from error


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _move(temporary: Path, path: Path) -> None:
    """Put what was checked in its place; of a folder file by file, so that others in it stay."""
    if not temporary.is_dir():
        os.replace(temporary, path)
        return
    path.mkdir(exist_ok=True)
    for file in sorted(temporary.iterdir(), reverse=True):
        if file.is_file():
            os.replace(file, path / file.name)


@torch.no_grad()
def _compare(runner: Runner, cases: Iterator[tuple[Any, Tensor]], path: Path) -> tuple[float, float]:
    """The largest difference and its share of what is allowed, over the whole batch and smaller ones."""
    difference = share = 0.0
    for inputs, wanted in cases:
        found = runner(inputs)
        if found.shape != wanted.shape:
            raise UserError(f"{path}: not written; it gives {list(found.shape)} instead of {list(wanted.shape)}")
        gap = (found - wanted).abs()
        allowed = ABSOLUTE + RELATIVE * wanted.abs()
        if not bool((gap <= allowed).all()) or not torch.equal(found.argmax(1), wanted.argmax(1)):
            raise UserError(
                f"{path}: not written; its outputs differ from the network's by up to {float(gap.max()):.2g}"
                f" on {len(wanted)} test images"
            )
        difference, share = max(difference, float(gap.max())), max(share, float((gap / allowed).max()))
    return difference, share


def _cases(module: nn.Module, preprocessing: Preprocessing, images: Tensor, raw: bool) -> Iterator[tuple[Any, Tensor]]:
    """Inputs and what the network makes of them: in batches of several sizes, and pictures of other sizes."""
    if raw and preprocessing.table:
        encoder = encoder_of(preprocessing)
        for size in (COMPARED, *OTHER_BATCHES):
            rows = example_rows(encoder, size)
            yield rows, module(preprocessing(images_of(encoder, rows))).softmax(1)
        return
    batch = preprocessing(images)
    for size in dict.fromkeys((len(images), *OTHER_BATCHES)):
        logits = module(batch[:size])
        yield (pictures_of(images[:size]), logits.softmax(1)) if raw else (batch[:size], logits)
    if raw:
        height, width = images.shape[2:]
        whole = Raw(module, preprocessing).eval()
        for other in ((2 * height + 3, width + 7), (-(-height // 2), 3 * width)):
            scaled = F.interpolate(images[: max(OTHER_BATCHES)].float(), other, mode="bilinear").round().to(torch.uint8)
            yield pictures_of(scaled), whole(pictures_of(scaled))


@torch.no_grad()
def _compare_double(module: nn.Module, runner: Runner, batch: Tensor, path: Path) -> None:
    """Compare in float64, where what is written line by line must give the same numbers."""
    assert isinstance(runner, nn.Module)
    ours, written = (
        copied(one, lambda tensor: tensor.double() if tensor.is_floating_point() else tensor.clone()).eval()
        for one in (module, runner)
    )
    wanted, found = ours(batch.double()), written(batch.double())
    gap = float((found - wanted).abs().max()) / max(1.0, float(wanted.abs().max()))
    if not gap <= DOUBLE:
        raise UserError(f"{path}: not written; in float64 its outputs differ from the network's by up to {gap:.2g}")


@torch.no_grad()
def _accuracies(
    module: nn.Module, preprocessing: Preprocessing, runner: Runner, test: Split, raw: bool
) -> tuple[tuple[float, float], float]:
    """Top-1 accuracy of the network and of the file, and the largest difference of an output."""
    right, difference = [0, 0], 0.0
    for rows in torch.arange(len(test)).split(TESTED_AT_ONCE):
        part = test.take(rows)
        logits = module(preprocessing(part.images))
        wanted = logits.softmax(1) if raw else logits
        found = runner(pictures_of(part.images) if raw else preprocessing(part.images))
        for index, output in enumerate((wanted, found)):
            right[index] += int((output.argmax(1) == part.labels).sum())
        difference = max(difference, float((found - wanted).abs().max()))
    return (right[0] / len(test), right[1] / len(test)), difference


@torch.no_grad()
def accuracy(module: nn.Module, preprocessing: Preprocessing, test: Split) -> float:
    """Top-1 accuracy of a network on a split."""
    parts = (test.take(rows) for rows in torch.arange(len(test)).split(TESTED_AT_ONCE))
    right = sum(int((module(preprocessing(part.images)).argmax(1) == part.labels).sum()) for part in parts)
    return right / max(1, len(test))


def _require_accuracy(
    path: Path, accuracies: tuple[float, float], most_lost: float, images: int, precision: str
) -> None:
    ours, found = accuracies
    if ours - found > most_lost:
        raise UserError(
            f"{path}: not written; in {precision} accuracy falls from {100 * ours:.2f} % to "
            f"{100 * found:.2f} % on {images} test images, by more than {100 * most_lost:g} points "
            "(--most-lost)"
        )


def _latency(runner: Runner, preprocessing: Preprocessing, images: Tensor, raw: bool, batch: int) -> Latency:
    repeated = images[torch.arange(batch) % len(images)]
    if raw and preprocessing.table:
        rows = example_rows(encoder_of(preprocessing), batch)
        return measure(lambda _: runner(rows), repeated)
    return measure(runner, pictures_of(repeated) if raw else preprocessing(repeated))
