"""The cropped Street View House Numbers through torchvision, which reads the label 10 as the digit 0."""

from __future__ import annotations

from typing import Any

import torch
import torchvision

from growsearch.data import constants
from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.download import download
from growsearch.data.fetch import found_or_fetched
from growsearch.data.raw import Raw
from growsearch.data.root import data_root


def read(config: DataConfig) -> Raw:
    """Read SVHN: colour images of 32x32, 73,257 (with the extra set 604,388) + 26,032."""
    pool = _read(config, "train")
    if config.pool == "train_extra":
        extra = _read(config, "extra")
        pool = Split(torch.cat((pool.images, extra.images)), torch.cat((pool.labels, extra.labels)))
    return Raw(pool, _read(config, "test"), tuple(map(str, range(10))), constants=constants.SVHN, fixed_classes=True)


def _read(config: DataConfig, part: str) -> Split:
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
