"""Arrays from an untrusted .npz file: no pickles, and no more memory than the file says and the machine has."""

from __future__ import annotations

import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from growsearch.memory import require_memory
from growsearch.untrusted import parsing, require_plain

COPIES = 2
"""What is read is there once more while it is brought into its layout."""


def read_npz(file: Path) -> dict[str, np.ndarray]:
    """All arrays of a file, by name.

    Raises:
        UserError: if it is damaged, holds pickled objects, or does not fit in memory.
    """
    with parsing(file, "not readable as .npz"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of old headers
        require_plain(file)
        with zipfile.ZipFile(file) as archive:
            names = [name for name in archive.namelist() if name.endswith(".npy")]
            needed = COPIES * sum(_claimed_bytes(archive, name) for name in names)
            require_memory(needed, str(file), "use a smaller file")
            arrays = {}
            for name in names:
                with archive.open(name) as member:
                    arrays[name.removesuffix(".npy")] = npy.read_array(member, allow_pickle=False)
            return arrays


def _claimed_bytes(archive: zipfile.ZipFile, name: str) -> int:
    """Bytes of an array in memory, checked against the size of the packed file."""
    with archive.open(name) as member:
        version = npy.read_magic(member)
        if version == (1, 0):
            shape, _, dtype = npy.read_array_header_1_0(member)
        elif version == (2, 0):
            shape, _, dtype = npy.read_array_header_2_0(member)
        else:
            raise ValueError(f"{name}: format version {version} is not supported")
    if dtype.hasobject:
        raise ValueError(f"{name} holds pickled objects; use plain arrays")
    if dtype.kind not in "biufUS" or dtype.names is not None:
        raise ValueError(f"{name} holds {dtype}; use plain numbers")
    size = dtype.itemsize
    for axis in shape:
        if axis < 0:
            raise ValueError(f"{name} has an axis of {axis}")
        size *= axis
    if size > archive.getinfo(name).file_size or size < 0:
        raise ValueError(f"{name} claims {size} bytes and has {archive.getinfo(name).file_size}")
    return size
