"""Options of ``data`` that cannot be meant, found before anything is read (and without torch)."""

from __future__ import annotations

from dataclasses import fields

from growsearch.data.config import DataConfig
from growsearch.data.registry import DATASETS
from growsearch.errors import UserError

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
    """Refuse options that this data set would not look at.

    Raises:
        UserError: naming the option.
    """
    defaults = {field.name: field.default for field in fields(DataConfig)}
    for option, names in READ_BY.items():
        value = getattr(config, option)
        if value != defaults[option] and config.name in DATASETS and config.name not in names:
            raise UserError(
                f"data.{option}: {value!r} found, {defaults[option]!r} expected"
                f" (data={config.name} has no use for it, {', '.join(names)} would)"
            )
