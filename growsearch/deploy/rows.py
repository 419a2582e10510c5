"""The whole path of a table as one ONNX graph: columns in, probabilities out.

Shape letters: N rows, K columns of numbers, F encoded columns, S side of the square.
"""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from growsearch.data.table import LARGEST
from growsearch.data.table_encoder import CategoryColumn, NumberColumn, TableEncoder
from growsearch.deploy.preprocessing import Preprocessing
from growsearch.errors import UserError

INSIDE = "inside/"
"""Begins the names of the graph's own values, which no column may have."""

INPUT = (
    "an array [N, 1] for each of columns, by its name: float64 for numbers (NaN where missing; dates are days since"
    " 1970-01-01 UTC, percentages what stands before the sign), text for categories (any other word where missing)"
)

Columns = dict[str, np.ndarray]
"""Values [N, 1] by name of the column: float64, or text as objects."""


def encoder_of(preprocessing: Preprocessing) -> TableEncoder:
    """The encoder of a run on a table.

    Raises:
        UserError: if the run kept none.
    """
    if preprocessing.encoder is None:
        raise UserError("--raw: the run kept no encoder of its table; run it anew with this version")
    return preprocessing.encoder


def rows_notes(preprocessing: Preprocessing) -> dict[str, str]:
    """Description of the graph's inputs and output, for the file's notes."""
    columns = [
        {"name": column.name, "categories": list(column.categories)}
        if isinstance(column, CategoryColumn)
        else {"name": column.name, "style": column.style}
        for column in encoder_of(preprocessing).columns
    ]
    return {"columns": json.dumps(columns), "input": INPUT, "output": "probabilities [N, classes]"}


