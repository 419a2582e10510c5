"""Numbers as text; a value that is no number is written as missing."""

import math
from collections.abc import Sequence

from growsearch.format import compact, duration
from growsearch.run_folder.plain import number

MISSING = "-"


def percent(value: object, digits: int = 2) -> str:
    """A fraction in percent."""
    found = number(value)
    return MISSING if found is None else f"{100 * found:.{digits}f} %"


def count(value: object) -> str:
    """A whole number with its digits grouped."""
    found = number(value)
    return MISSING if found is None else f"{found:,.0f}"


def decimal(value: object) -> str:
    """A mean of counts: one digit after the point, none where it is whole."""
    found = number(value)
    return MISSING if found is None else f"{found:,.1f}".removesuffix(".0")


def grouped(text: str) -> str:
    """Digits of a whole number in groups; any other text as it is."""
    return f"{int(text):,}" if text.isascii() and text.isdigit() and len(text) < 20 else text


def size(value: object) -> str:
    """A count in the unit that reads best."""
    found = number(value)
    return MISSING if found is None else compact(found)


def time(value: object) -> str:
    """Seconds in the unit that reads best."""
    found = number(value)
    return MISSING if found is None else duration(found)


def milliseconds(value: object) -> str:
    """A latency in seconds, as milliseconds."""
    found = number(value)
    return MISSING if found is None else f"{1000 * found:,.3g} ms"


NO_SEARCH = 0.01
"""Seconds below which nothing was searched: a single epoch of any network takes longer."""


def search_time(value: object) -> str:
    """Seconds of a search; "none" for what was not searched."""
    found = number(value)
    return "none" if found is not None and found < NO_SEARCH else time(found)


def plain(value: object, digits: int = 3) -> str:
    """Any number, with so many significant digits."""
    found = number(value)
    return MISSING if found is None else f"{found:.{digits}g}"


def mean(values: Sequence[float]) -> float | None:
    """Their mean; None without any."""
    return sum(values) / len(values) if values else None


def deviation(values: Sequence[float]) -> float | None:
    """Sample standard deviation; None for fewer than two."""
    if len(values) < 2:
        return None
    middle = sum(values) / len(values)
    return math.sqrt(sum((value - middle) ** 2 for value in values) / (len(values) - 1))
