"""What other installed packages add, by entry point; nothing of theirs is imported to list it.

Groups: ``growsearch.algorithms`` names ``Algorithm`` subclasses, ``growsearch.papers`` their figures and
tables by method, ``growsearch.networks`` network classes by family, ``growsearch.data`` functions that
read a data set.
"""

import sys
from collections.abc import Callable
from functools import lru_cache
from importlib.metadata import EntryPoint, EntryPoints, entry_points
from typing import Any

ALGORITHMS, NETWORKS, DATA = "growsearch.algorithms", "growsearch.networks", "growsearch.data"
PAPERS = "growsearch.papers"


def points(group: str) -> dict[str, EntryPoint]:
    """Entry points of a group by name, in alphabetical order; the first of a name counts."""
    found: dict[str, EntryPoint] = {}
    for point in _installed(entry_points, tuple(sys.path)).select(group=group):
        found.setdefault(point.name, point)
    return dict(sorted(found.items()))


@lru_cache(1)
def _installed(read: Callable[[], EntryPoints], places: tuple[str, ...]) -> EntryPoints:
    """All entry points of some places; looking takes a tenth of a second, and a sweep asks again for every job."""
    return read()


def summary(point: EntryPoint) -> str:
    """A line on where it is from."""
    if point.dist is None:
        return f"from {point.value}"
    about = point.dist.metadata["Summary"]
    return f"from {point.dist.name} {point.dist.version}" + (f": {about}" if about else "")


def loaded(point: EntryPoint) -> Any:
    """What the entry point names; None, with a warning, where its package is broken."""
    try:
        return point.load()
    except Exception as error:  # a stranger's package may fail in any way, and ours work without it
        name = f"{point.group} entry point {point.name!r} ({point.value})"
        print(f"growsearch: {name} left out: {type(error).__name__}: {error}", file=sys.stderr)
        return None
