"""Numbers as people read them."""

from collections.abc import Sequence


def compact(number: float) -> str:
    """48123 as 48.1k."""
    for limit, unit in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(number) >= limit:
            return f"{number / limit:.3g}{unit}" if abs(number) >= 100 * limit else f"{number / limit:.1f}{unit}"
    return f"{number:.0f}"


def duration(seconds: float) -> str:
    """Seconds in the unit that reads best."""
    for limit, unit in ((86400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 1.5 * limit:
            return f"{seconds / limit:.1f} {unit}"
    if seconds == 0:
        return "0 s"
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"


def counted(number: int, noun: str) -> str:
    """A number of things: 1 epoch, 2 epochs."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def agreeing(number: int, one: str, several: str) -> str:
    """A number and the words behind it: 1 picture is, 2 pictures are."""
    return f"{number} {one if number == 1 else several}"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of a table of texts, its columns as wide as their longest text."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
