"""Old data sets are pickles of arrays; this reads arrays and plain types, and can run nothing else."""

from __future__ import annotations

import io
import pickle
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.text import reason

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy.core.numeric", "_frombuffer"),
    ("numpy._core.numeric", "_frombuffer"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return super().find_class(module, name)


def read_plain_pickle(file: Path) -> Any:
    """Read a pickle of numpy arrays and plain types, also one written by Python 2.

    Raises:
        UserError: if it holds anything else or is damaged.
    """
    try:
        return _PlainUnpickler(io.BytesIO(file.read_bytes()), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise anything; nothing of it has run
        raise UserError(f"{file}: not readable ({reason(error)}), the official file expected") from error
