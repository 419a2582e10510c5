"""Plugins of other installed packages, by entry point; listing them imports nothing of theirs.

Groups: ``growsearch.algorithms`` names ``Algorithm`` subclasses, ``growsearch.papers`` their figures and
tables by method, ``growsearch.networks`` network classes by family, ``growsearch.data`` functions that
read a data set.
"""

import sys
from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any

ALGORITHMS, NETWORKS, DATA = "growsearch.algorithms", "growsearch.networks", "growsearch.data"
PAPERS = "growsearch.papers"


def points(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name, in alphabetical order; the first of a name counts."""
    found: dict[str, EntryPoint] = {}
    for point in _installed(entry_points, group, tuple(sys.path)):
        found.setdefault(point.name, point)
    return dict(sorted(found.items()))


@lru_cache
def _installed(read: Callable[..., Iterable[EntryPoint]], group: str, places: tuple[str, ...]) -> list[EntryPoint]:
    """Entry points of a group in some places; looking takes a while, and a sweep asks again for every job."""
    return list(read(group=group))


def summary(point: EntryPoint) -> str:
    """A line on where it is from."""
    if point.dist is None:
        return f"from {point.value}"
    about = point.dist.metadata["Summary"]
    return f"from {point.dist.name} {point.dist.version}" + (f": {about}" if about else "")


def loaded(point: EntryPoint) -> Any:
    """The object that the entry point names; None, with a warning, where its package is broken."""
    try:
        return point.load()
    except Exception as error:  # another package may fail in any way, and ours work without it
        name = f"{point.group} entry point {point.name!r} ({point.value})"
        print(f"growsearch: {name} left out: {type(error).__name__}: {error}", file=sys.stderr)
        return None
