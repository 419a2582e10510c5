"""The user's own table: a named target, numeric and categorical columns, shown to networks as squares."""

from __future__ import annotations

import math
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.raw import Raw
from growsearch.data.root import user_path
from growsearch.data.table import (
    DATES,
    FEWEST_ROWS,
    LARGEST,
    MISSING,
    UNKNOWN_TARGETS,
    Style,
    as_numbers,
    is_index,
    is_missing,
    is_too_large,
    number_reader,
    number_style,
    number_styles,
    read_table,
)
from growsearch.data.table_encoder import TableEncoder, TableSplit
from growsearch.errors import UserError
from growsearch.format import agreeing
from growsearch.text import one_line

if TYPE_CHECKING:
    import pandas as pd

MOST_CATEGORIES = 100
"""A column of words with more different values (names, identifiers) is left out, and a note says so."""

FEW_CATEGORIES = 10
"""Of a column whose cells hold numbers; a note says so of more, as the numbers may be meant as quantities."""

_NUMBER = r"[^\w\s]?\s?\(?[+-]?\d[\d.,]*\)?\s?[^\d\s]{0,4}"
"""A number, perhaps in brackets, with a currency or a unit."""

_THOUSAND = r"[+-]?[1-9]\d{0,2}\.\d{3}"
"""What may be one and a bit or, in other countries, more than a thousand."""

_LONG = r"[+-]?\d{16,}"
"""A whole number that may have more digits than a float."""

MOST_NUMERIC_CLASSES = 50
"""A target of more different whole numbers is taken for a quantity."""


def read(config: DataConfig) -> Raw:
    """Read ``data.path``, and ``data.test_path`` where given.

    Numbers and dates are scaled to 0..1, missing ones are the column's mean; categories become one column
    each, missing ones none of them. All of this is learned from the training rows, once they are known.
    """
    file = user_path(config)
    table, target, notes = _labelled(read_table(file), config.target, file)
    dropped = set(config.drop or [])
    unknown = sorted(dropped - set(table.columns))
    if unknown:
        raise UserError(f"data.drop: column {unknown[0]!r} is not in the table; use one of {', '.join(table.columns)}")
    classes = _classes(table[target], target, file, notes)
    styles = _styles(table.drop(columns=[*dropped, target]), notes)
    if not styles:
        why = f" ({one_line(' '.join(notes))})" if notes else ""
        raise UserError(f"{file}: there are no columns to learn from beside {target!r}; it needs at least one{why}")
    test = None
    if config.test_path is not None:
        test_file = Path(config.test_path).expanduser()
        if not test_file.is_file():
            raise UserError(f"data.test_path: {config.test_path!r} is not a file; use a table")
        test_table, _, test_notes = _labelled(read_table(test_file), target, test_file)
        test = _split(test_table, target, styles, classes, test_file)
        notes += test_notes
    pool = _split(table, target, styles, classes, file)

    def encoder(train: Split) -> TableEncoder:
        assert isinstance(train, TableSplit)
        return TableEncoder.fit(train.rows, styles, target)

    return Raw(pool, test, tuple(classes), table=True, encoder=encoder, notes=tuple(notes))


def _labelled(table: pd.DataFrame, target: str | None, file: Path) -> tuple[pd.DataFrame, str, list[str]]:
    """The rows whose target is known, the target, and a note on the others."""
    if target is None or target not in table.columns:
        shown = ", ".join(table.columns[:20]) + (", ..." if len(table.columns) > 20 else "")
        raise UserError(f"data.target: {target!r} is not accepted; use a column of {file}: {shown}")
    style = number_style(table[target])
    known = ~(is_missing(table[target]) if style is not None else table[target].isin(UNKNOWN_TARGETS))
    if not known.any():
        raise UserError(f"{file}: no row has a value of {target!r}; it needs at least one")
    left_out = int((~known).sum())
    rows = agreeing(left_out, f"row of {file.name} was", f"rows of {file.name} were")
    notes = [f"{rows} left out, without a value of {target!r}."] if left_out else []
    return table[known].reset_index(drop=True), target, notes


def _classes(cells: pd.Series, target: str, file: Path, notes: list[str]) -> list[str]:
    """Values of the target, in ascending order (as numbers if all are).

    Raises:
        UserError: if they are quantities, or too many to be classes.
    """
    import pandas as pd

    values, style = sorted(cells.unique()), number_style(cells)
    if style is not None:
        numbers = as_numbers(cells, style.name)
        if style.name in DATES or (numbers.dropna() % 1 != 0).any() or numbers.nunique() > MOST_NUMERIC_CLASSES:
            raise UserError(
                f"data.target: {target!r} of {file} holds {'dates' if style.name in DATES else 'quantities'}"
                f" ({len(values)} different, such as {cells.iloc[0][:40]}): this is regression, and only classes can be"
                " learned; write numbers that are names of classes as words, or choose another target"
            )
        if style.share == 1.0:
            values = [values[index] for index in as_numbers(pd.Series(values, dtype=object), style.name).argsort()]
    if len(values) * 2 > len(cells):
        raise UserError(
            f"data.target: {target!r} has {len(values)} values in {len(cells)} rows; use a column of classes"
        )
    alike: dict[Any, list[str]] = {}
    for value in values:
        alike.setdefault(_meaning(value, style), []).append(value)
    if twins := next((each for each in alike.values() if len(each) > 1), None):
        notes.append(
            f"{', '.join(map(repr, twins))} count as different classes of {target!r}; write them alike if they are one."
        )
    if words := [repr(value) for value in values if value.lower() in MISSING]:
        notes.append(f"{', '.join(words)} counts as a class of {target!r}; rows without a target have an empty cell.")
    return values


