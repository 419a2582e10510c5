"""Rows of a table as squares of numbers in 0..1: fitted on training rows, kept as plain JSON, applied to any rows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from growsearch.data.dataset import Split
from growsearch.data.table import DATES, LARGEST, MISSING, MOST_COLUMNS, STYLES, as_numbers, is_missing, is_too_large
from growsearch.errors import UserError
from growsearch.memory import require_memory
from growsearch.text import one_line

if TYPE_CHECKING:
    import pandas as pd
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

COPIES = 4
"""Columns are encoded, joined, laid out and scaled."""

SMALLEST_SPREAD = 10 * 2.0**-52
"""Of a column's numbers: scikit-learn takes a smaller one for none and leaves the numbers as they are."""

SHOWN = 10
"""Columns that a note names."""


@dataclass(frozen=True)
class NumberColumn:
    """A column of numbers or dates.

    Attributes:
        name: in the header.
        style: how cells are read, see :func:`~growsearch.data.table.as_numbers`.
        mean: of the known cells of the training rows; stands for cells that are missing or no numbers.
        least: of the training rows; becomes 0, as do smaller values.
        greatest: of the training rows; becomes 1, as do greater values.
    """

    name: str
    style: str
    mean: float
    least: float
    greatest: float


@dataclass(frozen=True)
class CategoryColumn:
    """A column of words, which becomes one column of 0 and 1 for each category.

    Attributes:
        name: in the header.
        categories: values of the training rows, ascending; a cell that is missing or none of them is all zeros.
    """

    name: str
    categories: tuple[str, ...]


Column = NumberColumn | CategoryColumn


class Encoded(NamedTuple):
    """Encoded rows.

    Attributes:
        images: [N, 1, S, S] float32 in 0..1, columns row by row, zero-padded to a square.
        missing: by column, cells without a value.
        unread: by column, cells that are no numbers of the column's style, and the first of them.
        unknown: by column, cells whose category no training row has, and the first of them.
    """

    images: Tensor
    missing: dict[str, int]
    unread: dict[str, tuple[int, str]]
    unknown: dict[str, tuple[int, str]]

    def notes(self, where: str) -> list[str]:
        """One sentence each on missing values and unknown categories, and how they were encoded.

        Args:
            where: what the rows are, to begin the sentences with.
        """
        found = []
        if self.missing:
            listed = _listed([f"{name!r} {count}" for name, count in self.missing.items()])
            found.append(
                f"{where}: missing values became the column's mean in the training rows, or none of its categories:"
                f" {listed}."
            )
        beyond = f", or beyond {LARGEST:.0e}," if any(is_too_large(cell) for _, cell in self.unread.values()) else ""
        for cells, said in (
            (self.unread, f"cells that are no numbers{beyond} count as missing"),
            (self.unknown, "categories that the network does not know became none of the known ones"),
        ):
            if cells:
                listed = _listed([f"{name!r} {count} ({first[:40]!r})" for name, (count, first) in cells.items()])
                found.append(f"{where}: {said}: {listed}.")
        return found


