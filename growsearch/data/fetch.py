"""Find a data set's files, or fetch them: once, whole or not at all, with errors that say what to do."""

from __future__ import annotations

import http.client
import os
import socket
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from growsearch.data.config import DataConfig
from growsearch.data.lock import locked
from growsearch.data.root import is_writable
from growsearch.errors import MissingFiles, UserError
from growsearch.text import reason

Found = TypeVar("Found")

SECONDS_WITHOUT_AN_ANSWER = 30.0


def found_or_fetched(
    config: DataConfig,
    root: Path,
    where: str,
    find: Callable[[], Found | None],
    fetch: Callable[[], object] | None,
) -> Found:
    """Value of ``find``, after ``fetch`` if it was None.

    Args:
        config: for the data set's name and ``download``.
        root: the data root, made if missing.
        where: the files or folder to look for, as the error message shows them.
        find: returns None while the files are missing or damaged; called again under the lock, since
            another process may be fetching them.
        fetch: downloads into ``root``; None where the source allows no download.

    Raises:
        UserError: if the files are missing or damaged and cannot be fetched.
    """
    if (found := find()) is not None:
        return found
    missing = f"data {config.name}: {where} missing or damaged in {root}"
    if fetch is None:
        raise MissingFiles(f"{missing}, and its owner allows no automatic download: put the files there")
    if not config.download:
        raise MissingFiles(f"{missing}: put the files there, or set data.download=true")
    if not is_writable(root):
        raise UserError(f"{missing}, which cannot be written to: set data.root to a writable folder")
    with locked(root, config.name):
        if (found := find()) is not None:
            return found
        with _fetching(missing):
            fetch()
        found = find()
    if found is None:
        raise UserError(f"{missing} after a download: delete what is there and try again")
    return found


@contextmanager
def _fetching(missing: str) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS_WITHOUT_AN_ANSWER)
    try:
        yield
    except (OSError, RuntimeError, EOFError, http.client.HTTPException, zipfile.BadZipFile) as error:
        raise UserError(
            f"{missing}, and could not be fetched ({reason(error)}): check network and disk, or put the files there"
        ) from error
    finally:
        socket.setdefaulttimeout(before)


def move_into_place(made: Path, place: Path) -> None:
    """Rename a finished folder to where it is looked for, so that nobody ever sees half of it."""
    place.parent.mkdir(parents=True, exist_ok=True)
    os.replace(made, place)
