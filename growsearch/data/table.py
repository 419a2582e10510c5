"""Tables of text: read whole, and each column told apart into numbers, dates and categories.

pandas is imported where a table is read, and nowhere else.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TextIO

import numpy as np

from growsearch.errors import UserError
from growsearch.format import counted
from growsearch.memory import require_memory
from growsearch.untrusted import parsing, require_plain

if TYPE_CHECKING:
    import pandas as pd

BYTES_A_BYTE = 25
"""Memory that cells take, for each byte of their file: two letters and a comma are an object of fifty bytes."""

MOST_COLUMNS = 50_000
LARGEST = 1e30
"""Columns of a table, and the largest number in it, of either sign: its square still is a float32's neighbour."""

OTHER_FILES = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "a zip file, as spreadsheets are",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"\x1f\x8b": "compressed (gzip)",
    b"\x89HDF": "an HDF5 file",
}
"""What files that are no text begin with."""

DELIMITERS = ",;\t|"
_STATISTICS = ("", "?", "-", "--", ".", "na", "n/a", "n.a.", "nan", "-nan", "nat", "null", "nil", "none", "<na>")
_SPREADSHEETS = ("#n/a", "#n/a n/a", "#na", "#null!", "#value!", "#div/0!", "#ref!", "#num!", "#name?")
MISSING = frozenset((*_STATISTICS, *_SPREADSHEETS, "1.#ind", "1.#qnan"))
"""Cells, in lower case, that say that a value is not known: the words of pandas, spreadsheets and statistics."""

UNKNOWN_TARGETS = ("", "?")
"""The same for a target of words, where None or NA may well be the name of a class."""

NUMERIC_SHARE = 0.9
"""A column is one of numbers if so many of its known cells are; the others then count as missing."""

_PLAIN = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_SEPARATORS = "'\u2019 \u00a0\u202f"
_GROUPS = f"[{{0}}{_SEPARATORS}]"
STYLES = {
    "plain": _PLAIN,
    "thousands": rf"[+-]?[1-9]\d{{0,2}}(?:{_GROUPS.format(',')}\d{{3}})+(?:\.\d*)?|{_PLAIN}",
    "decimal comma": rf"[+-]?(?:[1-9]\d{{0,2}}(?:{_GROUPS.format('.')}\d{{3}})+(?:,\d+)?|\d*,\d+|\d+)(?:[eE][+-]?\d+)?",
}
"""Ways to write a number, by what a whole cell looks like; each may end in a percent sign throughout a column."""

KEPT = {
    "plain": ("", "", " %"),
    "thousands": ("", "", f"{_SEPARATORS},%"),
    "decimal comma": (",", ".", f"{_SEPARATORS}.%"),
}
"""Letters of a cell of each style to replace, by what, and to leave out, for Python to read it."""

_NO_YEAR = r"0+(?:\D.*)?"
"""A date without a year, which is none: spreadsheets and databases write it for a missing one."""

MOST_TRIED = 1000
"""Cells, evenly spaced, on which the format of dates is looked for."""

_DAYS = ("%m/%d/%Y", "%d/%m/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%d.%m.%y", "%d %b %Y", "%d-%b-%Y", "%b %d, %Y")
DATES = ("ISO8601", *(day + time for day in _DAYS for time in ("", " %H:%M", " %H:%M:%S")))
"""Ways to write a date, in the order in which they are tried."""


class Style(NamedTuple):
    """Style in which the cells of a column are numbers.

    Attributes:
        name: one of ``STYLES``, with `` %`` where cells end in a percent sign, or a date's format.
        share: part of the known cells that it reads.
    """

    name: str
    share: float


