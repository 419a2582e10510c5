"""Files that others wrote: opened only if they are plain files of a bearable size, their damage told in a line."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from growsearch.errors import UserError
from growsearch.text import reason


def require_plain(path: Path) -> int:
    """Refuse what is no regular file: opening a pipe waits for ever, and a device never ends.

    Links are followed: shared data are often linked.

    Returns:
        The file's size in bytes.

    Raises:
        OSError: if there is nothing.
        UserError: for a folder, pipe, socket or device.
    """
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise UserError(f"{path}: no regular file, one expected")
    return status.st_size


def read_bytes(path: Path, most: int) -> bytes:
    """The contents of a regular file of at most ``most`` bytes.

    Raises:
        OSError: if it cannot be read.
        UserError: if it is no regular file or larger.
    """
    size = require_plain(path)
    if size > most:
        raise UserError(f"{path}: {size:,} bytes found, at most {most:,} expected")
    with path.open("rb") as file:
        return file.read(most)


@contextmanager
def parsing(path: object, what: str) -> Iterator[None]:
    """Turn whatever a parser raises for a file into one line; they raise almost anything for a damaged one.

    Args:
        path: the file, or what else to call it.
        what: what the file is not, or what is wrong with it.

    Raises:
        UserError: in place of any exception.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: {what} ({reason(error)})") from error
