"""The written network: model.py and model.safetensors in one folder."""

import pprint
import runpy
from pathlib import Path
from string import Template

import numpy as np
import safetensors.torch
import torch
from torch import Tensor, nn

from growsearch.deploy.metadata import metadata
from growsearch.deploy.preprocessing import Preprocessing
from growsearch.deploy.source.classes import Writer
from growsearch.deploy.source.record import Recorder, evaluation
from growsearch.errors import UserError
from growsearch.networks.tensors import portable
from growsearch.release import RELEASE
from growsearch.surgery.tensors import copied

MODEL, WEIGHTS = "model.py", "model.safetensors"

FILE = Template('''\
"""A network of $params parameters for images [N, $shape], written by growsearch $release.

It needs torch and safetensors. The weights lie in $weights beside this file:

    from model import CLASSES, load, preprocess

    probabilities = load()(preprocess(images)).softmax(1)  # images: [N, $shape] uint8
"""

$imports

CLASSES = $classes
IMAGE_SHAPE = $image_shape
$statistics


$classes_source


def load(weights: Path = Path(__file__).with_name("$weights")) -> Network:
    """The network with its weights, in evaluation mode; every tensor must be there, and no other."""
    network = Network()
    network.load_state_dict(load_file(weights), strict=True)
    return network.eval()


def preprocess(images: Tensor) -> Tensor:
    """Normalise images [N, C, H, W] of bytes, as the network was trained on them."""
    return (images.to(torch.float32) - 255 * MEAN) / (255 * STD)
''')


def write_python(module: nn.Module, preprocessing: Preprocessing, folder: Path) -> nn.Module:
    """Write a network as Python source that needs torch alone, with its weights beside it.

    Control flow is written as it goes for images of the network's size; parts that are used in training alone, such as
    auxiliary heads, are left out.

    Args:
        module: the network; stays as it is.
        preprocessing: its normalisation and classes.
        folder: an existing folder, for model.py and model.safetensors.

    Returns:
        The network that the written files make, in evaluation mode.

    Raises:
        UserError: if something in the network cannot be written.
    """
    network = copied(module, Tensor.clone)
    parameter = next(network.parameters(), torch.zeros(()))
    example = torch.zeros(2, *preprocessing.image_shape, dtype=parameter.dtype)
    with evaluation(network):
        recorder = Recorder(example)
        writer = Writer(network, *recorder.record(network), recorder.calls)
        classes = writer.source()
    state = {
        **dict(network.named_parameters(remove_duplicate=False)),
        **dict(network.named_buffers(remove_duplicate=False)),
    }
    tensors = {new: portable(state[old]) for old, new in writer.names.items()}
    safetensors.torch.save_file(tensors, folder / WEIGHTS, metadata(preprocessing))
    (folder / MODEL).write_text(_file(classes, preprocessing, sum(p.numel() for p in network.parameters())), "utf-8")
    try:
        made = runpy.run_path(str(folder / MODEL))["load"]()
    except (SyntaxError, TypeError, NameError, RuntimeError, AttributeError) as error:
        raise UserError(f"--format: python cannot hold this network ({error})") from error
    return made


def _file(classes: list[str], preprocessing: Preprocessing, params: int) -> str:
    source = "\n\n\n".join(classes)
    names = preprocessing.classes
    values = preprocessing.normalisation
    per_channel = values.mean.shape[1:] == (1, 1)
    lines = [f"STD = {_statistics(values.std)}"]
    if per_channel:
        lines.insert(0, f"MEAN = {_statistics(values.mean)}")
        lines[-1] += "  # of pixels scaled to 0..1, by channel"
    else:
        lines.append('with safe_open(Path(__file__).with_name("model.safetensors"), "pt") as file:')
        lines.append(
            '    MEAN = torch.tensor(json.loads(file.metadata()["normalisation"])["mean"])  # an image, [C, H, W]'
        )
    return FILE.substitute(
        params=f"{params:,}",
        shape=", ".join(map(str, preprocessing.image_shape)),
        release=RELEASE,
        weights=WEIGHTS,
        imports="\n".join(_imports(source, per_channel)),
        classes=pprint.pformat(tuple(names), width=110, compact=True),
        image_shape=tuple(preprocessing.image_shape),
        statistics="\n".join(lines),
        classes_source=source,
    )


def _imports(source: str, per_channel: bool) -> list[str]:
    standard = [] if per_channel else ["import json"]
    standard += ["import math"] if "math." in source else []
    functional = ["import torch.nn.functional as F"] if "F." in source else []
    opened = [] if per_channel else ["from safetensors import safe_open"]
    return [
        *standard,
        "from pathlib import Path",
        "",
        "import torch",
        *functional,
        *opened,
        "from safetensors.torch import load_file",
        "from torch import Tensor, nn",
    ]


def _statistics(values: Tensor) -> str:
    """Numbers by channel, in the fewest digits that give the same float32."""
    digits = ", ".join(str(np.float32(value)) for value in values.flatten().tolist())
    return f"torch.tensor([{digits}]).view(-1, 1, 1)"
