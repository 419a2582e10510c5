"""A checkpoint: one safetensors file with the tensors by name, the plain state as JSON, a checksum."""

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import safe_open
from torch import Tensor

from growsearch.errors import LackOfMemory, UserError
from growsearch.memory import require_memory
from growsearch.run_folder.files import keep_as, write_atomic
from growsearch.untrusted import parsing, require_plain

NAMES = ("last.safetensors", "previous.safetensors")
"""Checkpoints of a run, the newest first."""

_TENSOR = "$tensor"


def write_checkpoint(folder: Path, tree: Any) -> None:
    """Save a tree of plain types and tensors as ``last.safetensors``; the one before stays as ``previous``.

    Raises:
        UserError: if the disk is full or the folder cannot be written; earlier checkpoints stay.
    """
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(_split(tree, "", tensors))
    data = safetensors.torch.save(tensors, metadata={"state": plain, "checksum": _checksum(plain, tensors)})
    last, previous = (folder / name for name in NAMES)
    if last.exists():
        keep_as(last, previous)
    write_atomic(last, data)


def read_checkpoint(path: Path) -> Any:
    """Read one checkpoint.

    Raises:
        UserError: if it is missing, torn, altered, or not a checkpoint.
    """
    with parsing(path, "not a whole checkpoint"):
        require_memory(require_plain(path), str(path), "use a machine with more")
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        plain = metadata["state"]
        if metadata["checksum"] != _checksum(plain, tensors):
            raise ValueError("checksum differs")
        return _join(json.loads(plain), tensors)


def read_all(folder: Path) -> Iterator[tuple[Path, Any, UserError | None]]:
    """The checkpoints of a folder, newest first: path, tree, and what is wrong if there is no tree.

    Raises:
        LackOfMemory: if there is too little for one, which may be as good as any.
    """
    for path in (folder / name for name in NAMES):
        if os.path.lexists(path):
            try:
                yield path, read_checkpoint(path), None
            except LackOfMemory:
                raise
            except UserError as error:
                yield path, None, error


def _split(value: Any, path: str, tensors: dict[str, Tensor]) -> Any:
    """Replace tensors by references, collecting them under their path in the tree."""
    if isinstance(value, Tensor):
        tensors[path] = value
        return {_TENSOR: path}
    if isinstance(value, dict):
        return {key: _split(item, f"{path}/{key}", tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_split(item, f"{path}/{i}", tensors) for i, item in enumerate(value)]
    return value


def _join(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, dict):
        if value.keys() == {_TENSOR}:
            return tensors[value[_TENSOR]]
        return {key: _join(item, tensors) for key, item in value.items()}
    if isinstance(value, list):
        return [_join(item, tensors) for item in value]
    return value


def _checksum(plain: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.blake2b(plain.encode(), digest_size=16)
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().view(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