def read_table(file: Path, names: Sequence[str] = ()) -> pd.DataFrame:
    """Read a text table with a header; the delimiter is the one of comma, semicolon, tab and bar in the header.

    Args:
        file: the table.
        names: of the columns of a file that has no header, as those of the UCI repository: separated by commas, lines
            with a bar first are remarks, and a full stop may end a line. A file with one of the names in its first
            line has a header.

    Returns:
        Cells as text, without spaces around them.

    Raises:
        UserError: if it is not text, has no rows, or rows of another length than the header.
    """
    import pandas as pd

    require_memory(BYTES_A_BYTE * require_plain(file), str(file), "use a smaller table")
    with file.open("rb") as handle:
        start = handle.read(4)
    if kind := next((kind for sign, kind in OTHER_FILES.items() if start.startswith(sign)), ""):
        raise UserError(f"{file}: it is {kind}; write the table as a text file (csv)")
    what = "not readable as a table; use UTF-8 text with a header"
    with parsing(file, what), file.open(newline="", encoding="utf-8-sig") as handle:
        header = handle.readline()
        handle.seek(0)
        bare = bool(names) and not any(name in header for name in names)
        delimiter = "," if bare else _delimiter(handle)
        lines = (line.rstrip().removesuffix(".") for line in handle if line[0] != "|") if bare else handle
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter) if row]
        rows = [list(names), *rows] if bare else rows
    if len(rows) < 2:
        raise UserError(f"{file}: it has {counted(len(rows), 'row')}; it needs a header and at least one row")
    columns = rows[0]
    if len(columns) > MOST_COLUMNS:
        raise UserError(f"{file}: it has {len(columns):,} columns; use at most {MOST_COLUMNS:,}")
    twice = next((name for name, count in Counter(columns).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{file}: two columns are named {twice!r}; use a header with different names")
    for number, row in enumerate(rows[1:], start=2):  # pandas would fill a short row up without a word
        if len(row) != len(columns):
            raise UserError(
                f"{file}, row {number}: it has {counted(len(row), 'cell')}, the header {len(columns)};"
                " use as many in every row"
            )
    return pd.DataFrame(rows[1:], columns=columns, dtype=object)


def _delimiter(handle: TextIO) -> str:
    """Delimiter that gives the header most cells (names in quotes may hold others); the file ends at its beginning."""
    counts = dict.fromkeys(DELIMITERS, 0)
    for mark in DELIMITERS:
        with suppress(csv.Error):  # a header without this mark may be too long for one cell
            counts[mark] = len(next(csv.reader(handle, delimiter=mark), []))
        handle.seek(0)
    return max(DELIMITERS, key=counts.__getitem__)


def is_missing(cells: pd.Series) -> pd.Series:
    """Mask of the cells whose value is missing."""
    import pandas as pd

    return pd.Series([cell.lower() in MISSING for cell in cells], index=cells.index, dtype=bool)


def as_numbers(cells: pd.Series, style: str) -> pd.Series:
    """Cells as float64: a date is its days since 1970, a percentage what stands before the sign.

    Returns:
        NaN for cells that are missing, not written in this style, or beyond ``LARGEST``.
    """
    import pandas as pd

    if style in DATES:
        cells = cells.where(~cells.str.fullmatch(_NO_YEAR), "")
        dates = pd.to_datetime(cells, format=style, errors="coerce", utc=True)
        return (dates - pd.Timestamp("1970-01-01", tz="UTC").as_unit("s")) / pd.Timedelta(days=1)
    return pd.Series(np.fromiter(map(number_reader(style), cells), np.float64, len(cells)), index=cells.index)


def number_reader(style: str) -> Callable[[str], float]:
    """Reader of a cell of a style other than a date's as a number; NaN where it is none."""
    name = style.removesuffix(" %")
    pattern = re.compile(STYLES[name] if name == style else rf"(?:{STYLES[name]})\s*%", re.ASCII)
    kept = str.maketrans(*KEPT[name])

    def read(cell: str) -> float:
        value = float(cell.translate(kept)) if pattern.fullmatch(cell) else math.nan
        return value if abs(value) <= LARGEST else math.nan

    return read


def is_too_large(cell: str) -> bool:
    """Whether a cell is a number beyond ``LARGEST``, which counts as missing."""
    return any(
        re.fullmatch(pattern, cell, re.ASCII) and math.isnan(number_reader(style)(cell))
        for style, pattern in STYLES.items()
    )


def number_style(cells: pd.Series, comma_first: bool = False) -> Style | None:
    """Style in which the known cells of a column are numbers or dates; None if they are words.

    Args:
        cells: of one column.
        comma_first: where several styles read as many cells, prefer decimal commas (another column has them).
    """
    known = cells[~is_missing(cells)]
    if known.empty:
        return None
    sign = " %" if known.str.endswith("%").mean() >= NUMERIC_SHARE else ""
    order = ("decimal comma", "plain", "thousands") if comma_first else tuple(STYLES)
    best = _best(known, [name + sign for name in order])
    if best.share < NUMERIC_SHARE and known.str.contains(r"\d", regex=True).mean() >= NUMERIC_SHARE:
        some = _best(known.iloc[:: max(1, len(known) // MOST_TRIED)], DATES)
        best = _best(known, [some.name])
    return best if best.share >= NUMERIC_SHARE else None


def number_styles(table: pd.DataFrame) -> dict[str, Style | None]:
    """:func:`number_style` of every column, which may tell each other how a comma is meant: is 1,234 a thousand?"""
    styles = {name: number_style(table[name]) for name in table.columns}
    if any(style is not None and style.name.startswith("decimal comma") for style in styles.values()):
        return {name: number_style(table[name], comma_first=True) for name in table.columns}
    return styles


def _best(known: pd.Series, names: tuple[str, ...] | list[str]) -> Style:
    best = Style(names[0], -1.0)
    for name in names:
        share = float(as_numbers(known, name).notna().mean())
        if share > best.share:
            best = Style(name, share)
        if share == 1.0:
            break
    return best


FEWEST_ROWS = 10
"""Rows of a table that may have an index."""

_INDEX_WORDS = frozenset(
    ("id", "ids", "index", "idx", "row", "rows", "rownum", "rowid", "rownames", "no", "nr", "num", "number", "key")
)


def is_index(name: str, cells: pd.Series) -> bool:
    """Whether a column only numbers its rows: whole numbers, all different, under no name or one for that.

    pandas writes a frame's index under no name and reads it as ``Unnamed: 0``.
    """
    if len(cells) < FEWEST_ROWS or not cells.str.fullmatch(r"\d{1,18}").all() or cells.nunique() < len(cells):
        return False
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)
    return name.strip("# ") == "" or name.startswith("Unnamed:") or bool({w.lower() for w in words} & _INDEX_WORDS)
