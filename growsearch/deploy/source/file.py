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
from growsearch.deploy.source.rows import plain_columns
from growsearch.deploy.source.rows import source as source_of_rows
from growsearch.errors import UserError
from growsearch.networks.tensors import portable
from growsearch.release import RELEASE
from growsearch.run_folder.files import write_json
from growsearch.surgery.tensors import copied

MODEL, WEIGHTS, COLUMNS = "model.py", "model.safetensors", "columns.json"

FILE = Template('''\
"""A network of $params parameters for images [N, $shape], written by growsearch $release.

It needs torch and safetensors. The weights lie in $weights beside this file$beside:

    from model import CLASSES, load, preprocess

    probabilities = load()(preprocess($inputs)).softmax(1)  # $inputs: $kind
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


$preprocess
''')

OF_IMAGES = '''\
def preprocess(images: Tensor) -> Tensor:
    """Normalise images [N, C, H, W] of bytes, as the network was trained on them."""
    return (images.to(torch.float32) - 255 * MEAN) / (255 * STD)
'''

OF_ROWS = '''\
def preprocess(rows: Sequence[Mapping[str, str]]) -> Tensor:
    """Encode rows, each with its cells by column as csv.DictReader gives them, as the network was trained on them."""
    return (encode(rows, TABLE) - MEAN) / STD
'''


def write_python(module: nn.Module, preprocessing: Preprocessing, folder: Path) -> nn.Module:
    """Write a network as Python source that needs torch alone, with its weights beside it.

    Control flow is written as it goes for images of the network's size; parts that are used in training alone, such as
    auxiliary heads, are left out.

    Args:
        module: the network; stays as it is.
        preprocessing: its normalisation and classes.
        folder: an existing folder, for model.py, model.safetensors and, of a run on a table, columns.json.

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
    (folder / WEIGHTS).write_bytes(safetensors.torch.save(tensors, metadata(preprocessing)))  # save_file's is private
    if preprocessing.encoder is not None:
        write_json(folder / COLUMNS, plain_columns(preprocessing.encoder))
    (folder / MODEL).write_text(_file(classes, preprocessing, sum(p.numel() for p in network.parameters())), "utf-8")
    try:
        made = runpy.run_path(str(folder / MODEL))["load"]()
    except (SyntaxError, TypeError, NameError, RuntimeError, AttributeError) as error:
        raise UserError(f"--format: python cannot hold this network ({error})") from error
    return made


def _file(classes: list[str], preprocessing: Preprocessing, params: int) -> str:
    source = "\n\n\n".join(classes)
    names, rows = preprocessing.classes, preprocessing.encoder is not None
    shape = ", ".join(map(str, preprocessing.image_shape))
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
    if rows:
        lines.append(f'TABLE = json.loads(Path(__file__).with_name("{COLUMNS}").read_text(encoding="utf-8"))')
    else:
        span = None if preprocessing.span is None else tuple(preprocessing.span)
        lines.append(f"RANGE = {span}  # values that became the bytes 0 and 255; None if there were bytes alone")
    return FILE.substitute(
        beside=f", what was learnt of the columns in {COLUMNS}" if rows else "",
        inputs="rows" if rows else "images",
        kind="dictionaries of cells by column, as csv.DictReader gives them" if rows else f"[N, {shape}] uint8",
        preprocess=(f"{source_of_rows()}\n\n\n{OF_ROWS}" if rows else OF_IMAGES).rstrip(),
        params=f"{params:,}",
        shape=shape,
        release=RELEASE,
        weights=WEIGHTS,
        imports="\n".join(_imports(source, per_channel, rows)),
        classes=pprint.pformat(tuple(names), width=110, compact=True),
        image_shape=tuple(preprocessing.image_shape),
        statistics="\n".join(lines),
        classes_source=source,
    )


def _imports(source: str, per_channel: bool, rows: bool) -> list[str]:
    standard = ["import json"] if rows or not per_channel else []
    standard += ["import math"] if rows or "math." in source else []
    standard += ["import re", "from collections.abc import Mapping, Sequence"] if rows else []
    standard += ["from datetime import datetime, timedelta, timezone"] if rows else []
    functional = ["import torch.nn.functional as F"] if "F." in source else []
    opened = [] if per_channel else ["from safetensors import safe_open"]
    return [
        *standard,
        "from pathlib import Path",
        *(["from typing import Any"] if rows else []),
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
