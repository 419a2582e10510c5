"""CIFAR-10 re-encoded as JPEG, from one archive: ``train/CLASS/*.jpg`` and ``test/CLASS/*.jpg``.

The pixels are not the official ones, so accuracies are lower than published ones and not comparable.
"""

from __future__ import annotations

import lzma
import tarfile
from pathlib import Path, PurePosixPath

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
from growsearch.text import reason

ARCHIVE = "cifar10_jpeg.tar.xz"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
SIDE = 32
MOST_BYTES = 1 << 20
"""A member larger than this is no 32x32 picture."""


def read(config: DataConfig) -> Raw:
    """Read CIFAR-10 (JPEG): 50,000 + 10,000 colour images of 32x32, decoded once and kept.

    Within train and test the classes take turns: archives are sorted by class, and halves should not be.
    """
    root = data_root(config)
    archive = root / ARCHIVE
    found_or_fetched(config, root, ARCHIVE, lambda: archive if archive.is_file() else None, None)
    status = archive.stat()
    name = f"cifar10_jpeg-{digest(status.st_size, status.st_mtime_ns)}"
    arrays = decoded(place_beside(root), name, lambda: _decode_archive(archive))
    pool, test = (Split(arrays[f"{part}_images"], arrays[f"{part}_labels"]) for part in ("train", "test"))
    note = "CIFAR-10 (JPEG): images re-encoded with loss; accuracies are not comparable with published ones."
    return Raw(pool, test, CLASSES, constants=constants.CIFAR10, fixed_classes=True, lossy=True, notes=(note,))


def _decode_archive(archive: Path) -> dict[str, Tensor]:
    found: dict[str, list[tuple[str, int, Tensor]]] = {"train": [], "test": []}
    try:
        with tarfile.open(archive, "r:xz") as members:
            for member in members:
                part, label = _place(member.name)
                if not member.isfile() or label is None:
                    continue
                if member.size > MOST_BYTES:
                    raise UserError(f"{archive}, {member.name}: {member.size} bytes found, a 32x32 picture expected")
                content = members.extractfile(member)
                assert content is not None  # a regular file
                pixels = decode((f"{archive}, {member.name}", content.read()), 3, SIDE)
                image = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
                found[part].append((PurePosixPath(member.name).name, label, image))
    except (OSError, EOFError, tarfile.TarError, lzma.LZMAError) as error:
        raise UserError(f"{archive}: damaged archive ({reason(error)}), a whole copy expected") from error
    arrays = {}
    for part, entries in found.items():
        if not entries:
            raise UserError(f"{archive}: no pictures in {part}/CLASS/ found, those of {', '.join(CLASSES)} expected")
        entries.sort(key=lambda entry: entry[:2])
        arrays[f"{part}_images"] = torch.stack([image for _, _, image in entries])
        arrays[f"{part}_labels"] = torch.tensor([label for _, label, _ in entries])
    return arrays


def _place(member: str) -> tuple[str, int | None]:
    """Part and label of ``train/cat/0001.jpg``; no label for anything else."""
    parts = PurePosixPath(member).parts
    if len(parts) != 3 or parts[0] not in ("train", "test") or parts[1] not in CLASSES:
        return "", None
    return parts[0], CLASSES.index(parts[1])
