"""events.jsonl: one line for each event, in order, with the clock that the writer adds."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.runs.files import storage_errors


class EventLog:
    """Appends events to a file and cuts it back to a known length on resume."""

    def __init__(self, path: Path, length: int = 0) -> None:
        """Open ``path``, dropping whatever stands behind the first ``length`` bytes.

        Raises:
            UserError: if the file cannot be written or is shorter than ``length``.
        """
        self.path = path
        with storage_errors(path):
            self._file = path.open("r+b" if path.exists() else "w+b")
            if self._file.seek(0, os.SEEK_END) < length:
                raise UserError(f"{path}: {self._file.tell()} bytes found, {length} expected by the checkpoint")
            self._file.truncate(length)
            self._file.seek(length)

    def append(self, record: dict[str, Any]) -> None:
        """Write one event and hand it to the operating system."""
        with storage_errors(self.path):
            self._file.write(json.dumps(record).encode() + b"\n")
            self._file.flush()

    def sync(self) -> int:
        """Bring the file to the disk and return its length, for the checkpoint."""
        with storage_errors(self.path):
            os.fsync(self._file.fileno())
            return self._file.tell()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_events(path: Path) -> Iterator[dict[str, Any]]:
    """Read events.jsonl; a last line that was cut off is left out.

    Raises:
        UserError: if a line inside the file is not JSON.
    """
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                yield json.loads(line)
            except ValueError:
                if not line.endswith(b"\n"):
                    return
                raise UserError(f"{path}: line {number} is not an event") from None
