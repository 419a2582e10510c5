"""Data sets by name, each read by a function that is imported only when it is asked for.

An installed package adds its own through the entry point group ``growsearch.data``: the entry's
name is the data set's, its value a function of :class:`~growsearch.data.config.DataConfig` that
returns a :class:`~growsearch.data.raw.Raw`.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, NamedTuple

from growsearch.data.config import DataConfig
from growsearch.errors import UserError

if TYPE_CHECKING:
    from growsearch.data.raw import Raw

GROUP = "growsearch.data"


class Entry(NamedTuple):
    """Where a data set's reader is (``module:function``), and one line on what it reads."""

    reader: str
    summary: str


DATASETS: dict[str, Entry] = {
    "digits": Entry("growsearch.data.readers.digits:read", "scikit-learn's 1,797 digits, 8x8 grey (embedded)"),
}


def names() -> list[str]:
    """Every known data set, ours first, then those of installed packages."""
    return [*DATASETS, *sorted(entry.name for entry in entry_points(group=GROUP) if entry.name not in DATASETS)]


def reader(name: str) -> Callable[[DataConfig], Raw]:
    """The function that reads a data set.

    Raises:
        UserError: if the name is unknown.
    """
    if name in DATASETS:
        module, function = DATASETS[name].reader.split(":")
        return getattr(import_module(module), function)
    for entry in entry_points(group=GROUP, name=name):
        return entry.load()
    raise UserError(f"data: {name!r} found, one of {', '.join(names())} expected")
