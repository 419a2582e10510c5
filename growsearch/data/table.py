"""Tables of text: read, told apart into numbers and categories, and laid out as squares."""

from __future__ import annotations

import csv
import math
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from growsearch.errors import UserError
from growsearch.memory import require_memory
from growsearch.untrusted import parsing, require_plain

BYTES_A_BYTE = 25
"""Memory that cells take, for each byte of their file: two letters and a comma are an object of fifty bytes."""

MOST_COLUMNS = 50_000
LARGEST = 1e30
"""Columns of a table, and the largest number in it, of either sign: its square still is a float32's neighbour."""

MISSING = frozenset(("", "?", "na", "n/a", "nan", "null", "none"))
DELIMITERS = ",;\t|"


class Table(NamedTuple):
    """Column names and rows of as many cells."""

    columns: list[str]
    rows: list[list[str]]

    def column(self, name: str) -> list[str]:
        """The cells of one column."""
        index = self.columns.index(name)
        return [row[index] for row in self.rows]


def read_table(file: Path) -> Table:
    """Read a text table with a header; the delimiter is the one of comma, semicolon, tab and bar in the header.

    Raises:
        UserError: if it is not text, has no rows, or rows of another length than the header.
    """
    require_memory(BYTES_A_BYTE * require_plain(file), str(file), "a smaller table expected")
    what = "not readable as a table, UTF-8 text with a header expected"
    with parsing(file, what), file.open(newline="", encoding="utf-8-sig") as handle:
        header = handle.readline()
        handle.seek(0)
        delimiter = max(DELIMITERS, key=header.count)
        rows = [[cell.strip() for cell in row] for row in csv.reader(handle, delimiter=delimiter) if row]
    if len(rows) < 2:
        raise UserError(f"{file}: {len(rows)} rows found, a header and at least one row expected")
    columns = rows[0]
    if len(columns) > MOST_COLUMNS:
        raise UserError(f"{file}: {len(columns):,} columns found, at most {MOST_COLUMNS:,} expected")
    twice = next((name for name, count in Counter(columns).items() if count > 1), None)
    if twice is not None:
        raise UserError(f"{file}: two columns named {twice!r} found, a header with different names expected")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(columns):
            raise UserError(f"{file}, row {number}: {len(row)} cells found, {len(columns)} as in the header expected")
    return Table(columns, rows[1:])


def is_missing(cell: str) -> bool:
    """Whether a cell says that its value is not known."""
    return cell.lower() in MISSING


def as_numbers(cells: list[str]) -> list[float] | None:
    """Values of a numeric column, NaN where missing; None if a cell is no finite number or none is there."""
    values = []
    for cell in cells:
        try:
            values.append(math.nan if is_missing(cell) else float(cell))
        except ValueError:
            return None
        if abs(values[-1]) > LARGEST:
            return None
    return None if all(math.isnan(value) for value in values) else values


def one_hot(cells: list[str], categories: list[str]) -> Tensor:
    """[rows, categories] float32; a cell that is none of them is all zeros."""
    place = {name: index for index, name in enumerate(categories)}
    indices = torch.tensor([place.get(cell, -1) for cell in cells])
    return (indices[:, None] == torch.arange(len(categories))).float()


def squares(features: Tensor, order: Tensor | None = None) -> Tensor:
    """Lay [N, F] out as [N, 1, S, S] row by row, zero-padded to the next square.

    Args:
        features: one row per sample.
        order: [F] column to show at each place; the columns' own order if None.
    """
    if order is not None:
        features = features[:, order]
    count, width = features.shape
    side = math.isqrt(width - 1) + 1 if width else 1
    padded = torch.zeros(count, side * side, dtype=torch.float32)
    padded[:, :width] = features
    return padded.view(count, 1, side, side)
