"""An ONNX file with weights and activations of eight bits, by onnxruntime's static quantisation."""

import os
from pathlib import Path
from typing import Any

from torch import Tensor

BATCH = 32
TYPES = (
    "Conv",
    "ConvTranspose",
    "Gemm",
    "MatMul",
    "Add",
    "Relu",
    "MaxPool",
    "AveragePool",
    "GlobalAveragePool",
    "Concat",
)
"""Operators that compute in eight bits; softmax and normalisation stay float32."""


def quantise(path: Path, name: str, images: Tensor, raw: bool) -> None:
    """Replace the graph in ``path`` by one in eight bits; its notes stay.

    Args:
        path: an ONNX file.
        name: of its input.
        images: what ranges of activations are learnt from, as the input takes them.
        raw: the graph begins with scaling, which stays as it is.
    """
    import onnx
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Images(CalibrationDataReader):
        """The images, some at a time."""

        def __init__(self) -> None:
            self.batches = iter(images.split(BATCH))

        def get_next(self) -> dict[str, Any] | None:
            batch = next(self.batches, None)
            return None if batch is None else {name: batch.numpy()}

    notes = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
    prepared = path.with_suffix(".prepared.onnx")
    try:
        quant_pre_process(path, prepared, skip_symbolic_shape=True)
        graph = onnx.load(prepared)
        kept = _scaling(graph) if raw else []
        onnx.save(graph, prepared)
        quantize_static(
            prepared,
            path,
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(TYPES),
            nodes_to_exclude=kept,
            per_channel=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
        graph = onnx.load(path)
        onnx.helper.set_model_props(graph, notes)
        onnx.save(graph, path)
    finally:
        if prepared.exists():
            os.unlink(prepared)


def _scaling(graph: Any) -> list[str]:
    """Names of the nodes up to the second matrix product, which end the scaling; nameless ones get one."""
    names, products = [], 0
    for index, node in enumerate(graph.graph.node):
        node.name = node.name or f"scaling_{index}"
        names.append(node.name)
        products += node.op_type == "MatMul"
        if products == 2:
            return names
    return names
