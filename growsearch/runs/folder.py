"""The folder of one run, and how to find or make it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.runs.files import read_json, storage_errors, write_atomic, write_json
from growsearch.runs.fingerprint import fingerprint


class RunFolder:
    """Paths inside a run's folder, its lock, and the files that say how far it came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.identity = path / "fingerprint.json"
        self.events = path / "events.jsonl"
        self.result = path / "result.json"
        self.checkpoints = path / "checkpoints"
        self.network = path / "network"
        self.report = path / "report.html"

    @property
    def finished(self) -> bool:
        """Whether the run has its result."""
        return self.result.exists()

    @property
    def started(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any(self.checkpoints.glob("*.safetensors"))

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other process off this folder; the operating system frees it if we die.

        Raises:
            UserError: if another process works on the run.
        """
        with storage_errors(self.path):
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise UserError(
                    f"{self.path}: another process is working on this run; wait for it or stop it"
                ) from None
            yield
        finally:
            os.close(handle)


def new_run(root: Path, algo: str, data: str, seed: int, yaml: str, config: dict[str, Any]) -> RunFolder:
    """Make ``root/<algo>/<data>/<timestamp>-seed<k>/`` with its configuration and fingerprint.

    Raises:
        UserError: if the folder cannot be made.
    """
    parent = root / algo / data
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in range(1000):
            suffix = f"-{attempt}" if attempt else ""
            path = parent / f"{stamp}-seed{seed}{suffix}"
            try:
                path.mkdir()
                break
            except FileExistsError:
                continue
    folder = RunFolder(path)
    write_atomic(folder.config, yaml.encode())
    write_json(folder.identity, {"fingerprint": fingerprint(config)})
    return folder


def find_run(root: Path, algo: str, data: str, config: dict[str, Any]) -> RunFolder | None:
    """The folder of an earlier run with this configuration: a finished one first, else the newest."""
    wanted = fingerprint(config)
    found = []
    for path in sorted((root / algo / data).glob("*/fingerprint.json"), reverse=True):
        try:
            if read_json(path)["fingerprint"] == wanted:
                found.append(RunFolder(path.parent))
        except (UserError, KeyError, TypeError):
            continue
    return next((run for run in found if run.finished), found[0] if found else None)
