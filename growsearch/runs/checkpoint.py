"""A checkpoint: one safetensors file with the tensors by name, the plain state as JSON, a checksum."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from growsearch.errors import UserError
from growsearch.runs.files import storage_errors, write_atomic

_TENSOR = "$tensor"


def write_checkpoint(folder: Path, tree: Any) -> None:
    """Save a tree of plain types and tensors as ``last.safetensors``; the one before stays as ``previous``.

    Raises:
        UserError: if the disk is full or the folder cannot be written; earlier checkpoints stay.
    """
    tensors: dict[str, Tensor] = {}
    plain = json.dumps(_split(tree, "", tensors))
    data = safetensors.torch.save(tensors, metadata={"state": plain, "checksum": _checksum(plain, tensors)})
    last = folder / "last.safetensors"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if last.exists():
            _keep(last, folder / "previous.safetensors")
    write_atomic(last, data)


def read_checkpoint(path: Path) -> Any:
    """Read one checkpoint.

    Raises:
        UserError: if it is missing, torn, altered, or not a checkpoint.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        plain = metadata["state"]
        if metadata["checksum"] != _checksum(plain, tensors):
            raise ValueError("checksum differs")
        return _join(json.loads(plain), tensors)
    except (SafetensorError, OSError, ValueError, KeyError, RecursionError) as error:
        raise UserError(f"{path}: not a whole checkpoint ({error})") from error


def read_newest(folder: Path) -> tuple[Any, str | None]:
    """The newest whole checkpoint of a folder, and a remark if the last one could not be used.

    Raises:
        UserError: if there is none that is whole.
    """
    problem = None
    for name in ("last.safetensors", "previous.safetensors"):
        if (folder / name).exists():
            try:
                return read_checkpoint(folder / name), problem
            except UserError as error:
                problem = str(error)
    raise UserError(problem or f"{folder}: no checkpoint found; the run has to start anew")


def _keep(last: Path, previous: Path) -> None:
    """Make ``previous`` another name of ``last``, so that a whole ``last`` exists at every moment."""
    spare = previous.with_name(".previous.tmp")
    spare.unlink(missing_ok=True)
    try:
        os.link(last, spare)
        os.replace(spare, previous)
    except OSError:  # a file system without hard links
        os.replace(last, previous)


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
