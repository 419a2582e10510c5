"""Trees of plain types from files of unknown origin: printable, finite and bounded."""

import math
from collections.abc import Mapping
from itertools import islice
from typing import Any

from growsearch.text import printable

LONGEST_TEXT = 400
DEEPEST = 24
MOST_ITEMS = 20_000
LARGEST_WHOLE = 2**53


def number(value: object) -> float | None:
    """A finite real number, or None for whatever else was found."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None


def plain(tree: Any, depth: int = DEEPEST) -> Any:
    """The same tree with every text printable and cut, every number finite, nothing too deep and no list too long."""
    if tree is None or isinstance(tree, bool):
        return tree
    if isinstance(tree, int | float):
        found = number(tree)
        return tree if found is not None and (isinstance(tree, float) or abs(tree) < LARGEST_WHOLE) else found
    if isinstance(tree, list):
        return [plain(value, depth - 1) for value in tree[:MOST_ITEMS]] if depth else None
    if isinstance(tree, dict):
        items = islice(tree.items(), MOST_ITEMS)
        return {short(str(key)): plain(value, depth - 1) for key, value in items} if depth else None
    return short(str(tree))


def short(text: str, longest: int = LONGEST_TEXT) -> str:
    """A text without control and direction characters, cut if it is long."""
    text = printable(text[: 4 * longest])
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def lookup(tree: Any, path: str) -> Any:
    """The value at a dotted path; None if there is none."""
    for part in path.split("."):
        if not isinstance(tree, Mapping):
            return None
        tree = tree.get(part)
    return tree


def flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Leaves by dotted name; lists are leaves."""
    found: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        found |= flat(value, f"{name}.") if isinstance(value, Mapping) and value else {name: value}
    return found
