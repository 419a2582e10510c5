"""A network as two files: architecture.json and weights.safetensors. No code, no pickle."""

from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from growsearch.memory import require_memory
from growsearch.networks.builders import trust_names
from growsearch.networks.rebuild import rebuild
from growsearch.networks.tensors import module_tensors, portable
from growsearch.run_folder.files import read_json, write_atomic, write_json
from growsearch.untrusted import parsing, require_plain

ARCHITECTURE, WEIGHTS = "architecture.json", "weights.safetensors"


def save_network(folder: Path, module: nn.Module, spec: dict[str, Any]) -> None:
    """Write a network; tied tensors are stored once.

    Raises:
        UserError: if the disk is full or the folder cannot be written.
    """
    tensors = {name: portable(tensor) for name, tensor in module_tensors(module).items()}
    write_atomic(folder / WEIGHTS, safetensors.torch.save(tensors))
    write_json(folder / ARCHITECTURE, spec)


def load_network(folder: Path, trust: bool = False) -> nn.Module:
    """Rebuild a network that :func:`save_network` wrote, on the CPU, in evaluation mode.

    Args:
        folder: where it is.
        trust: whether the Python function that architecture.json names may be imported and called.

    Raises:
        UserError: if a file is missing, damaged, or does not fit the other.
    """
    spec, path = read_json(folder / ARCHITECTURE), folder / WEIGHTS
    if trust:
        trust_names(spec)
    return rebuild(spec, read_tensors(path, "weights"), folder / ARCHITECTURE).eval()


def read_tensors(path: Path, what: str) -> dict[str, Tensor]:
    """The tensors of a safetensors file, by name.

    Raises:
        UserError: if it is missing, damaged, or larger than memory.
    """
    with parsing(path, f"not readable as {what}"):
        require_memory(require_plain(path), str(path), "use a machine with more")
        return safetensors.torch.load_file(path)
