"""Splits of picture files: decoded once and held in memory, or streamed where they are too many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from growsearch.data.class_folders import Pictures
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.decoded import decoded, digest
from growsearch.data.decoders import Decoders, default_workers
from growsearch.data.pictures import Look, Source, Span, decode, name_of
from growsearch.data.streamed import StreamedImages, StreamedSplit
from growsearch.errors import UserError
from growsearch.memory import available_bytes, require_memory

MOST_OF_MEMORY = 0.5
"""The part of free memory that decoded pictures may take before ``data.stream=auto`` streams them."""


def picture_splits(
    listed: Sequence[Pictures],
    look: Look,
    size: tuple[int, int] | None,
    config: DataConfig,
    place: Path,
    span: Span | None = None,
) -> list[Split]:
    """One split per list of pictures; resident and streamed ones hold the same bytes.

    Args:
        listed: pictures and their labels.
        look: their channels, and their size where ``size`` is None.
        size: see :func:`~growsearch.data.pictures.decode`.
        config: for ``stream``, ``workers`` and the data set's name.
        place: folder to keep decoded pictures in.
        span: see :func:`~growsearch.data.pictures.decode`.

    Raises:
        UserError: if pictures are damaged, differ in size, or do not fit in memory while they have to.
    """
    if _streams(sum(len(pictures.files) for pictures in listed), look, size, config):
        if size is None:
            raise UserError("data.resize: null is not accepted to stream pictures; use a side in pixels")
        decoders = Decoders(default_workers() if config.workers is None else config.workers)
        return [
            StreamedSplit(StreamedImages(list(map(str, files)), look.channels, size, decoders, span=span), labels)
            for files, labels in listed
        ]
    files = [file for pictures in listed for file in pictures.files]
    name = f"{config.name}-{digest(size, look, span, *stamps(files))}"
    kept = decoded(place, name, {"images": len(files)}, lambda: {"images": decode_all(files, look, size, span)})
    parts = kept["images"].split([len(pictures.files) for pictures in listed])
    return [Split(images, pictures.labels) for images, pictures in zip(parts, listed, strict=True)]


def stamps(files: Sequence[Path]) -> list[tuple[str, int, int, int]]:
    """Stamp that changes when a file does: its place, size and times."""
    found = ((str(file.resolve()), file.stat()) for file in files)
    return [(place, status.st_size, status.st_mtime_ns, status.st_ctime_ns) for place, status in found]


def _streams(count: int, look: Look, size: tuple[int, int] | None, config: DataConfig) -> bool:
    if config.stream != "auto":
        return config.stream == "always"
    if size is None:
        return False
    return count * look.channels * size[0] * size[1] > MOST_OF_MEMORY * available_bytes()


def decode_all(sources: Sequence[Source], look: Look, size: tuple[int, int] | None, span: Span | None) -> Tensor:
    """Decode pictures into one [N, C, H, W] uint8 tensor; for the arguments see :func:`picture_splits`.

    Raises:
        UserError: if one is damaged or of another size, or if they do not fit in memory.
    """
    height, width = size or (look.height, look.width)
    needed = len(sources) * look.channels * height * width
    require_memory(needed, f"{len(sources)} images of {height}x{width}", "set data.resize to fewer pixels")
    images = torch.empty(len(sources), look.channels, height, width, dtype=torch.uint8)
    for index, source in enumerate(sources):
        pixels = decode(source, look.channels, size, span)
        if pixels.shape[:2] != (height, width):
            raise UserError(
                f"{name_of(source)}: it has {pixels.shape[0]}x{pixels.shape[1]} pixels, the others "
                f"{height}x{width}; set data.resize"
            )
        images[index] = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    return images
