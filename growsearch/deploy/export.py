"""A network in another format, written only if it computes what the network does."""

import os
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from growsearch.deploy.formats import WRITERS, Runner
from growsearch.deploy.preprocessing import Preprocessing
from growsearch.errors import UserError
from growsearch.run_folder.files import storage_errors

ABSOLUTE, RELATIVE = 1e-5, 1e-4
"""A logit may differ by ``ABSOLUTE + RELATIVE * |logit|``."""

OTHER_BATCHES = (1, 3)
"""Batch sizes that are tried beside the whole batch, for the size must be free."""


@dataclass(frozen=True)
class Export:
    """A file that was checked against the network.

    Attributes:
        path: the file.
        images: how many it was checked on.
        difference: largest absolute difference of a logit.
        share: the largest difference as a share of what is allowed.
    """

    path: Path
    images: int
    difference: float
    share: float


def export(module: nn.Module, preprocessing: Preprocessing, images: Tensor, path: Path, format: str) -> Export:
    """Write ``module`` in ``format`` and compare what the file computes with what the network does.

    The file takes normalised images [B, C, H, W] float32, B free, and gives logits [B, classes].

    Args:
        module: the network; set to evaluation mode.
        preprocessing: of its run; class names and normalisation are noted in the file.
        images: [N, C, H, W] as the data set holds them (uint8, or float32 of 0..1), N > 0.
        path: where the file goes; what is there is replaced only by a file that agrees.
        format: pt2, onnx or safetensors.

    Raises:
        UserError: if the format is unknown, its packages are missing, the network cannot be
            exported, the file disagrees, or it cannot be written.
    """
    if format not in WRITERS:
        raise UserError(f"--format: {format!r} found, one of {', '.join(WRITERS)} expected")
    temporary = path.with_name(f".{os.getpid()}-{path.name}.{format}")  # torch.export needs a name with a suffix
    batch = preprocessing(images)
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        try:
            runner = _written(module.eval(), preprocessing, temporary, format)
            difference, share = _compare(module, runner, batch, path)
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
    return Export(path, len(batch), difference, share)


def _written(module: nn.Module, preprocessing: Preprocessing, path: Path, format: str) -> Runner:
    try:
        return WRITERS[format](module, preprocessing, path)
    except (UserError, OSError, MemoryError):
        raise
    except Exception as error:  # the exporters raise many kinds for what they cannot trace
        reason = (str(error).splitlines() or [""])[0]
        raise UserError(f"--format: {format} cannot hold this network ({type(error).__name__}: {reason})") from error


@torch.no_grad()
def _compare(module: nn.Module, runner: Runner, images: Tensor, path: Path) -> tuple[float, float]:
    """The largest difference and its share of what is allowed, over the whole batch and smaller ones."""
    difference = share = 0.0
    for size in dict.fromkeys((len(images), *OTHER_BATCHES)):
        found, wanted = runner(images[:size]), module(images[:size])
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
