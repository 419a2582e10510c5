"""Options of ``data`` that cannot be meant, found before anything is read (and without torch)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from growsearch.data.config import LAYOUTS, POOLS, SPLITS, STREAM, VALIDATION, DataConfig
from growsearch.data.registry import DATASETS
from growsearch.errors import UserError

CHOICES = {"pool": POOLS, "split": SPLITS, "val_from": VALIDATION, "layout": LAYOUTS, "stream": STREAM}
CHANNELS = (1, 3, 4)
LARGEST_SIDE, MOST_WORKERS = 8192, 256
READ_BY = {
    "path": ("image_folder", "npz", "csv"),
    "channels": ("image_folder",),
    "range": ("image_folder",),
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
    image_size(config)
    if config.range is not None and not (
        len(config.range) == 2 and all(map(math.isfinite, config.range)) and config.range[0] < config.range[1]
    ):
        raise UserError(f"data.range: {list(config.range)} found, [low, high] expected")
    for option in ("crop_padding", "cutout", "workers", "train_size", "val_size", "test_size"):
        if (getattr(config, option) or 0) < 0:
            raise UserError(f"data.{option}: {getattr(config, option)} found, 0 or more expected")
    if (config.workers or 0) > MOST_WORKERS:
        raise UserError(f"data.workers: {config.workers} found, at most {MOST_WORKERS} processes expected")
    for name, entry in config.constants.items():
        if not _is_constants(entry):
            raise UserError(f"data.constants.{name}: {entry!r} found, [[mean, ...], [deviation, ...]] expected")
    if config.normalisation == "given" and not config.constants:
        raise UserError("data.normalisation: 'given' found, but data.constants is empty, constants expected there")
    defaults = {field.name: field.default for field in fields(DataConfig) if field.default is not MISSING}
    for option, names in READ_BY.items():
        value = getattr(config, option)
        if value != defaults[option] and config.name in DATASETS and config.name not in names:
            raise UserError(
                f"data.{option}: {value!r} found, {defaults[option]!r} expected"
                f" (data={config.name} has no use for it, {', '.join(names)} would)"
            )


def image_size(config: DataConfig) -> tuple[int, int] | None:
    """``data.resize`` as (height, width); None keeps the size.

    Raises:
        UserError: if it is neither a side nor a height and a width.
    """
    if config.resize is None:
        return None
    found = config.resize
    pair = tuple(found) if isinstance(found, Sequence) and not isinstance(found, str) else (found, found)
    if len(pair) != 2 or not all(type(side) is int and 1 <= side <= LARGEST_SIDE for side in pair):
        raise UserError(
            f"data.resize: {found} found, a side of 1 to {LARGEST_SIDE} pixels expected, or [height, width] of such"
        )
    return pair[0], pair[1]


def _is_constants(entry: Any) -> bool:
    """Whether it is a list of means and one, as long, of positive deviations."""
    try:
        means, deviations = ([float(value) for value in values] for values in entry)
    except (TypeError, ValueError):
        return False
    finite = all(map(math.isfinite, means + deviations))
    return finite and len(means) == len(deviations) > 0 and min(deviations) > 0
