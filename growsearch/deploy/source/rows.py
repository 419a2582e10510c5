"""Reading the cells of a table with Python and torch alone: what model.py takes over as it stands."""

import inspect
import math
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import torch
from torch import Tensor

from growsearch.data.table import DATES, KEPT, LARGEST, MISSING, STYLES
from growsearch.data.table_encoder import CategoryColumn, TableEncoder


def plain_columns(encoder: TableEncoder) -> dict[str, Any]:
    """Arguments of :func:`encode`, as plain types."""
    columns: list[dict[str, Any]] = []
    for column in encoder.columns:
        if isinstance(column, CategoryColumn):
            columns.append({"name": column.name, "categories": list(column.categories)})
            continue
        known = {"name": column.name, "mean": column.mean, "least": column.least, "greatest": column.greatest}
        if column.style in DATES:
            columns.append({**known, "date": column.style})
            continue
        style = column.style.removesuffix(" %")
        pattern = STYLES[style] if style == column.style else rf"(?:{STYLES[style]})\s*%"
        columns.append({**known, "pattern": pattern, "kept": list(KEPT[style])})
    shown = list(range(encoder.width) if encoder.places is None else encoder.places)
    places = shown + [-1] * (encoder.side**2 - len(shown))
    return {"columns": columns, "places": places, "missing": sorted(MISSING), "largest": LARGEST}


def read_date(cell: str, form: str) -> float:
    """A date as its days since 1970, in UTC where it names no zone.

    Raises:
        ValueError: if it is none of this form.
    """
    if form == "ISO8601":
        found = re.fullmatch(r"(\d{4})(?:[-/]?(\d\d?)(?:[-/]?(\d\d?)(.*))?)?", cell, re.ASCII)
        if not found:
            raise ValueError(cell)
        year, month, day, rest = found.groups()
        moment = datetime.fromisoformat(f"{year}-{int(month or 1):02}-{int(day or 1):02}{rest or ''}")
    else:
        moment = datetime.strptime(cell, form)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone.utc)  # noqa: UP017
    return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) / timedelta(days=1)  # noqa: UP017


def read_number(cell: str, column: dict[str, Any], largest: float) -> float:
    """A cell as a number; NaN for what is none."""
    try:
        if "date" in column:
            return read_date(cell, column["date"])
        if not re.fullmatch(column["pattern"], cell, re.ASCII):
            return math.nan
        number = float(cell.translate(str.maketrans(*column["kept"])))
    except ValueError:
        return math.nan
    return number if abs(number) <= largest else math.nan


def encode(rows: Sequence[Mapping[str, str]], table: dict[str, Any]) -> Tensor:
    """Rows of cells as squares [N, 1, S, S] of numbers in 0..1.

    Numbers are scaled by the training rows, missing ones become their mean; each category is a column of 0 and 1.
    """
    encoded = []
    for row in rows:
        values: list[float] = []
        for column in table["columns"]:
            cell = row[column["name"]].strip()
            if "categories" in column:
                values += [float(cell == category) for category in column["categories"]]
                continue
            number = math.nan if cell.lower() in table["missing"] else read_number(cell, column, table["largest"])
            number = column["mean"] if math.isnan(number) else number
            spread = column["greatest"] - column["least"]
            values.append(min(1.0, max(0.0, (number - column["least"]) / (spread or 1.0))))
        values.append(0.0)  # for places without a column
        encoded.append([values[place] for place in table["places"]])
    side = math.isqrt(len(table["places"]))
    return torch.tensor(encoded, dtype=torch.float32).view(-1, 1, side, side)


def source() -> str:
    """The functions above that read cells, as text."""
    parts = (inspect.getsource(each).replace("  # noqa: UP017", "") for each in (read_date, read_number, encode))
    return "\n\n".join(parts).strip()
