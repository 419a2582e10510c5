"""events.jsonl: one line for each finished action and each event, in order, with the clock that the writer adds."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.run_folder.files import is_at, open_in_place, storage_errors, write_all
from growsearch.untrusted import parsing, require_plain

LONGEST_LINE = 16 * 2**20
"""Bytes of a line that is read."""


class EventLog:
    """Appends events to a file and cuts it back to a known length on resume."""

    def __init__(self, path: Path, length: int = 0) -> None:
        """Open ``path``, dropping whatever stands behind the first ``length`` bytes.

        Raises:
            UserError: if the file cannot be written, is a link, or is shorter than ``length``.
        """
        self.path = path
        with storage_errors(path):
            self._handle = open_in_place(path)
            found = os.fstat(self._handle).st_size
            if found < length:
                self.close()
                raise UserError(f"{path}: it has {found} bytes, the checkpoint counted {length}")
            os.ftruncate(self._handle, length)
            self._length = os.lseek(self._handle, length, os.SEEK_SET)
        self._digest = hash_of(path, length)

    def append(self, record: dict[str, Any]) -> None:
        """Write one event and hand it to the operating system.

        Raises:
            UserError: if the disk is full or fails, or another process cut the file; it ends with the event before, as
                far as it still can.
        """
        data = json.dumps(record).encode() + b"\n"
        with storage_errors(self.path):
            self._require_whole()
            try:
                write_all(self._handle, data)
            except OSError:
                with suppress(OSError):
                    os.ftruncate(self._handle, self._length)
                raise
        self._length += len(data)
        self._digest.update(data)

    def sync(self) -> int:
        """Bring the file to the disk and return its length, for the checkpoint.

        Raises:
            UserError: if the disk fails, or another process removed, replaced or changed the file.
        """
        with storage_errors(self.path):
            os.fsync(self._handle)
            self._require_whole(is_at(self.path, self._handle))
        return self._length

    def _require_whole(self, there: bool = True) -> None:
        """A line behind the end of a file that was cut would hide that it was."""
        if not there or os.fstat(self._handle).st_size != self._length:
            raise UserError(f"{self.path}: removed or changed by another program while the run worked; stopped")

    def mark(self) -> dict[str, Any]:
        """Bring the file to the disk; its length and checksum, for the checkpoint."""
        return {"events_length": self.sync(), "events_digest": self._digest.hexdigest()}

    def close(self) -> None:
        """Close the file."""
        if self._handle >= 0:
            with suppress(OSError):
                os.close(self._handle)
            self._handle = -1


def read_events(
    path: Path, damaged: Callable[[int], object] | None = None, upto: int | None = None
) -> Iterator[dict[str, Any]]:
    """Read events.jsonl; a last line that was cut off is left out.

    Args:
        path: the file.
        damaged: called with the number of each line inside the file that is no event, which is left out then.
        upto: bytes of the file that are read; None for all.

    Raises:
        UserError: if the file is missing or no regular one; without ``damaged``, if a line is no event.
    """
    with parsing(path, "not readable as events"):
        require_plain(path)
        with path.open("rb") as file:
            number = 0
            while (upto is None or file.tell() < upto) and (line := file.readline(LONGEST_LINE)):
                number += 1
                event = _event(line)
                if event is not None:
                    yield event
                elif not line.endswith(b"\n") and not file.peek(1):
                    return
                elif damaged is None:
                    raise UserError(f"{path}: line {number} is not an event")
                else:
                    damaged(number)


def hash_of(path: Path, length: int) -> "hashlib.blake2b":
    """The running checksum of the first ``length`` bytes of a file."""
    found = hashlib.blake2b(digest_size=16)
    if length:
        with parsing(path, "not readable as events"), path.open("rb") as file:
            while length > 0 and (block := file.read(min(length, 1 << 20))):
                found.update(block)
                length -= len(block)
    return found


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
