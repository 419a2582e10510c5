"""The user's own arrays and tensors as a data set: checked, and stored where a run can be resumed from."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from growsearch.errors import UserError

Pair = Sequence[Any]
OwnArrays = Pair | Mapping[str, Pair]

SPLITS = ("train", "val", "test")
NAME = "data"
"""What messages call the arrays."""


def store(data: OwnArrays, root: Path, layout: str) -> Path:
    """Write arrays as a .npz that ``data=npz`` reads, once for each content.

    Args:
        data: ``(images, labels)``, or such pairs by the names of :data:`SPLITS`.
        root: folder above all runs; the file is ``arrays/<digest>.npz`` in it.
        layout: as ``data.layout``.

    Returns:
        The absolute path of the file.

    Raises:
        UserError: if they are no images and labels, or do not fit in memory or on the disk.
    """
    from growsearch.data.arrays import COPIES
    from growsearch.data.readers.arrays import raw_of
    from growsearch.memory import require_memory
    from growsearch.run_folder.files import write_atomic

    arrays = named(data)
    needed = COPIES * sum(array.nbytes for array in arrays.values())
    require_memory(needed, NAME, "use fewer images, or bytes instead of floats")
    raw_of(arrays, layout, NAME)
    digest = blake2b(digest_size=8)
    for name, array in sorted(arrays.items()):
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode())
        digest.update(np.ascontiguousarray(array).data)
    path = (root / "arrays" / f"{digest.hexdigest()}.npz").absolute()
    if not path.is_file():
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **arrays)
        write_atomic(path, packed.getvalue())
    return path


def named(data: OwnArrays) -> dict[str, np.ndarray]:
    """Arrays by the names that a .npz has them under.

    Raises:
        UserError: if the data have another form.
    """
    pairs = data if isinstance(data, Mapping) else {"train": data}
    unknown = [name for name in pairs if name not in SPLITS]
    if unknown or "train" not in pairs:
        found = ", ".join(map(repr, pairs)) or "nothing"
        raise UserError(f"{NAME}: the splits are {found}; use 'train', and 'val' and 'test' where there are such")
    arrays = {}
    for split, pair in pairs.items():
        if not isinstance(pair, Sequence) or isinstance(pair, str) or len(pair) != 2:
            raise UserError(f"{NAME}: {split} is a {type(pair).__name__}; use a pair (images, labels)")
        arrays[f"x_{split}"], arrays[f"y_{split}"] = (plain_array(one) for one in pair)
    return arrays


def plain_array(values: Any) -> np.ndarray:
    """A numpy array of numbers from an array, a tensor on any device, or nested lists.

    Raises:
        UserError: if it is no array of numbers.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()
    try:
        array = np.asarray(values)
    except ValueError as error:  # lists of different lengths
        raise UserError(f"{NAME}: not an array ({error}); use arrays with the same shape for every image") from error
    if array.dtype.kind not in "biuf":
        raise UserError(f"{NAME}: {array.dtype} is not accepted; use an array of numbers")
    return array
