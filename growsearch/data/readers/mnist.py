"""MNIST and Fashion-MNIST, in the IDX files that torchvision fetches.

The packed .gz files are read as they are, so a root may be read-only and nothing is unpacked.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch import Tensor
from torchvision.datasets.utils import check_integrity

from growsearch.data import constants
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.download import download
from growsearch.data.fetch import found_or_fetched
from growsearch.data.raw import Constants, Raw
from growsearch.data.root import data_root
from growsearch.errors import UserError
from growsearch.text import reason
from growsearch.untrusted import read_bytes

LARGEST = 1 << 28
"""Bytes of a file; the largest official one has 47 million."""

UNSIGNED_BYTE = 8
"""The IDX format's code for the only type these files use."""


def read_mnist(config: DataConfig) -> Raw:
    """Read MNIST: 60,000 + 10,000 grey images of 28x28."""
    return _read(config, torchvision.datasets.MNIST, tuple(map(str, range(10))), constants.MNIST)


def read_fashion_mnist(config: DataConfig) -> Raw:
    """Read Fashion-MNIST: 60,000 + 10,000 grey images of 28x28."""
    source = torchvision.datasets.FashionMNIST
    return _read(config, source, tuple(source.classes), constants.FASHION_MNIST)


def _read(config: DataConfig, source: Any, classes: tuple[str, ...], published: dict[str, Constants]) -> Raw:
    root = data_root(config)
    folder = root / source.__name__ / "raw"
    contents = found_or_fetched(
        config,
        root,
        f"{source.__name__}/raw/*-ubyte.gz",
        lambda: _find(folder, source.resources),
        lambda: _fetch(folder, source),
    )
    train_images, train_labels, test_images, test_labels = (parse_idx(*contents[name]) for name, _ in source.resources)
    splits = (_split(train_images, train_labels, folder), _split(test_images, test_labels, folder))
    return Raw(*splits, classes, constants=published, fixed_classes=True)


def _fetch(folder: Path, source: Any) -> None:
    for name, md5 in source.resources:
        download([f"{mirror}{name}" for mirror in source.mirrors], folder / name, md5)


def _find(folder: Path, resources: list[tuple[str, str]]) -> dict[str, tuple[bytes, Path]] | None:
    """Contents and the file they are from, by the .gz files' names; a packed file must have the published checksum."""
    contents = {}
    for name, md5 in resources:
        packed, plain = folder / name, folder / name.removesuffix(".gz")
        if check_integrity(packed, md5):
            contents[name] = unpack(packed), packed
        elif plain.is_file():
            contents[name] = read_bytes(plain, LARGEST), plain
        else:
            return None
    return contents


def unpack(file: Path) -> bytes:
    """Contents of a .gz file.

    Raises:
        UserError: if it is damaged.
    """
    try:
        return gzip.decompress(file.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{file}: damaged ({reason(error)}), delete it so that it is fetched again") from error


def parse_idx(content: bytes, file: Path) -> Tensor:
    """Parse an IDX file of unsigned bytes: two zero bytes, type, number of axes, sizes, values.

    Raises:
        UserError: if the content is anything else, or more or less than its sizes say.
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] != UNSIGNED_BYTE or not 1 <= content[3] <= 4:
        raise UserError(f"{file}: no IDX file of bytes, delete it so that it is fetched again")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    count = 1
    for size in shape:
        count *= size
    if not count:
        raise UserError(f"{file}: sizes {shape} found, an IDX file with values expected: delete it to fetch it again")
    if len(content) != start + count:
        raise UserError(f"{file}: {len(content)} bytes found, {start + count} expected: delete it to fetch it again")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start, count=count).view(shape)


def _split(images: Tensor, labels: Tensor, folder: Path) -> Split:
    if images.dim() != 3 or labels.dim() != 1:
        raise UserError(f"{folder}: {images.dim()}-d images and {labels.dim()}-d labels found, 3-d and 1-d expected")
    return Split(images.unsqueeze(1), labels.to(torch.int64))
