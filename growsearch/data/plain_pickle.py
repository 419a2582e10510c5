"""Old data sets are pickles of arrays; this reads arrays and plain types, and can run nothing else.

Not even numpy's own functions are called with what the file holds: a crafted dtype would let array
elements be taken for addresses. Arrays are put together here, of simple types and of bytes that are
there. The interpreter is Python's own and not the compiled one, which would make room for as many
objects as a few bytes of the file name.
"""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from growsearch.memory import require_memory
from growsearch.untrusted import parsing, read_bytes

LARGEST = 8 * 2**30
"""Bytes of a file; those of ImageNet 32x32 have 400 million."""

_SIMPLE = re.compile(r"[biuf][1248]")
_LEFT_OUT = (
    *(pickle.INST, pickle.OBJ, pickle.NEWOBJ, pickle.NEWOBJ_EX),
    *(pickle.EXT1, pickle.EXT2, pickle.EXT4, pickle.PERSID, pickle.BINPERSID),
    *(pickle.NEXT_BUFFER, pickle.READONLY_BUFFER),
)
"""Instructions that pickles of arrays do without."""


class _Array:
    """Stands for an array until its type, shape and bytes have been read."""

    made: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, is_fortran, data = state
        assert isinstance(kind, _Type)
        raw = data.encode("latin1") if isinstance(data, str) else bytes(memoryview(data))
        self.made = _array(raw, kind, tuple(shape), "F" if is_fortran else "C")


class _Type:
    """Stands for a dtype: a number of so many bytes, in one of the two orders."""

    def __init__(self, code: str, *_: object) -> None:
        if not _SIMPLE.fullmatch(code):
            raise pickle.UnpicklingError(f"arrays of {code!r} are not allowed")
        self.code = code

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise pickle.UnpicklingError(f"byte order {order!r}")
        self.code = f"{order}{self.code.lstrip('<>|=')}"


def _array(data: bytes, kind: _Type, shape: tuple[int, ...], order: Any = "C") -> np.ndarray:
    return np.frombuffer(bytearray(data), dtype=np.dtype(kind.code)).reshape(shape, order=order)


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _frombuffer(data: Any, kind: _Type, shape: tuple[int, ...], order: str) -> _Array:
    array = _Array()
    array.made = _array(bytes(memoryview(data)), kind, shape, "F" if order == "F" else "C")
    return array


def _encode(text: str, encoding: str) -> bytes:
    return text.encode("latin1")


STAND_INS: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy.core.numeric", "_frombuffer"): _frombuffer,
    ("numpy._core.numeric", "_frombuffer"): _frombuffer,
    ("numpy", "ndarray"): None,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
}
"""What the names in a pickle of arrays stand for; there are no others."""


def _load_bytearray(self: Any) -> None:
    """Instruction BYTEARRAY8: Python's own makes room for as many bytes as are named, before it looks for them."""
    self.append(bytearray(self.read(int.from_bytes(self.read(8), "little"))))


class _PlainUnpickler(pickle._Unpickler):
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = {
        code: run for code, run in pickle._Unpickler.dispatch.items() if bytes([code]) not in _LEFT_OUT
    } | {pickle.BYTEARRAY8[0]: _load_bytearray}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STAND_INS:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed")
        return STAND_INS[module, name]


def read_plain_pickle(file: Path) -> Any:
    """Read a pickle of numpy arrays and plain types, also one written by Python 2.

    Arrays are found in it as such, in a dict or list, or one in the other.

    Raises:
        UserError: if it holds anything else or is damaged.
    """
    with parsing(file, "not readable as the official file"):
        content = read_bytes(file, LARGEST)
        require_memory(2 * len(content), str(file), "use a smaller file")
        return _finished(_PlainUnpickler(io.BytesIO(content), encoding="latin1").load(), 3)


def _finished(value: Any, depth: int) -> Any:
    """Put arrays in the place of what stands for them."""
    if isinstance(value, _Array):
        if value.made is None:
            raise pickle.UnpicklingError("an array without contents")
        return value.made
    if depth and isinstance(value, dict):
        return {key: _finished(item, depth - 1) for key, item in value.items()}
    if depth and isinstance(value, list) and any(isinstance(item, _Array) for item in value):
        return [_finished(item, depth - 1) for item in value]
    return value
