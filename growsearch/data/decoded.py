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
from growsearch.errors import UserError
from growsearch.text import reason
from growsearch.untrusted import parsing, require_plain


def digest(*parts: object) -> str:
    """A short name for everything that the decoded arrays depend on."""
    return blake2b("\0".join(map(str, parts)).encode(), digest_size=10).hexdigest()


def decoded(
    place: Path, name: str, counts: dict[str, int], build: Callable[[], dict[str, Tensor]]
) -> dict[str, Tensor]:
    """Return the arrays kept in ``place`` as ``name``, building and keeping them if they are not there.

    Two processes at once build once. A torn file, or one of other arrays, is built again. If there is
    no room to keep the arrays, they are returned all the same and a warning says so.

    Args:
        place: the folder.
        name: see :func:`digest`.
        counts: names of the arrays, and how many entries each has (0 for any number).
        build: makes them.
    """
    file = place / f"{name}.safetensors"
    if (kept := _load(file, counts)) is not None:
        return kept
    with locked(place, name):
        if (kept := _load(file, counts)) is not None:
            return kept
        arrays = build()
        _keep(arrays, file)
    return arrays


def _load(file: Path, counts: dict[str, int]) -> dict[str, Tensor] | None:
    try:
        with parsing(file, "damaged"):
            require_plain(file)
            kept = load_file(file)
    except UserError:
        return None
    whole = kept.keys() == counts.keys() and all(counts[key] in (0, len(array)) for key, array in kept.items())
    return kept if whole else None


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
