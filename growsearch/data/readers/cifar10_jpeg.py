"""CIFAR-10 re-encoded as JPEG, from one archive: ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``.

The pixels are not the official ones, so accuracies are lower than published ones and not comparable.
"""

from __future__ import annotations

import lzma
import tarfile
from pathlib import Path, PurePosixPath
from typing import IO, cast

import torch
from torch import Tensor

from growsearch.data import constants
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.decoded import decoded, digest
from growsearch.data.fetch import found_or_fetched
from growsearch.data.pictures import decode
from growsearch.data.raw import Raw
from growsearch.data.root import data_root, place_beside
from growsearch.errors import UserError
from growsearch.untrusted import parsing, require_plain

ARCHIVE = "cifar10_jpeg.tar.xz"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
MOST_BYTES, MOST_UNPACKED = 1 << 20, 1 << 30
"""A member larger than the one is no 32x32 picture, an archive larger than the other not this one."""
PARTS = ("train", "test")


def read(config: DataConfig) -> Raw:
    """Read CIFAR-10 (JPEG): 50,000 + 10,000 colour images of 32x32, decoded once and kept.

    Within train and test the classes take turns: archives are sorted by class, and halves should not be.
    """
    root = data_root(config)
    archive = root / ARCHIVE
    found_or_fetched(config, root, ARCHIVE, lambda: archive if archive.is_file() else None, None)
    status = archive.stat()
    name = f"cifar10_jpeg-{digest(status.st_size, status.st_mtime_ns)}"
    counts = {f"{part}_{what}": 0 for part in PARTS for what in ("images", "labels")}
    arrays = decoded(place_beside(root), name, counts, lambda: _decode_archive(archive))
    pool, test = (Split(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in PARTS)
    note = "CIFAR-10 (JPEG): images re-encoded with loss; accuracies are not comparable with published ones."
    return Raw(pool, test, CLASSES, constants=constants.CIFAR10, fixed_classes=True, lossy=True, notes=(note,))


class Limited:
    """A file that ends with an error after so many bytes: a few packed ones can stand for no end of zeros."""

    def __init__(self, file: IO[bytes], most: int) -> None:
        self.file, self.left = file, most

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes.

        Raises:
            ValueError: once there were too many.
        """
        self.left -= size
        if self.left < 0:
            raise ValueError(f"more than {MOST_UNPACKED:,} bytes unpacked")
        return self.file.read(size)


def _decode_archive(archive: Path) -> dict[str, Tensor]:
    found: dict[str, list[tuple[str, int, Tensor]]] = {part: [] for part in PARTS}
    require_plain(archive)
    with (
        parsing(archive, "damaged archive; use a whole copy"),
        lzma.open(archive) as unpacked,
        tarfile.open(fileobj=cast(IO[bytes], Limited(unpacked, MOST_UNPACKED)), mode="r|") as members,
    ):
        for member in members:
            part, label = _place(member.name)
            if not member.isfile() or label is None:
                continue
            if member.size > MOST_BYTES:
                raise UserError(f"{archive}, {member.name}: it has {member.size} bytes; a 32x32 picture has fewer")
            content = members.extractfile(member)
            assert content is not None  # a regular file
            pixels = decode((f"{archive}, {member.name}", content.read()), 3, SIDE)
            image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
            found[part].append((PurePosixPath(member.name).name, label, image))
    arrays = {}
    for part, entries in found.items():
        if not entries:
            raise UserError(f"{archive}: it has no pictures in {part}/CLASS/; it needs those of {', '.join(CLASSES)}")
        entries.sort(key=lambda entry: entry[:2])
        arrays[f"{part}_images"] = torch.stack([image for _, _, image in entries])
        arrays[f"{part}_labels"] = torch.tensor([label for _, label, _ in entries])
    return arrays


def _place(member: str) -> tuple[str, int | None]:
    """Part and label of ``train/cat/0001.jpg``; no label for anything else."""
    parts = PurePosixPath(member).parts
    if len(parts) != 3 or parts[0] not in PARTS or parts[1] not in CLASSES:
        return "", None
    return parts[0], CLASSES.index(parts[1])
