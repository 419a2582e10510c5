import csv
from pathlib import Path

import numpy as np
import pytest
import torch

from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.readers.adult import CATEGORICAL, NUMERIC
from growsearch.data.registry import reader
from growsearch.data.table_encoder import TableSplit, squares
from growsearch.errors import UserError

ROWS = [["size", "colour", "name", "kind"]] + [
    [str(index), ("red", "green", "?")[index % 3], f"n{index}", ("small", "large")[index >= 100]]
    for index in range(200)
]


def write(file: Path, rows: list[list[str]], delimiter: str = ",") -> Path:
    with file.open("w", newline="") as handle:
        csv.writer(handle, delimiter=delimiter).writerows(rows)
    return file


def config(file: Path, **options: object) -> DataConfig:
    options = {"target": "kind", "normalisation": "unit", **options}
    return DataConfig(name="csv", path=str(file), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_numbers_and_categories(delimiter: str, tmp_path: Path) -> None:
    data = load(config(write(tmp_path / "t.csv", ROWS, delimiter), val_size=0.2), seed=0)
    assert data.classes == ("large", "small")
    assert data.image_shape == (1, 2, 2)  # size, green, red and one of padding; the names are left out
    assert (len(data.train), len(data.val), len(data.test)) == (128, 32, 40)
    cells = data.train.images.flatten(1)
    assert (cells[:, 0].min(), cells[:, 0].max()) == (0.0, 1.0)
    assert torch.equal(cells[:, 1:3].unique(dim=0), torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    assert not cells[:, 3].any()
    assert any("'name' was left out: text with 200" in note for note in data.notes)
    assert any("square of 2x2 in column order" in note for note in data.notes)


def test_scaling_knows_the_training_rows_only(tmp_path: Path) -> None:
    test = write(tmp_path / "test.csv", [ROWS[0], ["-50", "red", "x", "small"], ["5000", "blue", "x", "large"]])
    file = write(tmp_path / "t.csv", ROWS)
    data = load(config(file, test_path=str(test), train_size=20), seed=0)
    assert data.test.images.flatten(1)[:, :3].tolist() == [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]
    kept = load(config(file, train_size=20, val_size=20), seed=0)
    assert kept.train.images.flatten(1)[:, 0].max() == 1.0
    assert kept.encoder is not None
    assert kept.encoder.columns[0].least > 0  # the size of the first row, which is not among the twenty


def test_missing_values(tmp_path: Path) -> None:
    rows = [["x", "y"], ["1", "a"], ["", "a"], ["3", "b"], ["NA", "b"], ["5", "?"]]
    raw = reader("csv")(config(write(tmp_path / "t.csv", rows), target="y"))
    assert raw.encoder is not None and isinstance(raw.pool, TableSplit)
    encoded = raw.encoder(raw.pool)(raw.pool.rows, "all rows")
    assert encoded.images.flatten().tolist() == [0.0, 0.5, 1.0, 0.5]
    assert encoded.notes("all rows")[0].endswith("or none of its categories: 'x' 2.")
    assert raw.notes[0] == "1 row of t.csv was left out, without a value of 'y'."


def test_numeric_targets_are_in_numeric_order(tmp_path: Path) -> None:
    rows = [["x", "y"]] + [[str(index), str(index % 11)] for index in range(44)]
    raw = reader("csv")(config(write(tmp_path / "t.csv", rows), target="y"))
    assert raw.classes == tuple(map(str, range(11)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": None}, r"data\.target: None is not accepted; use a column of .*: size, colour, name, kind"),
        ({"target": "Kind"}, r"data\.target: 'Kind' is not accepted"),
        ({"target": "name"}, "'name' has 200 values in 200 rows; use a column of classes"),
        ({"drop": ["shape"]}, r"data\.drop: column 'shape' is not in the table"),
        ({"drop": ["size", "colour", "name"]}, "no columns to learn from"),
        ({"test_path": "nowhere.csv"}, r"data\.test_path: '.*/nowhere.csv' is not a file"),
        ({"resize": 8}, r"data\.resize: 8x8 is not accepted for a table; use null"),
    ],
)
def test_options_that_do_not_fit(options: dict, message: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=message):
        load(config(write(tmp_path / "t.csv", ROWS), **options), seed=0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it has 0 rows"),
        (b"x,y\n", "it has 1 row;"),
        (b"x,x\n1,2\n", "two columns are named 'x'"),
        (b"x,kind\n1,a\n2\n", "row 3: it has 1 cell, the header 2"),
        (b"\xff\xfe\x00\x01", "not readable as a table"),
        (b"PAR1\x15\x04PAR1", "it is a Parquet file; write the table as a text file"),
        (b"PK\x03\x04\x14\x00\x06\x00", "it is a zip file, as spreadsheets are"),
        (b"x,kind\n" + b"1" * 200_000 + b",a\n", "not readable as a table"),
        (b"kind\na\na\nb\nb\n", "no columns to learn from"),
        (b"x,kind\n1,?\n", "no row has a value of 'kind'"),
    ],
)
def test_what_is_wrong_with_a_table(content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load(config(tmp_path / "t.csv"), seed=0)
    assert "\n" not in str(caught.value)


def test_a_test_table_must_have_the_columns_and_classes(tmp_path: Path) -> None:
    file = write(tmp_path / "t.csv", ROWS)
    for rows, message in (
        ([["size", "kind"], ["1", "small"]], "no column 'colour'"),
        (
            [ROWS[0], ["1", "red", "x", "tiny"]],
            "kind 'tiny' is not a class of the training table; use one of large, small",
        ),
    ):
        other = write(tmp_path / "other.csv", rows)
        with pytest.raises(UserError, match=message):
            load(config(file, test_path=str(other)), seed=0)


@pytest.mark.parametrize(("width", "side"), [(1, 1), (2, 2), (4, 2), (5, 3), (9, 3), (100, 10), (101, 11)])
def test_squares(width: int, side: int) -> None:
    features = torch.arange(1.0, 2 * width + 1).view(2, width)
    shown = squares(features)
    assert shown.shape == (2, 1, side, side)
    assert torch.equal(shown.flatten(1)[:, :width], features)
    assert not shown.flatten(1)[:, width:].any()


def adult_rows(count: int, num_countries: int = 41) -> list[str]:
    """Rows that have every category of the official files at least once."""
    sizes = dict(zip(CATEGORICAL, (8, 16, 7, 14, 6, 5, 2, num_countries), strict=True))
    draws = np.random.default_rng(0)
    rows = []
    for index in range(count):
        cells = ["0"] * 14
        for name, place in NUMERIC.items():
            cells[place] = str(draws.integers(0, 1000) + len(name))
        for name, place in CATEGORICAL.items():
            value = index % sizes[name] if index < 200 else 0
            cells[place] = ("Male", "Female")[value] if name == "sex" else f"{name}-{value}"
        rows.append(", ".join([*cells, ">50K" if index % 4 == 0 else "<=50K"]))
    return rows


def make_adult(root: Path) -> None:
    (root / "adult").mkdir()
    rows = adult_rows(300)
    rows[0] = rows[0].replace("workclass-0", "?")
    (root / "adult" / "adult.data").write_text("\n".join(rows) + "\n\n")
    test = [f"{row}." for row in rows[:50]]
    (root / "adult" / "adult.test").write_text("|1x3 Cross validator\n" + "\n".join(test) + "\n")


def test_adult_is_a_hundred_columns_scrambled(tmp_path: Path) -> None:
    make_adult(tmp_path)
    config = DataConfig(name="adult", root=str(tmp_path), normalisation="unit", val_size=0.1)
    data = load(config, seed=0)
    assert (len(data.train), len(data.val), len(data.test)) == (270, 30, 50)
    assert data.image_shape == (1, 10, 10)
    assert data.classes == ("<=50K", ">50K")
    assert data.notes[0].count("native-country-") == 4
    assert data.train.images.min() == 0
    assert data.train.images.max() == 1
    other = load(config, seed=1)
    assert torch.equal(reader("adult")(config).pool.images, reader("adult")(config).pool.images)
    assert not torch.equal(other.train.images, data.train.images)
    one_hots = reader("adult")(config).pool.images.flatten(1)
    plain = (one_hots <= 1).all(0)
    assert int(plain.sum()) == 94
    assert one_hots[0][plain].sum() <= 6  # the first row lacks its work class, and men have no column


def test_adult_files_that_are_not_the_official_ones(tmp_path: Path) -> None:
    make_adult(tmp_path)
    file = tmp_path / "adult" / "adult.data"
    whole = file.read_text()
    for content, message in (
        ("", "it has no rows"),
        ("1, 2, 3\n", "adult.data, line 1"),
        (whole.replace(">50K", "rich"), "is not a row of"),
        ("\n".join(adult_rows(4)), "columns; it needs at least 100"),
    ):
        file.write_text(content)
        (tmp_path / "adult" / "adult.test").write_text(content or whole)
        with pytest.raises(UserError, match=message):
            load(DataConfig(name="adult", root=str(tmp_path)), seed=0)