@dataclass(frozen=True)
class TableEncoder:
    """Encoder of rows as squares, with everything it learned from the training rows.

    Attributes:
        columns: in the order in which they are shown; columns of the table that are not named are left out.
        target: column of the classes, for tables that have it.
        places: encoded column shown at each place of the square, -1 for one that stays zero; None for the columns' own
            order.
        header: names of all columns of files that have no header; empty where files have one.
    """

    columns: tuple[Column, ...]
    target: str
    places: tuple[int, ...] | None = None
    header: tuple[str, ...] = ()

    @classmethod
    def fit(cls, rows: pd.DataFrame, styles: dict[str, str | None], target: str) -> TableEncoder:
        """Learn means, ranges and categories with scikit-learn.

        Args:
            rows: the training rows.
            styles: by column to be used, how its cells are numbers; None for categories.
            target: see the class.

        Raises:
            UserError: if no column has a value.
        """
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

        columns: list[Column] = []
        numbers = {
            name: as_numbers(rows[name], style).to_numpy() for name, style in styles.items() if style is not None
        }
        if numbers:
            values = np.stack(list(numbers.values()), axis=1)
            imputer = SimpleImputer(keep_empty_features=True).fit(values)
            scaler = MinMaxScaler().fit(imputer.transform(values))
            learned = dict(
                zip(numbers, zip(imputer.statistics_, scaler.data_min_, scaler.data_max_, strict=True), strict=True)
            )
        for name, style in styles.items():
            if style is not None:
                columns.append(NumberColumn(name, style, *map(float, learned[name])))
            elif not (known := rows[[name]][~is_missing(rows[name])]).empty:
                categories = OneHotEncoder().fit(known.to_numpy()).categories_[0]
                columns.append(CategoryColumn(name, tuple(map(str, categories))))
        if not columns:
            raise UserError(f"data: the training rows have no value in any column beside {target!r}; they need one")
        return cls(tuple(columns), target)

    @property
    def width(self) -> int:
        """Encoded columns."""
        return sum(len(c.categories) if isinstance(c, CategoryColumn) else 1 for c in self.columns)

    @property
    def side(self) -> int:
        """Of the square."""
        return math.isqrt((self.width if self.places is None else len(self.places)) - 1) + 1

    def encoders(self) -> tuple[SimpleImputer | None, MinMaxScaler | None, OneHotEncoder | None]:
        """The encoders of scikit-learn: the first two for all numbers (NaN where missing), the last for all words.

        Each is fitted to rows that stand for the training rows, so that what it computes follows from the plain
        numbers and words kept here. None where there are no such columns.
        """
        from sklearn.impute import SimpleImputer
        from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

        imputer = scaler = one_hot = None
        if numbers := [column for column in self.columns if isinstance(column, NumberColumn)]:
            imputer = SimpleImputer(keep_empty_features=True).fit([[column.mean for column in numbers]])
            ranges = [[column.least for column in numbers], [column.greatest for column in numbers]]
            scaler = MinMaxScaler(clip=True).fit(ranges)
        if words := [list(column.categories) for column in self.columns if isinstance(column, CategoryColumn)]:
            one_hot = OneHotEncoder(categories=words, handle_unknown="ignore", sparse_output=False)
            one_hot.fit(np.array([[categories[0] for categories in words]], dtype=object))
        return imputer, scaler, one_hot

    def __call__(self, rows: pd.DataFrame, where: str) -> Encoded:
        """Encode rows.

        Args:
            rows: cells as text, with at least the encoder's columns.
            where: what they are, for messages.

        Raises:
            UserError: if a column is not there, or they do not fit in memory.
        """
        if absent := [column.name for column in self.columns if column.name not in rows.columns]:
            raise UserError(
                f"{where}: it has no column {absent[0]!r}; use the columns of the training table:"
                f" {_listed([column.name for column in self.columns])}"
            )
        needed = COPIES * 8 * len(rows) * self.width
        require_memory(needed, f"{where}: {self.width:,} encoded columns", "use fewer rows or columns")
        missing, unread, unknown = dict[str, int](), dict[str, tuple[int, str]](), dict[str, tuple[int, str]]()
        numbers, words = list[np.ndarray](), list[np.ndarray]()
        for column in self.columns:
            cells = rows[column.name].reset_index(drop=True)
            empty = is_missing(cells)
            if isinstance(column, CategoryColumn):
                words.append(cells.to_numpy(dtype=object))
                odd, told = ~cells.isin(column.categories) & ~empty, unknown
            else:
                numbers.append((values := as_numbers(cells, column.style)).to_numpy())
                odd, told = values.isna() & ~empty, unread
            if empty.any():
                missing[column.name] = int(empty.sum())
            if odd.any():
                told[column.name] = int(odd.sum()), str(cells[odd].iloc[0])
        return Encoded(self.encode(numbers, words), missing, unread, unknown)

    def require_same_style(self, encoded: Encoded, where: str) -> None:
        """Refuse new rows most of whose numbers and dates count as missing, as they are written in another way.

        Args:
            encoded: what this encoder made of them.
            where: what they are, for the message.

        Raises:
            UserError: naming a cell.
        """
        styles = {column.name: column.style for column in self.columns if isinstance(column, NumberColumn)}
        lost = sum(count for count, _ in encoded.unread.values())
        known = len(encoded.images) * len(styles) - sum(encoded.missing.get(name, 0) for name in styles)
        if 2 * lost > known:
            name, (_, cell) = max(encoded.unread.items(), key=lambda item: item[1][0])
            raise UserError(
                f"{where}: {lost} of {known} cells of numbers and dates are written in another way than in the"
                f" training table, such as {cell[:40]!r} in {name!r} ({styles[name]!r} there); write them as there"
            )

    def encode(self, numbers: Sequence[np.ndarray], words: Sequence[np.ndarray]) -> Tensor:
        """Encode values.

        Args:
            numbers: [N] float64 of each column of numbers in order, NaN where there is none.
            words: [N] text of each column of categories.

        Returns:
            [N, 1, S, S] float32, see :class:`Encoded`.
        """
        features = torch.from_numpy(self._encoded([*numbers], [*words])).float()
        if self.places is not None:  # index -1 takes the column of zeros behind the others
            features = torch.cat([features, torch.zeros(len(features), 1)], dim=1)[:, list(self.places)]
        return squares(features)

    def _encoded(self, numbers: list[np.ndarray], words: list[np.ndarray]) -> np.ndarray:
        """[N, width] of the cells of all columns of numbers and of all of words, in the order of the columns."""
        count = len((numbers + words)[0])
        if not count:  # scikit-learn takes no table without rows
            return np.zeros((0, self.width))
        imputer, scaler, one_hot = self.encoders()
        encoded = np.empty((count, self.width))
        is_word = np.concatenate(
            [[True] * len(c.categories) if isinstance(c, CategoryColumn) else [False] for c in self.columns]
        )
        if imputer is not None and scaler is not None:
            known = imputer.transform(np.stack(numbers, axis=1))
            scaled = scaler.transform(known)
            for place, column in enumerate(c for c in self.columns if isinstance(c, NumberColumn)):
                if 0 < (spread := column.greatest - column.least) < SMALLEST_SPREAD:
                    scaled[:, place] = np.clip((known[:, place] - column.least) / spread, 0, 1)
            encoded[:, ~is_word] = scaled
        if one_hot is not None:
            encoded[:, is_word] = one_hot.transform(np.stack(words, axis=1))
        return encoded

    def to_json(self) -> dict[str, Any]:
        """Plain types, from which :meth:`from_json` makes the encoder again."""
        plain: dict[str, Any] = {"target": self.target, "columns": [asdict(column) for column in self.columns]}
        if self.places is not None:
            plain["places"] = list(self.places)
        return plain | ({"header": list(self.header)} if self.header else {})

    @classmethod
    def from_json(cls, plain: Any) -> TableEncoder:
        """Make an encoder of what :meth:`to_json` gave.

        Raises:
            ValueError: or KeyError or TypeError, if it is anything else.
        """
        columns = tuple(_column(entry) for entry in plain["columns"][:MOST_COLUMNS])
        if not columns or len({column.name for column in columns}) < len(columns):
            raise ValueError("columns must have different names")
        places = plain.get("places")
        encoder = cls(
            columns,
            str(plain["target"]),
            None if places is None else tuple(map(int, places[:MOST_COLUMNS])),
            tuple(map(str, plain.get("header", ())[:MOST_COLUMNS])),
        )
        if places is not None and not (places and all(-1 <= place < encoder.width for place in encoder.places or ())):
            raise ValueError("places must be those of encoded columns")
        return encoder


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


