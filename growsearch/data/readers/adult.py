"""The Adult census table as ECToNAS shows it to networks: a scrambled 10x10 square per row (its spec, section 9).

Six numeric columns, and one column per category of the eight others; those of missing values and
``sex = Male`` are left out, and then as many of the rarest countries as it takes to have 100.
(The paper names three countries; the official files need a fourth. Which ones is in the notes.)
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from pathlib import Path

import torch

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.download import download
from growsearch.data.fetch import found_or_fetched
from growsearch.data.raw import Raw
from growsearch.data.root import data_root
from growsearch.data.table_encoder import CategoryColumn, Column, NumberColumn, TableEncoder, squares
from growsearch.errors import UserError
from growsearch.randomness import generator
from growsearch.untrusted import read_bytes

URL = "https://archive.ics.uci.edu/ml/machine-learning-databases/adult/"
MD5 = {"adult.data": "5d7c39d7b8804f071cdd1f2a7c460872", "adult.test": "35238206dfdf7f1fe215bbb874adecdc"}
NUMERIC = {"age": 0, "fnlwgt": 2, "education-num": 4, "capital-gain": 10, "capital-loss": 11, "hours-per-week": 12}
CATEGORICAL = {
    "workclass": 1,
    "education": 3,
    "marital-status": 5,
    "occupation": 6,
    "relationship": 7,
    "race": 8,
    "sex": 9,
    "native-country": 13,
}
LARGEST = 1 << 26
"""Bytes of a file; the largest official one has four million."""

_ALL = sorted(NUMERIC | CATEGORICAL, key=(NUMERIC | CATEGORICAL).__getitem__)
HEADER = (*_ALL, "income")
"""Names of all columns, which the files do not have; the last is the target."""

NUM_CELLS = 15
CLASSES = ("<=50K", ">50K")
NUM_COLUMNS = 100

Row = list[str]


def read(config: DataConfig) -> Raw:
    """Read Adult: 32,561 + 16,281 rows; the order of columns in the square is the same for every run."""
    root = data_root(config)
    folder = root / "adult"
    found_or_fetched(
        config,
        root,
        "adult/adult.data, adult/adult.test",
        lambda: folder if all((folder / name).is_file() for name in MD5) else None,
        lambda: _fetch(folder),
    )
    train, test = (_rows(folder / name) for name in MD5)
    categories, dropped = _categories(train, test)
    order = torch.randperm(NUM_COLUMNS, generator=generator(0, "adult", "columns"))
    note = f"Countries left out so that {NUM_COLUMNS} columns remain, rarest first: {', '.join(dropped)}."
    pool, judged = (_split(rows, categories, order) for rows in (train, test))
    return Raw(pool, judged, CLASSES, table=True, described=partial(_encoder, categories, order), notes=(note,))


def _encoder(categories: dict[str, list[str]], order: torch.Tensor, train: Split) -> TableEncoder:
    """Encoder for other rows; ``train`` is not scaled yet.

    A category of every training row tells nothing: scaled by the training rows it is 0 wherever it stands.
    """
    features = torch.empty(len(train), len(order))
    features[:, order] = train.images.flatten(1)
    numbers = features[:, : len(NUMERIC)].double()
    columns: list[Column] = [
        NumberColumn(name, "plain", float(values.mean()), float(values.min()), float(values.max()))
        for name, values in zip(NUMERIC, numbers.T, strict=True)
    ]
    columns += [CategoryColumn(name, tuple(values)) for name, values in categories.items()]
    always = features.amin(0) == 1
    always[: len(NUMERIC)] = False
    return TableEncoder(
        tuple(columns), HEADER[-1], tuple(torch.where(always, -1, torch.arange(NUM_COLUMNS))[order].tolist()), HEADER
    )


def _fetch(folder: Path) -> None:
    for name, md5 in MD5.items():
        download(URL + name, folder / name, md5)


def _rows(file: Path) -> list[Row]:
    """Rows of 14 attributes and a label; adult.test opens with a comment and ends its labels with a full stop."""
    rows = []
    for number, line in enumerate(read_bytes(file, LARGEST).decode(errors="replace").splitlines(), start=1):
        if not line.strip() or line.startswith("|"):
            continue
        cells = [cell.strip() for cell in line.split(",")]
        cells[-1] = cells[-1].removesuffix(".")
        numbers_good = len(cells) == NUM_CELLS and all(_is_whole(cells[index]) for index in NUMERIC.values())
        if not numbers_good or cells[-1] not in CLASSES:
            raise UserError(
                f"{file}, line {number}: {line[:60]!r} is not a row of {NUM_CELLS} cells; use the official file"
            )
        rows.append(cells)
    if not rows:
        raise UserError(f"{file}: it has no rows; use the official file")
    return rows


def _is_whole(cell: str) -> bool:
    return cell.isascii() and cell.isdigit() and len(cell) < 10


def _categories(train: list[Row], test: list[Row]) -> tuple[dict[str, list[str]], list[str]]:
    """Categories by attribute, without the countries that had to go, and those countries, rarest first."""
    rows = train + test
    found = {name: sorted({row[index] for row in rows} - {"?"}) for name, index in CATEGORICAL.items()}
    found["sex"] = [value for value in found["sex"] if value != "Male"]
    surplus = len(NUMERIC) + sum(map(len, found.values())) - NUM_COLUMNS
    frequency = Counter(row[CATEGORICAL["native-country"]] for row in rows)
    rarest = sorted(found["native-country"], key=lambda country: (frequency[country], country))
    if not 0 <= surplus < len(rarest):
        raise UserError(f"data adult: it has {surplus + NUM_COLUMNS} columns; it needs at least {NUM_COLUMNS}")
    dropped = rarest[:surplus]
    found["native-country"] = [country for country in found["native-country"] if country not in dropped]
    return found, dropped


def _split(rows: list[Row], categories: dict[str, list[str]], order: torch.Tensor) -> Split:
    numbers = torch.tensor([[float(row[index]) for index in NUMERIC.values()] for row in rows])
    encoded = [_one_hot([row[index] for row in rows], categories[name]) for name, index in CATEGORICAL.items()]
    labels = torch.tensor([CLASSES.index(row[-1]) for row in rows])
    return Split(squares(torch.cat([numbers, *encoded], dim=1), order), labels)


def _one_hot(cells: list[str], categories: list[str]) -> torch.Tensor:
    """[rows, categories] float32; a cell that is none of them is all zeros."""
    place = {name: index for index, name in enumerate(categories)}
    indices = torch.tensor([place.get(cell, -1) for cell in cells])
    return (indices[:, None] == torch.arange(len(categories))).float()
