"""Images that are slow to decode are decoded once and kept as arrays of bytes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from growsearch.data.lock import locked
from growsearch.text import reason


def digest(*parts: object) -> str:
    """A short name for everything that the decoded arrays depend on."""
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=10).hexdigest()


def decoded(place: Path, name: str, build: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the arrays kept in ``place`` as ``name``, building and keeping them if they are not there.

    Two processes at once build once. A torn file is built again. If there is no room to keep the
    arrays, they are returned all the same and a warning says so.
    """
    file = place / f"{name}.safetensors"
    if (kept := _load(file)) is not None:
        return kept
    with locked(place, name):
        if (kept := _load(file)) is not None:
            return kept
        arrays = build()
        _keep(arrays, file)
    return arrays


def _load(file: Path) -> dict[str, Tensor] | None:
    try:
        return load_file(file)
    except (OSError, SafetensorError):
        return None


def _keep(arrays: dict[str, Tensor], file: Path) -> None:
    temporary = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    try:
        save_file(arrays, temporary)
        with temporary.open("rb") as handle:
            os.fsync(handle.fileno())
        temporary.chmod(0o644)  # a root may be shared by several users
        temporary.replace(file)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        warnings.warn(
            f"{file}: decoded images could not be kept ({reason(error)}); the next run decodes again", stacklevel=2
        )
