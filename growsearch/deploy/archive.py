"""A network as two files: architecture.json and weights.safetensors. No code, no pickle."""

from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError
from torch import nn

from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.tensors import load_module_tensors, module_tensors, portable
from growsearch.runs.files import read_json, write_atomic, write_json

ARCHITECTURE, WEIGHTS = "architecture.json", "weights.safetensors"


def save_network(folder: Path, module: nn.Module, spec: dict[str, Any]) -> None:
    """Write a network; tied tensors are stored once.

    Raises:
        UserError: if the disk is full or the folder cannot be written.
    """
    tensors = {name: portable(tensor) for name, tensor in module_tensors(module).items()}
    write_atomic(folder / WEIGHTS, safetensors.torch.save(tensors))
    write_json(folder / ARCHITECTURE, spec)


def load_network(folder: Path) -> nn.Module:
    """Rebuild a network that :func:`save_network` wrote, on the CPU, in evaluation mode.

    Raises:
        UserError: if a file is missing, damaged, or does not fit the other.
    """
    module = build(read_json(folder / ARCHITECTURE))
    path = folder / WEIGHTS
    try:
        tensors = safetensors.torch.load_file(path)
    except (SafetensorError, OSError) as error:
        raise UserError(f"{path}: not readable as weights ({error})") from error
    load_module_tensors(module, tensors)
    return module.eval()
