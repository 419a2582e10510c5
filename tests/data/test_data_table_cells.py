"""Cells as people and programs write them: numbers, dates, missing values, indices, classes and quantities."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.data.config import DataConfig
from growsearch.data.load import load
from growsearch.data.table import MISSING, STYLES, as_numbers, number_style, number_styles
from growsearch.data.table_encoder import TableEncoder
from growsearch.errors import UserError


def series(*cells: str) -> pd.Series:
    return pd.Series(cells, dtype=object)


def read(folder: Path, header: str, lines: list[str], **options: object):
    (folder / "t.csv").write_text("\n".join([header, *lines]) + "\n", encoding="utf-8")
    return load(DataConfig(name="csv", path=str(folder / "t.csv"), target="y", normalisation="unit", **options), seed=0)


@pytest.mark.parametrize(
    ("cells", "style", "values"),
    [
        (("1", "-2.5", "+3e2", ".5", "7."), "plain", [1, -2.5, 300, 0.5, 7]),
        (("1,234", "999", "12,345,678.5"), "thousands", [1234, 999, 12345678.5]),
        (("1,234", "2,345"), "thousands", [1234, 2345]),
        (("1'234", "5"), "thousands", [1234, 5]),
        (("1,5", "-2,25", "3"), "decimal comma", [1.5, -2.25, 3]),
        (("1.234,5", "17"), "decimal comma", [1234.5, 17]),
        (("0,125", "0,250"), "decimal comma", [0.125, 0.25]),
        (("1.234.567", "1.234"), "decimal comma", [1234567, 1234]),
        (("5%", "12.5 %"), "plain %", [5, 12.5]),
        (("5,5%", "12%"), "decimal comma %", [5.5, 12]),
        (("1970-01-02", "1971-01-01"), "ISO8601", [1, 365]),
        (("1970-01-01T12:00:00", "1970-01-02 00:00"), "ISO8601", [0.5, 1]),
        (("02.01.1970", "31.01.1970"), "%d.%m.%Y", [1, 30]),
        (("01/31/1970", "01/02/1970"), "%m/%d/%Y", [30, 1]),
        (("31/01/1970", "02/01/1970"), "%d/%m/%Y", [30, 1]),
        (("2 Jan 1970", "31 Jan 1970"), "%d %b %Y", [1, 30]),
    ],
)
def test_numbers_and_dates(cells: tuple[str, ...], style: str, values: list[float]) -> None:
    found = number_style(series(*cells))
    assert found == (style, 1.0)
    assert as_numbers(series(*cells), style).tolist() == pytest.approx(values)


@pytest.mark.parametrize(
    "cells",
    [
        ("red", "12 b"),
        ("1.2.3", "4.5.6"),
        ("", "?"),
        ("A1", "B2"),
        ("0x10", "1_000"),
        ("+", "e5"),
        (",", "%"),
        ("\u0661", "\u00b2"),
    ],
)
def test_words_are_no_numbers(cells: tuple[str, ...]) -> None:
    assert number_style(series(*cells)) is None


def test_a_column_with_decimal_commas_tells_how_another_is_meant() -> None:
    table = pd.DataFrame({"a": ["1,234", "2,500"], "b": ["0,5", "1,75"]}, dtype=object)
    assert {name: style.name for name, style in number_styles(table).items()} == dict.fromkeys("ab", "decimal comma")
    assert number_style(table["a"]).name == "thousands"


@pytest.mark.parametrize("odd", ["inf", "-inf", "1e300", "n/k", "12 kg", "1-2"])
def test_one_odd_cell_leaves_a_column_of_numbers_one(odd: str, tmp_path: Path) -> None:
    lines = [f"{odd if i == 5 else i % 60},{'ab'[i % 2]}" for i in range(300)]
    data = read(tmp_path, "x,y", lines, val_size=0.2)
    assert data.image_shape == (1, 1, 1)
    (said,) = [note for note in data.notes if "'x'" in note]
    too_large = ", or beyond 1e+30," if odd == "1e300" else ""
    assert f"cells that are no numbers{too_large} count as missing: 'x' 1 ({odd!r})" in said
    assert bool(data.train.images.isfinite().all())


@pytest.mark.parametrize("word", sorted(set(MISSING) - {""}))
def test_words_for_missing_values(word: str, tmp_path: Path) -> None:
    lines = [f"{word.upper() if i == 5 else i % 60};{'ab'[i % 2]}" for i in range(100)]
    data = read(tmp_path, "x;y", lines, val_size=0.2)
    assert data.image_shape == (1, 1, 1)
    (said,) = [note for note in data.notes if "'x'" in note]
    assert "missing values became the column's mean" in said


def test_a_code_that_is_often_no_number_stays_a_category(tmp_path: Path) -> None:
    data = read(tmp_path, "x,y", [f"{'12A'[i % 3]},{'ab'[i % 2]}" for i in range(60)])
    assert data.encoder is not None
    assert data.encoder.columns[0].categories == ("1", "2", "A")


@pytest.mark.parametrize("cell", ["${}.50", "{} kg", "({}.00)", "\u2212{}", "\u20ac {}", "{}\u20ac"])
def test_numbers_that_are_not_read_as_such_are_told(cell: str, tmp_path: Path) -> None:
    data = read(tmp_path, "x,y", [f"{cell.format(i % 20)},{'ab'[i % 2]}" for i in range(60)])
    assert data.encoder is not None and len(data.encoder.columns[0].categories) > 15
    told = f"Column 'x' was read as 20 categories, though cells such as {cell.format(0)!r} hold numbers;"
    assert any(note.startswith(told) for note in data.notes)


@pytest.mark.parametrize("cell", ["{}.5e200", "{},5e200", "-{}e+31"])
def test_numbers_that_are_too_large_are_not_told_to_be_text(cell: str, tmp_path: Path) -> None:
    lines = [f"{cell.format(1 + i % 9)};{i % 7};{'ab'[i % 2]}" for i in range(60)]
    data = read(tmp_path, "x;few;y", lines)
    assert data.encoder is not None and [column.name for column in data.encoder.columns] == ["few"]
    told = f"Column 'x' was left out: numbers beyond 1e+30, such as {cell.format(1)!r}; write them in another unit."
    assert told in data.notes


def test_quantities_among_many_texts_are_told(tmp_path: Path) -> None:
    notes = read(tmp_path, "x,few,y", [f"{i} kg,{i % 7},{'ab'[i % 2]}" for i in range(200)]).notes
    told = "Column 'x' was left out: text with 200 different values, such as '0 kg'; write numbers alone if they are"
    assert any(note.startswith(told) for note in notes)


def test_numbers_among_many_words_are_told_and_few_codes_are_not(tmp_path: Path) -> None:
    lines = [f"{'high' if i % 3 == 0 else i % 20},{'123'[i % 3]}A,code{i % 20},{'ab'[i % 2]}" for i in range(60)]
    notes = [note for note in read(tmp_path, "x,few,code,y", lines).notes if "hold numbers" in note]
    assert [note.split("'")[1] for note in notes] == ["x"]


@pytest.mark.parametrize(("cells", "told"), [(("1.234", "999"), True), (("1.25", "1.234"), False), (("0.234",), False)])
def test_points_that_may_part_thousands_are_told(cells: tuple[str, ...], told: bool, tmp_path: Path) -> None:
    data = read(tmp_path, "x;y", [f"{cells[i % len(cells)]};{'ab'[i % 2]}" for i in range(40)])
    assert ("Column 'x' was read with decimal points: 1.234 is less than a thousand." in data.notes) == told


def test_columns_without_use_are_left_out_and_told(tmp_path: Path) -> None:
    lines = [f",name {i},{i % 5},{'ab'[i % 2]}" for i in range(30)]
    data = read(tmp_path, "empty,name,x,y", lines)
    assert data.encoder is not None and [column.name for column in data.encoder.columns] == ["x"]
    assert "Column 'empty' was left out: it has no values." in data.notes
    assert "Column 'name' was left out: text with 30 different values, such as 'name 0'." in data.notes
    with pytest.raises(UserError, match=r"no columns to learn from .* \(Column 'empty' was left out: .* Column 'name'"):
        read(tmp_path, "empty,name,x,y", lines, drop=["x"])


def test_rows_written_in_another_way_are_refused(tmp_path: Path) -> None:
    encoder = read(tmp_path, "x;d;y", [f"{i % 7},5;0{1 + i % 9}.03.2024;{'ab'[i % 2]}" for i in range(60)]).encoder
    assert encoder is not None
    rows = pd.DataFrame({"x": ["1.5", "2.5", "3,5"], "d": ["2024-03-01", "", "01.03.2024"]}, dtype=object)
    with pytest.raises(UserError, match=r"new: 3 of 5 cells .* such as '1\.5' in 'x' \('decimal comma' there\)"):
        encoder.require_same_style(encoder(rows, "new"), "new")
    encoder.require_same_style(encoder(rows[2:], "new"), "new")


@pytest.mark.parametrize("header", ['"x, in cm";y', '"x\nin, cm";y', '\ufeff"x, in cm";y'])
def test_a_name_may_hold_a_delimiter(header: str, tmp_path: Path) -> None:
    data = read(tmp_path, header, [f"{i % 7},5;{'ab'[i % 2]}" for i in range(60)])
    assert data.encoder is not None
    assert [column.name.split(",")[0].split("\n")[0] for column in data.encoder.columns] == ["x"]


@pytest.mark.parametrize("word", ["None", "NA", "null", "n/a", "nan", "-", "N/A"])
def test_a_class_may_be_called_so(word: str, tmp_path: Path) -> None:
    data = read(tmp_path, "x,y", [f"{i % 7},{(word, 'Apnea')[i % 3 > 1]}" for i in range(60)])
    assert set(data.classes) == {word, "Apnea"}
    assert any(f"{word!r} counts as a class of 'y'" in note for note in data.notes)


def test_a_numeric_target_without_a_value_is_left_out(tmp_path: Path) -> None:
    data = read(tmp_path, "x,y", [f"{i % 7},{(0, 1, 'nan')[i % 3]}" for i in range(60)])
    assert data.classes == ("0", "1")
    assert data.notes[0] == "20 rows of t.csv were left out, without a value of 'y'."


@pytest.mark.parametrize(
    ("target", "what"),
    [
        (lambda i: f"{i * 0.37:.2f}", "quantities"),
        (lambda i: str(100_000 + 1500 * (i % 90)), "quantities"),
        (lambda i: f"{i % 4},5", "quantities"),
        (lambda i: f"2024-01-{i % 28 + 1:02d}", "dates"),
    ],
)
def test_regression_is_refused(target, what: str, tmp_path: Path) -> None:
    with pytest.raises(
        UserError, match=rf"data\.target: 'y' of .* holds {what} .*: this is regression, and only class"
    ):
        read(tmp_path, "x;y", [f"{i % 7};{target(i)}" for i in range(300)])


@pytest.mark.parametrize("numbers", [range(10), (0.0, 1.0), (-1, 1), (10, 20, 30)])
def test_whole_numbers_are_classes(numbers, tmp_path: Path) -> None:
    names = list(map(str, numbers))
    data = read(tmp_path, "x,y", [f"{i % 7},{names[i % len(names)]}" for i in range(200)])
    assert data.classes == tuple(names)


@pytest.mark.parametrize(
    "name", ["", "Unnamed: 0", "id", "ID", "PassengerId", "row_number", "customer id", "index", "#"]
)
def test_an_index_is_left_out_and_said(name: str, tmp_path: Path) -> None:
    data = read(tmp_path, f"{name},x,y", [f"{3 * i + 100},{i % 9},{'ab'[i % 2]}" for i in range(60)])
    assert data.image_shape == (1, 1, 1)
    assert f"Column {name!r} was left out: it only numbers the rows." in data.notes


def test_columns_that_are_no_index_stay(tmp_path: Path) -> None:
    lines = [f"{i},{i // 2},{i % 11},{'ab'[i % 2]}" for i in range(60)]
    data = read(tmp_path, "dose,id,number of rooms,y", lines)
    assert data.encoder is not None
    assert [column.name for column in data.encoder.columns] == ["dose", "id", "number of rooms"]
    assert any(
        "'dose' counts the rows; if it means nothing leave it out with data.drop=[dose]" in n for n in data.notes
    )


def test_everything_is_learned_from_the_training_rows_alone(tmp_path: Path) -> None:
    lines = [f"{i % 50},{'rgb'[i % 3]},{'ab'[i % 2]}" for i in range(120)]
    (tmp_path / "test.csv").write_text("number,colour,y\n1000,violet,a\n,violet,b\n-7,,a\n")
    first = read(tmp_path, "number,colour,y", lines, test_path=str(tmp_path / "test.csv"), val_size=0.25)
    train = first.encoder
    assert train is not None
    assert (train.columns[0].least, train.columns[0].greatest) == (0, 49)
    mean = (train.columns[0].mean - 0) / 49
    shown = first.test.images.flatten(1)
    assert shown.tolist() == [[1, 0, 0, 0], [pytest.approx(mean), 0, 0, 0], [0, 0, 0, 0]]
    assert any(
        note.startswith("test rows: categories that the network does not know") and "'colour' 2 ('violet')" in note
        for note in first.notes
    )
    few = read(tmp_path, "number,colour,y", lines, train_size=6, val_size=20)
    assert few.encoder is not None
    values = {round(value * (few.encoder.columns[0].greatest - few.encoder.columns[0].least)) for value in (0, 1)}
    assert values == {0, few.encoder.columns[0].greatest - few.encoder.columns[0].least}
    assert few.encoder.columns[0] != train.columns[0]


def test_columns_without_a_value_in_the_training_rows(tmp_path: Path) -> None:
    rows = pd.DataFrame({"a": ["", ""], "b": ["?", ""], "c": ["x", "y"], "y": ["0", "1"]}, dtype=object)
    encoder = TableEncoder.fit(rows, {"a": "plain", "b": None, "c": None}, "y")
    assert [column.name for column in encoder.columns] == ["a", "c"]
    assert encoder(rows, "rows").images.flatten(1).tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    with pytest.raises(UserError, match="no value in any column beside 'y'"):
        TableEncoder.fit(rows, {"b": None}, "y")


def test_dates_of_any_century() -> None:
    assert as_numbers(series("9999-12-31", "1600-01-01"), "ISO8601").tolist() == [2932896, -135140]


def test_dates_that_are_none(tmp_path: Path) -> None:
    odd = ["0000-00-00", "0000-01-01", "0", "9999-99-99", "10000-01-01", "1970-01-01T00:00:00+25:00", "2024-02-30"]
    lines = [f"{odd[i] if i < len(odd) else f'2024-01-{i % 28 + 1:02d}'},{'ab'[i % 2]}" for i in range(120)]
    data = read(tmp_path, "day,y", lines, val_size=0)
    assert sum(int(n.split("'day' ")[1].split()[0]) for n in data.notes if "no numbers count" in n) == len(odd)
    assert bool(data.train.images.isfinite().all())


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("0123456789+-.,eE% '", max_size=8), min_size=1, max_size=4), st.sampled_from(sorted(STYLES)))
def test_whatever_matches_a_style_is_a_number(cells: list[str], style: str) -> None:
    for name in (style, f"{style} %"):
        values = as_numbers(series(*cells), name)
        assert values.dtype == np.float64 and len(values) == len(cells)


@given(st.integers(-(10**12), 10**12))
def test_thousands_and_decimal_commas_are_read_back(number: int) -> None:
    assert as_numbers(series(f"{number:,}"), "thousands").tolist() == [number]
    assert as_numbers(series(f"{number:,}".replace(",", ".") + ",5"), "decimal comma").tolist() == [
        number + (0.5 if number >= 0 else -0.5)
    ]


CELLS = st.one_of(
    st.floats(-1e29, 1e29).map(repr), st.integers(-(10**9), 10**9).map(str), st.sampled_from(["", "NA", "odd", "1e99"])
)
WORDS = st.sampled_from(["", "none", "red", "Red", "äöü", "a,b", '"', "1"])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(CELLS, WORDS), min_size=2, max_size=20), st.lists(st.tuples(CELLS, WORDS), max_size=10))
def test_an_encoder_that_went_through_json_encodes_to_the_same_bits(train: list, others: list) -> None:
    def frame(rows: list) -> pd.DataFrame:
        return pd.DataFrame({"n": [n for n, _ in rows], "w": [w for _, w in rows]}, dtype=object)

    encoder = TableEncoder.fit(frame(train), {"n": "plain", "w": None}, "y")
    again = TableEncoder.from_json(json.loads(json.dumps(encoder.to_json())))
    assert again == encoder
    for rows in (train, others):
        made = encoder(frame(rows), "rows").images
        assert torch.equal(again(frame(rows), "rows").images, made)
        assert bool(((made >= 0) & (made <= 1)).all())


@pytest.mark.parametrize(
    "plain",
    [
        {},
        {"target": "y", "columns": []},
        {"target": "y", "columns": [{"name": "a", "categories": []}]},
        {"target": "y", "columns": [{"name": "a", "categories": ["x", "x"]}]},
        {"target": "y", "columns": [{"name": "a", "categories": ["x"]}] * 2},
        {"target": "y", "columns": [{"name": "a", "style": "python", "mean": 0, "least": 0, "greatest": 1}]},
        {"target": "y", "columns": [{"name": "a", "style": "plain", "mean": "nan", "least": 0, "greatest": 1}]},
        {"target": "y", "columns": [{"name": "a", "style": "%d.%m.%Y %", "mean": 0, "least": 0, "greatest": 1}]},
    ],
)
def test_a_damaged_encoder_is_refused(plain: dict) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        TableEncoder.from_json(plain)


def test_scikit_learn_encodes_the_training_rows_like_this() -> None:
    """What is rebuilt from plain numbers computes what the encoders fitted on the rows themselves do."""
    from sklearn.impute import SimpleImputer
    from sklearn.preprocessing import MinMaxScaler

    draws = np.random.default_rng(0)
    values = draws.normal(3, 7, 50)
    cells = [repr(float(value)) if index % 9 else "" for index, value in enumerate(values)]
    rows = pd.DataFrame({"n": cells}, dtype=object)
    known = np.where(np.arange(50) % 9, values, np.nan)[:, None]
    expected = MinMaxScaler().fit_transform(SimpleImputer().fit_transform(known))
    found = TableEncoder.fit(rows, {"n": "plain"}, "y")(rows, "rows").images.flatten()
    assert torch.equal(found, torch.from_numpy(expected).float().flatten())


@pytest.mark.parametrize("unit", ["", "e-16", "e-20", "e-310"])
def test_a_unit_however_small_leaves_a_column_its_range(unit: str, tmp_path: Path) -> None:
    lines = [f"{index % 5 + 1}{unit},{'ab'[index % 2]}" for index in range(60)]
    data = read(tmp_path, "x,y", lines)
    assert sorted(set(data.train.images.flatten().tolist())) == [0, 0.25, 0.5, 0.75, 1]


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        (("1", "1.0", "2"), "'1', '1.0' count as different classes"),
        (("01", "1", "2"), "'01', '1' count as different classes"),
        (("Yes", "yes", "no"), "'Yes', 'yes' count as different classes"),
        (("e\u0301", "\u00e9", "b"), "count as different classes"),
        (("1", "2", "3"), None),
        (("9007199254740992", "9007199254740993"), None),
        (("a", "b", "ab"), None),
    ],
)
def test_classes_that_may_be_one_are_told(cells: tuple[str, ...], said: str | None, tmp_path: Path) -> None:
    data = read(tmp_path, "x,y", [f"{index % 7},{cells[index % len(cells)]}" for index in range(60)])
    assert len(data.classes) == len(cells)
    told = [note for note in data.notes if "different classes" in note]
    assert told == [] if said is None else said in told[0]


@pytest.mark.parametrize(("start", "told"), [(10**20, "of 10 different ones 1 can be told apart"), (10**15, None)])
def test_numbers_with_more_digits_than_a_float_are_told(start: int, told: str | None, tmp_path: Path) -> None:
    data = read(tmp_path, "x,z,y", [f"{start + index % 10},{index % 3},{'ab'[index % 2]}" for index in range(60)])
    found = [note for note in data.notes if "more than 15 digits" in note]
    assert found == [] if told is None else told in found[0]
