"""One process at a time: fetching, unpacking and decoding are done once however many ask for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from growsearch.errors import UserError


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock ``name`` of ``folder``, which is made if missing; the system frees it if the process dies.

    Raises:
        UserError: if the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f".{name}.lock"
        if file.is_symlink():  # taking it would empty the file that it leads to
            raise UserError(f"{file}: it is a link, which is not followed; remove it")
        lock = FileLock(file)
        lock.acquire()
    except OSError as error:
        raise UserError(f"{folder}: cannot be written to ({error.strerror}); use a writable folder") from error
    try:
        yield
    finally:
        lock.release()