class TableSplit(Split):
    """Rows of a table that are not encoded yet, for the encoder is fitted on those that turn out to train."""

    def __init__(self, rows: pd.DataFrame, labels: Tensor) -> None:
        super().__init__(torch.zeros(1).expand(len(rows), 1, 1, max(1, rows.shape[1])), labels)
        self.rows = rows

    def take(self, indices: Tensor, on_host: Tensor | None = None) -> TableSplit:
        """The rows at ``indices`` [M] int64, in that order."""
        return TableSplit(self.rows.iloc[indices.numpy()], self.labels.index_select(0, indices))


def _column(plain: dict[str, Any]) -> Column:
    if "categories" in plain:
        categories = tuple(map(str, plain["categories"]))
        if not categories or len(set(categories)) < len(categories) or any(c.lower() in MISSING for c in categories):
            raise ValueError(f"{plain['name']}: its categories must differ")
        return CategoryColumn(str(plain["name"]), categories)
    numbers = [float(plain[key]) for key in ("mean", "least", "greatest")]
    style = str(plain["style"])
    if not all(map(math.isfinite, numbers)) or not (style in DATES or style.removesuffix(" %") in STYLES):
        raise ValueError(f"{plain['name']}: its numbers must be finite and of a known style")
    return NumberColumn(str(plain["name"]), style, *numbers)


def _listed(entries: Sequence[str]) -> str:
    more = f" and {len(entries) - SHOWN} other columns" if len(entries) > SHOWN else ""
    return one_line(", ".join(entries[:SHOWN])) + more
