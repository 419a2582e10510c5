"""The user's own table: a named target, numeric and categorical columns, shown to networks as squares."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.raw import Raw
from growsearch.data.root import user_path
from growsearch.data.table import LARGEST, Table, as_numbers, is_missing, one_hot, read_table, squares
from growsearch.errors import UserError
from growsearch.memory import require_memory

COPIES = 4
"""Columns are encoded, joined, laid out and scaled."""

MOST_CATEGORIES = 100
"""A text column with more different values (names, identifiers) is left out, and a note says so."""


class Column(NamedTuple):
    """How one column is encoded: by its mean for missing numbers, or by its categories."""

    name: str
    mean: float
    categories: list[str] | None

    @property
    def width(self) -> int:
        """Places it takes."""
        return 1 if self.categories is None else len(self.categories)


def read(config: DataConfig) -> Raw:
    """Read ``data.path``, and ``data.test_path`` where given.

    Numbers are scaled to 0..1 by the training rows (:func:`growsearch.data.load.load` does), missing
    ones are the column's mean; categories become one column each, missing ones none of them.
    """
    file = user_path(config)
    table, target, notes = _labelled(read_table(file), config.target, file)
    dropped = set(config.drop or [])
    unknown = sorted(dropped - set(table.columns))
    if unknown:
        raise UserError(f"data.drop: column {unknown[0]!r} found, one of {', '.join(table.columns)} expected")
    classes = _classes(table.column(target), target)
    columns = _columns(table, dropped | {target}, notes)
    if not columns:
        raise UserError(f"{file}: no columns to learn from found beside {target!r}, at least one expected")
    pool = _split(table, target, columns, classes, file)
    test = None
    if config.test_path is not None:
        test_file = Path(config.test_path).expanduser()
        if not test_file.is_file():
            raise UserError(f"data.test_path: {config.test_path!r} is not a file, a table expected")
        test_table, _, test_notes = _labelled(read_table(test_file), target, test_file)
        test = _split(test_table, target, columns, classes, test_file)
        notes += test_notes
    side = pool.images.shape[-1]
    notes.append(
        f"A table of {sum(column.width for column in columns)} encoded columns is shown as a zero-padded square of"
        f" {side}x{side} in column order: that cells are neighbours means nothing."
    )
    return Raw(pool, test, tuple(classes), table=True, notes=tuple(notes))


def _labelled(table: Table, target: str | None, file: Path) -> tuple[Table, str, list[str]]:
    """The rows whose target is known, the target, and a note on the others."""
    if target is None or target not in table.columns:
        shown = ", ".join(table.columns[:20]) + (", ..." if len(table.columns) > 20 else "")
        raise UserError(f"data.target: {target!r} found, a column of {file} expected: {shown}")
    index = table.columns.index(target)
    known = [row for row in table.rows if not is_missing(row[index])]
    if not known:
        raise UserError(f"{file}: no rows with a value of {target!r} found, at least one expected")
    left_out = len(table.rows) - len(known)
    notes = [f"{left_out} rows of {file.name} without a value of {target!r} were left out."] if left_out else []
    return Table(table.columns, known), target, notes


def _classes(cells: list[str], target: str) -> list[str]:
    """Values of the target, in ascending order (as numbers if all are)."""
    values = sorted(set(cells))
    if len(values) * 2 > len(cells):
        raise UserError(f"data.target: {target!r} has {len(values)} values in {len(cells)} rows, classes expected")
    numbers = as_numbers(values)
    return values if numbers is None else [value for _, value in sorted(zip(numbers, values, strict=True))]


def _columns(table: Table, left_out: set[str], notes: list[str]) -> list[Column]:
    columns = []
    for index, name in enumerate(table.columns):
        if name in left_out:
            continue
        cells = [row[index] for row in table.rows]
        numbers = as_numbers(cells)
        if numbers is not None:
            known = [value for value in numbers if not math.isnan(value)]
            columns.append(Column(name, math.fsum(known) / len(known), None))
            continue
        categories = sorted({cell for cell in cells if not is_missing(cell)})
        if 0 < len(categories) <= MOST_CATEGORIES:
            columns.append(Column(name, 0.0, categories))
        else:
            notes.append(f"Column {name!r} was left out: text with {len(categories)} different values.")
    return columns


def _split(table: Table, target: str, columns: list[Column], classes: list[str], file: Path) -> Split:
    place = {name: label for label, name in enumerate(classes)}
    labels = []
    for cell in table.column(target):
        if cell not in place:
            raise UserError(f"{file}: {target} {cell!r} found, one of {', '.join(classes[:20])} expected")
        labels.append(place[cell])
    place_of = {name: index for index, name in enumerate(table.columns)}
    missing = [column.name for column in columns if column.name not in place_of]
    if missing:
        raise UserError(f"{file}: no column {missing[0]!r} found, the columns of data.path expected")
    width = sum(column.width for column in columns)
    require_memory(
        COPIES * 4 * len(labels) * width, f"{file}: {width:,} encoded columns", "fewer rows or columns expected"
    )
    features = torch.cat([_encode([row[place_of[c.name]] for row in table.rows], c, file) for c in columns], dim=1)
    return Split(squares(features), torch.tensor(labels, dtype=torch.int64))


def _encode(cells: list[str], column: Column, file: Path) -> Tensor:
    """[rows, width] float32."""
    if column.categories is not None:
        return one_hot(cells, column.categories)
    values = []
    for cell in cells:
        try:
            values.append(column.mean if is_missing(cell) else float(cell))
        except ValueError as error:
            raise UserError(f"{file}: {column.name} {cell[:40]!r} found, a number expected") from error
        if not abs(values[-1]) <= LARGEST:
            raise UserError(f"{file}: {column.name} {cell[:40]!r} found, a number of at most {LARGEST:g} expected")
    return torch.tensor(values, dtype=torch.float64).float()[:, None]
