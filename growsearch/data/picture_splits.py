"""Splits of picture files: decoded once and held in memory, or streamed where they are too many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from growsearch.data.class_folders import Pictures
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.decoded import decoded, digest
from growsearch.data.decoders import Decoders, default_workers
from growsearch.data.pictures import Look
from growsearch.data.resident import decode_all
from growsearch.data.streamed import StreamedImages, StreamedSplit
from growsearch.errors import UserError
from growsearch.memory import available_bytes

MOST_OF_MEMORY = 0.5
"""The part of free memory that decoded pictures may take before ``data.stream=auto`` streams them."""


def picture_splits(
    listed: Sequence[Pictures], look: Look, side: int | None, config: DataConfig, place: Path
) -> list[Split]:
    """One split per list of pictures; resident and streamed ones hold the same bytes.

    Args:
        listed: pictures and their labels.
        look: their channels, and their size where ``side`` is None.
        side: see :func:`~growsearch.data.pictures.decode`.
        config: for ``stream``, ``workers`` and the data set's name.
        place: folder to keep decoded pictures in.

    Raises:
        UserError: if pictures are damaged, differ in size, or do not fit in memory while they have to.
    """
    if _streams(sum(len(pictures.files) for pictures in listed), look, side, config):
        if side is None:
            raise UserError("data.resize: null found, a side expected to stream pictures")
        decoders = Decoders(default_workers() if config.workers is None else config.workers)
        return [
            StreamedSplit(StreamedImages(list(map(str, files)), look.channels, side, decoders), labels)
            for files, labels in listed
        ]
    files = [file for pictures in listed for file in pictures.files]
    stamps = ((str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in files)
    name = f"{config.name}-{digest(side, look, *stamps)}"
    kept = decoded(place, name, {"images": len(files)}, lambda: {"images": decode_all(files, look, side)})
    parts = kept["images"].split([len(pictures.files) for pictures in listed])
    return [Split(images, pictures.labels) for images, pictures in zip(parts, listed, strict=True)]


def _streams(count: int, look: Look, side: int | None, config: DataConfig) -> bool:
    if config.stream != "auto":
        return config.stream == "always"
    pixels = side * side if side is not None else look.height * look.width
    return side is not None and count * look.channels * pixels > MOST_OF_MEMORY * available_bytes()