def with_columns(network: Any, preprocessing: Preprocessing) -> Any:
    """Put a run's encoder before a network and softmax behind it.

    Args:
        network: an ONNX model from ``images`` to ``logits``.
        preprocessing: of the run.

    Returns:
        An ONNX model with an input for each column and the output ``probabilities``.

    Raises:
        UserError: if a column's name cannot be that of an input.
    """
    import onnx
    from onnx import compose, helper, numpy_helper

    encoder = encoder_of(preprocessing)
    numbers = [column for column in encoder.columns if isinstance(column, NumberColumn)]
    words = [column for column in encoder.columns if isinstance(column, CategoryColumn)]
    bad = [c.name for c in encoder.columns if c.name in ("", "probabilities") or c.name.startswith(INSIDE)]
    if bad:
        raise UserError(f"--raw: {bad[0]!r} is the name of a column, but cannot be that of an input; rename the column")
    nodes: list[Any] = []
    constants: list[Any] = []

    def node(kind: str, inputs: list[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(kind, inputs, [f"{INSIDE}{name}"], name=f"{INSIDE}{name}", **attributes))
        return f"{INSIDE}{name}"

    def constant(name: str, values: Any, kind: type) -> str:
        constants.append(numpy_helper.from_array(np.asarray(values, kind), f"{INSIDE}{name}"))
        return f"{INSIDE}{name}"

    parts = []
    if numbers:
        spread = [c.greatest - c.least or 1.0 for c in numbers]
        values = node("Concat", [c.name for c in numbers], "numbers", axis=1)
        size = node("Abs", [values], "size")
        known = node("LessOrEqual", [size, constant("largest", LARGEST, np.float64)], "known")  # NaN is not
        values = node("Where", [known, values, constant("means", [[c.mean for c in numbers]], np.float64)], "imputed")
        values = node("Sub", [values, constant("least", [[c.least for c in numbers]], np.float64)], "shifted")
        values = node("Div", [values, constant("spread", [spread], np.float64)], "scaled")
        ends = constant("zero", 0.0, np.float64), constant("one", 1.0, np.float64)
        parts.append(node("Cast", [node("Clip", [values, *ends], "clipped")], "cast", to=onnx.TensorProto.FLOAT))
    axis = constant("axis", [1], np.int64)
    for index, column in enumerate(words):
        cats = [category.encode() for category in column.categories]
        hot = node("OneHotEncoder", [column.name], f"hot{index}", domain="ai.onnx.ml", cats_strings=cats, zeros=1)
        parts.append(node("Squeeze", [hot, axis], f"words{index}"))
    features = node("Concat", parts, "features", axis=1)
    padded = node("Pad", [features, constant("pads", [0, 0, 0, 1], np.int64)], "padded")
    placed = node("Gather", [padded, constant("places", _places(encoder), np.int64)], "placed", axis=1)
    shape = constant("shape", [-1, 1, encoder.side, encoder.side], np.int64)
    square = node("Reshape", [placed, shape], "square")
    normalisation = preprocessing.normalisation
    centred = node("Sub", [square, constant("mean", normalisation.mean[None].numpy(), np.float32)], "centred")
    images = node("Div", [centred, constant("std", normalisation.std[None].numpy(), np.float32)], "images")

    inner = compose.add_prefix(network, f"{INSIDE}network/")
    graph = inner.graph
    for each in graph.node:
        each.input[:] = [images if name == f"{INSIDE}network/images" else name for name in each.input]
    logits = f"{INSIDE}network/logits"
    nodes += [*graph.node, helper.make_node("Softmax", [logits], ["probabilities"], name=f"{INSIDE}softmax", axis=1)]
    kinds = {column.name: onnx.TensorProto.DOUBLE for column in numbers} | {
        column.name: onnx.TensorProto.STRING for column in words
    }
    inputs = [helper.make_tensor_value_info(c.name, kinds[c.name], ["N", 1]) for c in encoder.columns]
    classes = len(preprocessing.classes)
    output = helper.make_tensor_value_info("probabilities", onnx.TensorProto.FLOAT, ["N", classes])
    whole = helper.make_graph(nodes, "rows", inputs, [output], [*constants, *graph.initializer])
    opsets = [*inner.opset_import, helper.make_opsetid("ai.onnx.ml", 3)]
    model = helper.make_model(whole, opset_imports=opsets, ir_version=inner.ir_version, functions=inner.functions)
    onnx.checker.check_model(model)
    return model


def _places(encoder: TableEncoder) -> list[int]:
    """Index, among numbers, categories and a last column of zeros, of each place of the square, row by row."""
    count = sum(isinstance(column, NumberColumn) for column in encoder.columns)
    order: list[int] = []
    number, word = 0, count
    for column in encoder.columns:
        if isinstance(column, CategoryColumn):
            order += range(word, word + len(column.categories))
            word += len(column.categories)
        else:
            order.append(number)
            number += 1
    shown = order if encoder.places is None else [order[place] if place >= 0 else word for place in encoder.places]
    return shown + [word] * (encoder.side**2 - len(shown))


def example_rows(encoder: TableEncoder, count: int) -> Columns:
    """Rows of all kinds, the same in every call: known and unknown words, numbers within and beyond, and none."""
    draws = np.random.default_rng(0)
    made: Columns = {}
    for column in encoder.columns:
        if isinstance(column, CategoryColumn):
            known = np.array([*column.categories, "", "an unknown word"], dtype=object)
            made[column.name] = known[draws.integers(0, len(known), count)][:, None]
        else:
            spread = column.greatest - column.least or 1.0
            values = draws.uniform(column.least - spread / 4, column.greatest + spread / 4, count)
            values[draws.random(count) < 0.1] = np.nan
            made[column.name] = values[:, None]
    return made


def images_of(encoder: TableEncoder, rows: Mapping[str, np.ndarray]) -> torch.Tensor:
    """The images that growsearch itself makes of rows, [N, 1, S, S] float32."""
    numbers = [rows[c.name][:, 0] for c in encoder.columns if isinstance(c, NumberColumn)]
    words = [rows[c.name][:, 0] for c in encoder.columns if isinstance(c, CategoryColumn)]
    return encoder.encode(numbers, words)
