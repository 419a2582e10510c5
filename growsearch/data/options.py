"""Options of ``data`` that cannot be meant, found before anything is read (and without torch)."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import MISSING, fields
from typing import Any

from growsearch.data.config import LARGEST_SIDE, DataConfig
from growsearch.data.registry import DATASETS
from growsearch.errors import UserError

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
    """Refuse options that this data set would not look at.

    Raises:
        UserError: naming the option.
    """
    image_size(config)
    if config.range is not None and not (
        len(config.range) == 2 and all(map(math.isfinite, config.range)) and config.range[0] < config.range[1]
    ):
        raise UserError(f"data.range: {list(config.range)} is not accepted; use [low, high]")
    for name, entry in config.constants.items():
        if not _is_constants(entry):
            raise UserError(f"data.constants.{name}: {entry!r} is not accepted; use [[mean, ...], [deviation, ...]]")
    if config.normalisation == "given" and not config.constants:
        raise UserError("data.normalisation: 'given' needs data.constants, which is empty")
    defaults = {field.name: field.default for field in fields(DataConfig) if field.default is not MISSING}
    for option, names in READ_BY.items():
        value = getattr(config, option)
        if value != defaults[option] and config.name in DATASETS and config.name not in names:
            raise UserError(
                f"data.{option}: {value!r} is not accepted, as data={config.name} has no use for it "
                f"({', '.join(names)} would); use {json.dumps(defaults[option])}"
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
            f"data.resize: {found} is not accepted; use a side of 1 to {LARGEST_SIDE} pixels, or [height, width]"
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
