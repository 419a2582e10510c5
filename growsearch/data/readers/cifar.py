"""CIFAR-10 and CIFAR-100 through torchvision, which checks every file's checksum before it is opened."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torchvision

from growsearch.data import constants
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.download import download
from growsearch.data.fetch import found_or_fetched
from growsearch.data.raw import Constants, Raw
from growsearch.data.root import data_root


def read_cifar10(config: DataConfig) -> Raw:
    """Read CIFAR-10: 50,000 + 10,000 colour images of 32x32."""
    return _read(config, torchvision.datasets.CIFAR10, constants.CIFAR10)


def read_cifar100(config: DataConfig) -> Raw:
    """Read CIFAR-100: 50,000 + 10,000 colour images of 32x32, with the fine labels."""
    return _read(config, torchvision.datasets.CIFAR100, constants.CIFAR100)


def _read(config: DataConfig, source: Any, published: dict[str, Constants]) -> Raw:
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
        lambda: _fetch(root, source),
    )
    return Raw(_split(train), _split(test), tuple(train.classes), constants=published, fixed_classes=True)


def _fetch(root: Path, source: Any) -> None:
    """Download; torchvision finds the archive, checks it once more and unpacks it."""
    download(source.url, root / source.filename, source.tgz_md5)
    source(str(root), download=True)


def _split(part: Any) -> Split:
    images = torch.from_numpy(part.data).permute(0, 3, 1, 2).contiguous()
    return Split(images, torch.tensor(part.targets, dtype=torch.int64))