def _meaning(value: str, style: Style | None) -> Any:
    """The number of a class whose name is one that a float holds, else its name without the difference of capitals."""
    number = math.nan if style is None else number_reader(style.name)(value)
    return unicodedata.normalize("NFKC", value).casefold() if not abs(number) < 2**53 else number


def _styles(table: pd.DataFrame, notes: list[str]) -> dict[str, str | None]:
    """Number style of each column to learn from (None for categories), with notes on what is not plain."""
    styles: dict[str, str | None] = {}
    for name, style in number_styles(table).items():
        cells = table[name]
        if is_index(name, cells):
            notes.append(f"Column {name!r} was left out: it only numbers the rows.")
        elif style is not None:
            styles[name] = style.name
            notes += _style_notes(name, cells, style)
        elif (left_out := _words(name, cells[~is_missing(cells)], notes)) is None:
            styles[name] = None
        else:
            notes.append(f"Column {name!r} was left out: {left_out}.")
    return styles


def _words(name: str, known: pd.Series, notes: list[str]) -> str | None:
    """Reason why the known cells of a column are no categories; None if they are, with a note if they hold numbers."""
    if known.empty:
        return "it has no values"
    count = known.nunique()
    large, numbers = known[known.map(is_too_large).astype(bool)], known[known.str.fullmatch(_NUMBER)]
    if 2 * len(large) >= len(known):
        return f"numbers beyond {LARGEST:.0e}, such as {large.iloc[0][:40]!r}; write them in another unit"
    if count > MOST_CATEGORIES or len(known) == count >= FEWEST_ROWS:
        advice = "; write numbers alone if they are quantities" if len(numbers) * 2 >= len(known) else ""
        return f"text with {count} different values, such as {known.iloc[0][:40]!r}{advice}"
    if count > FEW_CATEGORIES and len(numbers) * 2 >= len(known):
        notes.append(
            f"Column {name!r} was read as {count} categories, though cells such as {numbers.iloc[0]!r} hold numbers;"
            " write the numbers alone if they are quantities."
        )
    return None


def _style_notes(name: str, cells: pd.Series, style: Style) -> list[str]:
    notes = []
    if style.name in DATES:
        notes.append(f"Column {name!r} holds dates ({style.name}), read as days since 1970.")
    elif style.name.startswith("decimal comma") and cells.str.contains(",").any():
        notes.append(f"Column {name!r} was read with decimal commas: 1,5 is one and a half.")
    elif style.name.startswith("thousands"):
        notes.append(f"Column {name!r} was read with thousands separators: 1,234 is more than a thousand.")
    long = cells[cells.str.fullmatch(_LONG)]
    if (told := as_numbers(long, style.name).nunique()) < (count := long.nunique()):
        notes.append(
            f"Column {name!r} holds whole numbers of more than 15 digits, such as {long.iloc[0][:40]!r}: of {count}"
            f" different ones {told} can be told apart; write them shorter, or as words."
        )
    points = cells[cells.str.contains(".", regex=False)]
    if style.name == "plain" and len(points) and points.str.fullmatch(_THOUSAND).all():
        notes.append(f"Column {name!r} was read with decimal points: {points.iloc[0]} is less than a thousand.")
    if style.name.endswith(" %") and style.name not in DATES:
        notes.append(f"Column {name!r} holds percentages, read as what stands before the sign.")
    if style.name == "plain" and len(cells) >= 10 and as_numbers(cells, style.name).diff().iloc[1:].eq(1).all():
        notes.append(f"Column {name!r} counts the rows; if it means nothing leave it out with data.drop=[{name}].")
    return notes


def _split(
    table: pd.DataFrame, target: str, styles: dict[str, str | None], classes: list[str], file: Path
) -> TableSplit:
    labels = table[target].map({name: label for label, name in enumerate(classes)})
    if labels.isna().any():
        cell = table[target][labels.isna()].iloc[0]
        raise UserError(
            f"{file}: {target} {cell!r} is not a class of the training table; use one of {', '.join(classes[:20])}"
        )
    if absent := [name for name in styles if name not in table.columns]:
        raise UserError(f"{file}: it has no column {absent[0]!r}; use the columns of data.path")
    return TableSplit(table[list(styles)], torch.tensor(labels.astype("int64").to_numpy()))
