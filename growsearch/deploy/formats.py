"""The formats that a network leaves in: each writes its file and gives back what runs it."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from growsearch.deploy.metadata import metadata
from growsearch.deploy.preprocessing import Preprocessing
from growsearch.deploy.raw import Half, Raw
from growsearch.deploy.rows import encoder_of, rows_notes, with_columns
from growsearch.deploy.source import write_python
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.tensors import load_module_tensors, module_tensors, portable
from growsearch.surgery.tensors import copied

Runner = Callable[[Any], Tensor]
"""Images [B, C, H, W] float32 to logits [B, classes] by the file; with ``raw`` pictures [B, H, W, C] uint8, or the
columns of a table by name, to probabilities."""

PRECISIONS = ("float32", "float16", "int8")


@dataclass(frozen=True)
class Variant:
    """Variant of an exported file.

    Attributes:
        raw: preprocessing is part of the file: pictures of bytes of any size, or columns of a table, in; probabilities
            out.
        precision: one of ``PRECISIONS``; of weights and of what is computed with them.
        calibration: training images [N, C, H, W] as the data set holds them, from which int8 learns its ranges.
    """

    raw: bool = False
    precision: str = "float32"
    calibration: Tensor | None = None


Writer = Callable[[nn.Module, Preprocessing, Path, Variant], Runner]


def write_safetensors(module: nn.Module, preprocessing: Preprocessing, path: Path, variant: Variant) -> Runner:
    """Weights, with the architecture as JSON in the metadata: ``growsearch.networks.build`` rebuilds the network."""
    spec = module.spec()  # type: ignore[operator]
    tensors = {name: portable(tensor) for name, tensor in module_tensors(module).items()}
    path.write_bytes(safetensors.torch.save(tensors, {"architecture": json.dumps(spec), **metadata(preprocessing)}))
    with safe_open(path, "pt") as file:
        rebuilt = build(json.loads(file.metadata()["architecture"]))
        load_module_tensors(rebuilt, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return rebuilt.eval()


def write_source(module: nn.Module, preprocessing: Preprocessing, path: Path, variant: Variant) -> Runner:
    """A folder of model.py and model.safetensors; see :mod:`growsearch.deploy.source`."""
    path.mkdir()
    return write_python(module, preprocessing, path)


def write_pt2(module: nn.Module, preprocessing: Preprocessing, path: Path, variant: Variant) -> Runner:
    """A torch.export program: ``torch.export.load(path).module()`` runs it without growsearch."""
    whole, example, sizes, notes = _program(module, preprocessing, variant)
    with _quiet():
        program = torch.export.export(whole, (example,), dynamic_shapes=(sizes,))
        torch.export.save(program, path, extra_files=notes)
        return torch.export.load(path).module()


def write_onnx(module: nn.Module, preprocessing: Preprocessing, path: Path, variant: Variant) -> Runner:
    """An ONNX graph from ``images`` to ``logits`` (``pictures`` to ``probabilities``), for onnxruntime and others.

    Raises:
        UserError: if the packages of the extra ``export`` are not installed.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(f"--format: onnx needs the package {error.name!r}; pip install 'growsearch[export]'") from error
    rows = variant.raw and preprocessing.table
    if rows:
        encoder_of(preprocessing)
        variant = replace(variant, raw=False)
    whole, example, sizes, notes = _program(module, preprocessing, variant)
    source, target = ("pictures", "probabilities") if variant.raw else ("images", "logits")
    with _quiet():
        program = torch.onnx.export(
            whole,
            (example,),
            input_names=[source],
            output_names=[target],
            dynamic_shapes=(sizes,),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(notes)
        program.save(path, external_data=False)
        if variant.precision == "int8":
            from growsearch.deploy.quantise import quantise

            quantise(path, source, _calibration(preprocessing, variant), variant.raw)
        if rows:
            model = with_columns(onnx.load(path), preprocessing)
            onnx.helper.set_model_props(model, notes | rows_notes(preprocessing))
            onnx.save(model, path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    if rows:
        return lambda columns: torch.from_numpy(session.run(["probabilities"], columns)[0])
    return lambda images: torch.from_numpy(session.run([target], {source: images.numpy()})[0])


WRITERS: dict[str, Writer] = {
    "pt2": write_pt2,
    "onnx": write_onnx,
    "safetensors": write_safetensors,
    "python": write_source,
}
"""By the name of the format, which is the file's suffix where there is one file."""


ROWS = ("onnx", "float32")
"""Format and precision that hold the whole path of a table."""


def check_variant(format: str, variant: Variant, preprocessing: Preprocessing | None = None) -> None:
    """Refuse what a format cannot hold, of a run with this preprocessing where it is known.

    Raises:
        UserError: naming what it can.
    """
    if format not in WRITERS:
        raise UserError(f"--format: {format!r} is not accepted; use one of {', '.join(WRITERS)}")
    if variant.raw and format not in ("onnx", "pt2"):
        raise UserError(f"--raw is not accepted with --format {format}; use onnx or pt2")
    if variant.precision not in PRECISIONS:
        raise UserError(f"--precision: {variant.precision!r} is not accepted; use one of {', '.join(PRECISIONS)}")
    if variant.raw and preprocessing is not None and preprocessing.table and (format, variant.precision) != ROWS:
        raise UserError(
            f"--raw is not accepted with --format {format} and {variant.precision} for a run on a table;"
            f" use {' and '.join(ROWS)}"
        )
    holds = {"onnx": PRECISIONS, "pt2": ("float32", "float16")}.get(format, ("float32",))
    if variant.precision not in holds:
        raise UserError(
            f"--precision: {variant.precision} is not accepted with --format {format}; use {' or '.join(holds)}"
        )


def _program(
    module: nn.Module, preprocessing: Preprocessing, variant: Variant
) -> tuple[nn.Module, Tensor, dict[int, Any], dict[str, str]]:
    """Contents of an export: the module, an example of its input, its free sizes, and notes for the file."""
    notes = {**metadata(preprocessing), "precision": variant.precision}
    channels, height, width = preprocessing.image_shape
    if variant.precision == "float16":
        module = Half(copied(module, lambda tensor: tensor.half() if tensor.is_floating_point() else tensor.clone()))
    free = {0: torch.export.Dim("batch", min=1)}
    if not variant.raw:
        notes |= {"input": "normalised images [N, C, H, W] float32", "output": "logits [N, classes]"}
        # Two images, as a batch of one would be taken for a constant.
        return module.eval(), torch.zeros(2, channels, height, width), free, notes
    notes |= {"input": "pictures [N, height, width, C] uint8, of any size", "output": "probabilities [N, classes]"}
    free |= {1: torch.export.Dim("height", min=1), 2: torch.export.Dim("width", min=1)}
    example = torch.zeros(2, height + 3, width + 5, channels, dtype=torch.uint8)
    return Raw(module, preprocessing).eval(), example, free, notes


def _calibration(preprocessing: Preprocessing, variant: Variant) -> Tensor:
    if variant.calibration is None or not len(variant.calibration):
        raise UserError("--precision: int8 needs training images, from which its ranges are learnt; the run has none")
    return pictures_of(variant.calibration) if variant.raw else preprocessing(variant.calibration)


def pictures_of(images: Tensor) -> Tensor:
    """Images [N, C, H, W] of a data set as pictures [N, H, W, C].

    Raises:
        UserError: if they are not bytes.
    """
    if images.dtype != torch.uint8:
        raise UserError(f"--raw needs images of bytes; the run's are {images.dtype}")
    return images.permute(0, 2, 3, 1).contiguous()


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporters' progress and remarks from the terminal; errors still raise."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        before = logging.root.manager.disable
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
