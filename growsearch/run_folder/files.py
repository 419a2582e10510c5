"""Files that are whole or not there at all. Everything that a run folder holds is written through this module."""

import errno
import json
import math
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.untrusted import parsing, read_bytes

LARGEST_JSON = 16 * 2**20
"""Bytes of a JSON file that is read: a few hundred times what the largest run leaves."""

_NOT_WRITABLE = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENAMETOOLONG),
    *(errno.ENOENT, errno.ENXIO),
)


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, a folder that cannot be written or a disk that fails into one line for the user.

    Raises:
        UserError: in place of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: {_advice(error)}") from error


def _advice(error: OSError) -> str:
    said = os.strerror(error.errno) if error.errno else str(error)
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "no space left on the disk; free some and resume the run"
    if error.errno == errno.ELOOP:
        return "it is a link, which is not followed; use a file of the run's own"
    if error.errno in _NOT_WRITABLE:
        return f"cannot be written ({said}); choose another folder, or copy the run to one"
    return f"the disk or the way to it fails ({said}); what was saved stays; repair it and resume the run"


def write_atomic(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path``, flush it to the disk and put it in place in one move.

    A link at ``path`` is replaced and not followed.

    Raises:
        UserError: if the disk is full, fails, the folder cannot be written, or ``path`` is one; it is as it was.
    """
    if path.is_dir() and not path.is_symlink():
        raise UserError(f"{path}: it is a folder; name a file in it")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with storage_errors(path):
        try:
            os.makedirs(path.parent, exist_ok=True)
            temporary.unlink(missing_ok=True)
            handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                write_all(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            os.replace(temporary, path)
            _sync_folder(path.parent)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)


def write_all(handle: int, data: bytes) -> None:
    """Write all of ``data``; the operating system may take it in several pieces."""
    view = memoryview(data)
    while view:
        view = view[os.write(handle, view) :]


def open_in_place(path: Path) -> int:
    """Open a file of a run's own for reading and writing, made if missing; never through a link.

    Raises:
        OSError: if it is a link or cannot be opened.
        UserError: if it is no regular file.
    """
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise UserError(f"{path}: it is no regular file; use one of the run's own")
    return handle


def is_at(path: Path, handle: int) -> bool:
    """Whether the open file or folder is still the one that ``path`` names."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except (FileNotFoundError, NotADirectoryError):
        return False


def keep_as(path: Path, other: Path) -> None:
    """Make ``other`` one more name of ``path``, so that a whole ``path`` exists at every moment.

    Raises:
        UserError: as :func:`write_atomic`.
    """
    spare = other.with_name(f".{other.name}.tmp")
    with storage_errors(other):
        spare.unlink(missing_ok=True)
        try:
            os.link(path, spare)
        except OSError:  # a file system without hard links
            os.replace(path, other)
        else:
            os.replace(spare, other)


def _sync_folder(folder: Path) -> None:
    """Make a move survive a loss of power; not every file system knows how."""
    handle = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Write plain types as indented JSON, atomically; what JSON has no number for (NaN, infinities) as null."""
    write_atomic(path, (json.dumps(_finite(value), indent=2, allow_nan=False) + "\n").encode())


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: if it is missing, no regular file, too large or no JSON.
    """
    with parsing(path, "not readable as JSON"):
        try:
            return json.loads(read_bytes(path, LARGEST_JSON).decode())
        except FileNotFoundError:
            raise UserError(f"{path}: there is no such file; it belongs to the folder of a run") from None
