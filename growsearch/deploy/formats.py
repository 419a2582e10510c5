"""The formats that a network leaves in: each writes one file and gives back what runs it."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor, nn

from growsearch.deploy.preprocessing import Preprocessing
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.tensors import load_module_tensors, module_tensors, portable

Runner = Callable[[Tensor], Tensor]
"""Images [B, C, H, W] float32 to logits [B, classes], as the file on the disk computes them."""

Writer = Callable[[nn.Module, Preprocessing, Path], Runner]


def write_safetensors(module: nn.Module, preprocessing: Preprocessing, path: Path) -> Runner:
    """Weights, with the architecture as JSON in the metadata: ``growsearch.networks.build`` rebuilds the network."""
    spec = module.spec()  # type: ignore[operator]
    tensors = {name: portable(tensor) for name, tensor in module_tensors(module).items()}
    metadata = {"architecture": json.dumps(spec), **_metadata(preprocessing)}
    safetensors.torch.save_file(tensors, path, metadata)
    with safe_open(path, "pt") as file:
        rebuilt = build(json.loads(file.metadata()["architecture"]))
        load_module_tensors(rebuilt, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    return rebuilt.eval()


def write_pt2(module: nn.Module, preprocessing: Preprocessing, path: Path) -> Runner:
    """A torch.export program: ``torch.export.load(path).module()`` runs it without growsearch."""
    with _quiet():
        program = torch.export.export(module, (_example(preprocessing),), dynamic_shapes=(_dynamic_batch(),))
        torch.export.save(program, path, extra_files=_metadata(preprocessing))
        return torch.export.load(path).module()


def write_onnx(module: nn.Module, preprocessing: Preprocessing, path: Path) -> Runner:
    """An ONNX graph from ``images`` to ``logits``, for onnxruntime and others.

    Raises:
        UserError: if the packages of the extra ``export`` are not installed.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--format: onnx found, but the package {error.name!r} is missing; pip install 'growsearch[export]'"
        ) from error
    with _quiet():
        program = torch.onnx.export(
            module,
            (_example(preprocessing),),
            input_names=["images"],
            output_names=["logits"],
            dynamic_shapes=(_dynamic_batch(),),
            dynamo=True,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(_metadata(preprocessing))
        program.save(path, external_data=False)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda images: torch.from_numpy(session.run(["logits"], {"images": images.numpy()})[0])


WRITERS: dict[str, Writer] = {"pt2": write_pt2, "onnx": write_onnx, "safetensors": write_safetensors}
"""By the name and suffix of the format."""


def _metadata(preprocessing: Preprocessing) -> dict[str, str]:
    """What a file says of itself: class names by label, and normalisation with tensors as [C][H][W] lists."""
    normalisation = preprocessing.normalisation
    return {
        "classes": json.dumps(list(preprocessing.classes)),
        "image_shape": json.dumps(list(preprocessing.image_shape)),
        "normalisation": json.dumps(
            {
                "formula": "(byte / 255 - mean) / std",
                "mean": normalisation.mean.tolist(),
                "std": normalisation.std.tolist(),
                "source": normalisation.source,
            }
        ),
    }


def _example(preprocessing: Preprocessing) -> Tensor:
    return torch.zeros(2, *preprocessing.image_shape)  # two, as a batch of one would be taken for a constant


def _dynamic_batch() -> dict[int, Any]:
    return {0: torch.export.Dim("batch", min=1)}


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
