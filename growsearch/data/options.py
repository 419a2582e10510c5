"""Options of ``data`` that cannot be meant, found before anything is read (and without torch)."""

from __future__ import annotations

from dataclasses import fields

from growsearch.data.config import LAYOUTS, POOLS, SPLITS, STREAM, VALIDATION, DataConfig
from growsearch.data.registry import DATASETS
from growsearch.errors import UserError

CHOICES = {"pool": POOLS, "split": SPLITS, "val_from": VALIDATION, "layout": LAYOUTS, "stream": STREAM}
CHANNELS = (1, 3, 4)
LARGEST_SIDE, MOST_WORKERS = 8192, 256
READ_BY = {
    "path": ("image_folder", "npz", "csv"),
    "channels": ("image_folder",),
    "stream": ("image_folder", "imagenet"),
    "workers": ("image_folder", "imagenet"),
    "layout": ("npz",),
    "target": ("csv",),
    "drop": ("csv",),
    "test_path": ("csv",),
    "pool": ("svhn",),
}
"""Which data sets know an option that not all know."""


def check_options(config: DataConfig) -> None:
    """Refuse unknown choices, impossible numbers, and options that this data set would not look at.

    Raises:
        UserError: naming the option.
    """
    for option, known in CHOICES.items():
        if getattr(config, option) not in known:
            raise UserError(f"data.{option}: {getattr(config, option)!r} found, one of {', '.join(known)} expected")
    if config.channels not in (None, *CHANNELS):
        raise UserError(f"data.channels: {config.channels} found, 1, 3, 4 or null expected")
    if config.resize is not None and not 1 <= config.resize <= LARGEST_SIDE:
        raise UserError(f"data.resize: {config.resize} found, a side of 1 to {LARGEST_SIDE} pixels expected")
    for option in ("crop_padding", "cutout", "workers", "train_size", "val_size", "test_size"):
        if (getattr(config, option) or 0) < 0:
            raise UserError(f"data.{option}: {getattr(config, option)} found, 0 or more expected")
    if (config.workers or 0) > MOST_WORKERS:
        raise UserError(f"data.workers: {config.workers} found, at most {MOST_WORKERS} processes expected")
    defaults = {field.name: field.default for field in fields(DataConfig)}
    for option, names in READ_BY.items():
        value = getattr(config, option)
        if value != defaults[option] and config.name in DATASETS and config.name not in names:
            raise UserError(
                f"data.{option}: {value!r} found, {defaults[option]!r} expected"
                f" (data={config.name} has no use for it, {', '.join(names)} would)"
            )
