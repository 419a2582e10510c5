"""MNIST, Fashion-MNIST, CIFAR and SVHN: torchvision names their files and checksums, and reads those of the last two.

The packed .gz files of MNIST are read as they are, so a root may be read-only and nothing is unpacked.
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
    return _read_idx(config, torchvision.datasets.MNIST, tuple(map(str, range(10))), constants.MNIST)


def read_fashion_mnist(config: DataConfig) -> Raw:
    """Read Fashion-MNIST: 60,000 + 10,000 grey images of 28x28."""
    source = torchvision.datasets.FashionMNIST
    return _read_idx(config, source, tuple(source.classes), constants.FASHION_MNIST)


def _read_idx(config: DataConfig, source: Any, classes: tuple[str, ...], published: dict[str, Constants]) -> Raw:
    root = data_root(config)
    folder = root / source.__name__ / "raw"
    contents = found_or_fetched(
        config,
        root,
        f"{source.__name__}/raw/*-ubyte.gz",
        lambda: _find_idx(folder, source.resources),
        lambda: _fetch_idx(folder, source),
    )
    train_images, train_labels, test_images, test_labels = (parse_idx(*contents[name]) for name, _ in source.resources)
    splits = (_idx_split(train_images, train_labels, folder), _idx_split(test_images, test_labels, folder))
    return Raw(*splits, classes, constants=published, fixed_classes=True)


def _fetch_idx(folder: Path, source: Any) -> None:
    for name, md5 in source.resources:
        download([f"{mirror}{name}" for mirror in source.mirrors], folder / name, md5)


def _find_idx(folder: Path, resources: list[tuple[str, str]]) -> dict[str, tuple[bytes, Path]] | None:
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
        raise UserError(f"{file}: an IDX file with values cannot have sizes {shape}; delete it to fetch it again")
    if len(content) != start + count:
        raise UserError(f"{file}: it has {len(content)} bytes instead of {start + count}; delete it to fetch it again")
    return torch.frombuffer(bytearray(content), dtype=torch.uint8, offset=start, count=count).view(shape)


def _idx_split(images: Tensor, labels: Tensor, folder: Path) -> Split:
    if images.dim() != 3 or labels.dim() != 1:
        raise UserError(f"{folder}: images are {images.dim()}-d and labels {labels.dim()}-d; use 3-d and 1-d ones")
    return Split(images.unsqueeze(1), labels.to(torch.int64))


def read_cifar10(config: DataConfig) -> Raw:
    """Read CIFAR-10: 50,000 + 10,000 colour images of 32x32."""
    return _read_cifar(config, torchvision.datasets.CIFAR10, constants.CIFAR10)


def read_cifar100(config: DataConfig) -> Raw:
    """Read CIFAR-100: 50,000 + 10,000 colour images of 32x32, with the fine labels."""
    return _read_cifar(config, torchvision.datasets.CIFAR100, constants.CIFAR100)


def _read_cifar(config: DataConfig, source: Any, published: dict[str, Constants]) -> Raw:
    root = data_root(config)

    def find() -> tuple[Any, Any] | None:
        try:
            return source(str(root), train=True), source(str(root), train=False)
        except RuntimeError:
            return None

    train, test = found_or_fetched(
        config,
        root,
        f"{source.base_folder}/ (or {source.filename})",
        find,
        lambda: _fetch_cifar(root, source),
    )
    return Raw(_cifar_split(train), _cifar_split(test), tuple(train.classes), constants=published, fixed_classes=True)


def _fetch_cifar(root: Path, source: Any) -> None:
    """Download; torchvision finds the archive, checks it once more and unpacks it."""
    download(source.url, root / source.filename, source.tgz_md5)
    source(str(root), download=True)


def _cifar_split(part: Any) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(part.targets, dtype=torch.int64))


def read_svhn(config: DataConfig) -> Raw:
    """Read SVHN: colour images of 32x32, 73,257 (with the extra set 604,388) + 26,032."""
    pool = _read_svhn(config, "train")
    if config.pool == "train_extra":
        extra = _read_svhn(config, "extra")
        pool = Split(torch.cat((pool.images, extra.images)), torch.cat((pool.labels, extra.labels)))
    return Raw(
        pool, _read_svhn(config, "test"), tuple(map(str, range(10))), constants=constants.SVHN, fixed_classes=True
    )


def _read_svhn(config: DataConfig, part: str) -> Split:
    root = data_root(config)
    source = torchvision.datasets.SVHN

    def find() -> Any | None:
        try:
            return source(str(root), split=part)
        except RuntimeError:
            return None

    url, name, md5 = source.split_list[part]
    found = found_or_fetched(config, root, name, find, lambda: download(url, root / name, md5))
    labels = torch.from_numpy(found.labels).view(-1)
    return Split(torch.from_numpy(found.data).contiguous(), labels)
