"""The whole path of a table leaves a run: as an ONNX graph of columns, and as Python that reads cells."""

import json
import runpy

import numpy as np
import pandas as pd
import pytest
import torch

from growsearch.data.dataset import Split
from growsearch.data.normalise import Normalisation
from growsearch.data.table import DATES, as_numbers
from growsearch.data.table_encoder import CategoryColumn, NumberColumn, TableEncoder
from growsearch.deploy import Preprocessing
from growsearch.deploy.export import export
from growsearch.deploy.formats import Variant
from growsearch.deploy.source import write_python
from growsearch.deploy.source.rows import read_number
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.randomness import generator

ENCODER = TableEncoder(
    (
        NumberColumn("age", "plain", 40.0, 18.0, 90.0),
        CategoryColumn("smoker", ("no", "yes", "ünsure")),
        NumberColumn("weight, kg", "decimal comma", 75.5, 40.25, 120.0),
        NumberColumn("share", "plain %", 3.0, 3.0, 3.0),
        NumberColumn("visit", "%d.%m.%Y", 19800.0, 19700.0, 19900.0),
        NumberColumn("seen", "ISO8601", 19800.0, 19700.0, 19900.0),
        CategoryColumn("1", ("a",)),
    ),
    "outcome",
)
CELLS = {
    "age": ["33", "-1", "", "old", "1e31", " 90 "],
    "smoker": ["yes", "no", "", "Yes", "ünsure", "n/a"],
    "weight, kg": ["75,5", "1.234,5", "?", "40,25", ",5", "12 kg"],
    "share": ["3 %", "4%", "3", "", "99 %", "-"],
    "visit": ["31.12.2023", "01.02.2024", "1.2.2024", "00.00.0000", "", "2024-01-01"],
    "seen": ["2024-03", "2024-3-5", "2024-03-05T10:00:00Z", "2024-03-05 10:00:00+02:00", "0000-00-00", "20240305"],
    "1": ["a", "b", "", "a", "a", "A"],
}


PLACES = (4, -1, 3, 2, 1, 0, 5)


def make(places: tuple[int, ...] | None) -> tuple[torch.nn.Module, Preprocessing]:
    """A network for the columns, shown in their own order or scrambled."""
    encoder = TableEncoder(ENCODER.columns, ENCODER.target, places)
    shape = (1, encoder.side, encoder.side)
    module = build(sequential_spec([], [5], shape, 3), generator(0, "a test"))
    normalisation = Normalisation(torch.rand(shape, generator=generator(1, "a test")), torch.full((1, 1, 1), 0.3), "a")
    return module.eval(), Preprocessing(shape, ("x", "y", "z"), normalisation, table=True, encoder=encoder)


@torch.no_grad()
def wanted(network, rows: pd.DataFrame) -> torch.Tensor:
    module, preprocessing = network
    return module(preprocessing(preprocessing.encoder(rows, "rows").images)).softmax(1)


def test_an_onnx_graph_takes_columns(tmp_path):
    network = make(PLACES)
    onnxruntime = pytest.importorskip("onnxruntime")
    rows = Split(torch.zeros(1, *network[1].image_shape), torch.zeros(1, dtype=torch.int64))
    done = export(*network, rows, tmp_path / "a.onnx", "onnx", Variant(raw=True))
    assert done.rows and done.share <= 1
    session = onnxruntime.InferenceSession(done.path)
    cells = pd.DataFrame({name: [cell.strip() for cell in cells] for name, cells in CELLS.items()}, dtype=object)
    columns = {
        column.name: as_numbers(cells[column.name], column.style).to_numpy()[:, None]
        if isinstance(column, NumberColumn)
        else cells[column.name].to_numpy(dtype=object)[:, None]
        for column in ENCODER.columns
    }
    (found,) = session.run(None, columns)
    torch.testing.assert_close(torch.from_numpy(found), wanted(network, cells), atol=1e-6, rtol=0)
    notes = session.get_modelmeta().custom_metadata_map
    assert [each["name"] for each in json.loads(notes["columns"])] == [column.name for column in ENCODER.columns]
    assert json.loads(notes["normalisation"])["formula"] == "(value - mean) / std"
    assert session.get_providers() and session.get_outputs()[0].name == "probabilities"


@pytest.mark.parametrize("places", [None, PLACES])
def test_python_source_reads_cells(places, tmp_path):
    network = make(places)
    rows = pd.DataFrame({name: [cell.strip() for cell in cells] for name, cells in CELLS.items()}, dtype=object)
    (tmp_path / "out").mkdir()
    write_python(*network, tmp_path / "out")
    made = runpy.run_path(str(tmp_path / "out" / "model.py"))
    cells = [dict(zip(CELLS, row, strict=True)) for row in zip(*CELLS.values(), strict=True)]
    with torch.no_grad():
        found = made["load"]()(made["preprocess"](cells)).softmax(1)
    torch.testing.assert_close(found, wanted(network, rows), atol=1e-6, rtol=0)
    assert "growsearch" not in (tmp_path / "out" / "model.py").read_text().split('"""', 2)[2]


@pytest.mark.parametrize("form", [form for form in DATES if form != "ISO8601"])
def test_dates_of_every_form_are_read_alike(form):
    moments = pd.date_range("1999-12-30 13:05:07", periods=40, freq="1000h")
    cells = pd.Series([moment.strftime(form) for moment in moments], dtype=object)
    ours = as_numbers(cells, form)
    found = [read_number(cell, {"date": form}, 1e30) for cell in cells]
    np.testing.assert_allclose(found, ours, rtol=0, atol=1e-9)


def test_what_columns_cannot_leave_is_told(tmp_path):
    module, preprocessing = make(None)
    for format, precision in (("pt2", "float32"), ("onnx", "int8")):
        with pytest.raises(UserError, match="for a run on a table; use onnx and float32"):
            export(module, preprocessing, None, tmp_path / "a", format, Variant(raw=True, precision=precision))
