"""What ``growsearch data`` does: list the data sets, fetch one, verify one, describe one."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch

from growsearch.data.config import DataConfig
from growsearch.data.load import read_raw
from growsearch.data.root import data_root


def get(config: DataConfig) -> dict[str, Any]:
    """Fetch what is missing, verify all of it and describe it.

    Raises:
        UserError: if it cannot be had or is damaged.
    """
    return _describe(dataclasses.replace(config, download=True))


def check(config: DataConfig) -> dict[str, Any]:
    """Verify and describe what is there, fetching nothing.

    Raises:
        UserError: if something is missing or damaged.
    """
    return _describe(dataclasses.replace(config, download=False))


def _describe(config: DataConfig) -> dict[str, Any]:
    """Plain types: what the files hold, before sizes and splits."""
    raw = read_raw(config)
    parts = {"train": raw.pool, "val": raw.val, "test": raw.test}
    return {
        "name": config.name,
        "root": str(data_root(config)),
        "image_shape": list(raw.pool.images.shape[1:]),
        "classes": list(raw.classes),
        "images": {part: len(split) for part, split in parts.items() if split is not None},
        "train_class_counts": torch.bincount(raw.pool.labels, minlength=len(raw.classes)).tolist(),
        "lossy": raw.lossy,
        "notes": list(raw.notes),
    }
