"""The runs of a folder, read again only where files changed."""

import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from growsearch.errors import UserError
from growsearch.run_folder import RunFolder
from growsearch.run_folder.plain import number
from growsearch.run_folder.read import RunRecord
from growsearch.run_folder.story import StoryReader
from growsearch.run_folder.summary import RunSummary, places, summary
from growsearch.text import one_line

MOST_OPEN = 12
"""Runs whose events are kept in memory."""

Version = tuple[tuple[int, int], ...]
"""Time of the last change and bytes of each file of a run: equal as long as nothing changed."""


@dataclass(frozen=True)
class Opened:
    """A run that is looked at, as its files were at a time."""

    version: Version
    record: RunRecord
    reader: StoryReader


class WatchedRuns:
    """All runs below a folder, by the path from it. Nothing is written, and links to other folders are not followed.

    Args:
        folder: above the runs, or a run's own.
        fresh_seconds: for so long a list of the runs is given again without a look at the disk.
    """

    def __init__(self, folder: Path, fresh_seconds: float = 1.0) -> None:
        self.folder, self.fresh_seconds = folder, fresh_seconds
        self._lock = RLock()
        self._listed = float("-inf")
        self._summaries: dict[str, tuple[Version, RunSummary]] = {}
        self._opened: OrderedDict[str, Opened] = OrderedDict()
        self._results: dict[str, tuple[Version, dict[str, float]]] = {}

    def summaries(self) -> Mapping[str, RunSummary]:
        """All runs, the one that changed last first."""
        with self._lock:
            if time.monotonic() - self._listed >= self.fresh_seconds:
                self._refresh()
                self._listed = time.monotonic()
            return {name: found for name, (_, found) in self._summaries.items()}

    def open(self, name: str) -> tuple[str, RunRecord] | None:
        """A run of the list, and a text that stays the same as long as its files do; None for any other name."""
        with self._lock:
            if name not in self.summaries():
                return None
            path = self.folder / name
            version, opened = version_of(path), self._opened.get(name)
            try:
                if opened is None:
                    reader = StoryReader(RunFolder(path).events, following=True)
                    opened = Opened(version, RunRecord(path, reader), reader)
                elif opened.version != version:
                    opened = Opened(version, RunRecord(path, opened.reader), opened.reader)
            except (UserError, OSError):
                return None
            self._opened[name] = opened
            self._opened.move_to_end(name)
            while len(self._opened) > MOST_OPEN:
                self._opened.popitem(last=False)
            opened.record.story  # noqa: B018  read while no other thread reads
            return str(hash(version)), opened.record

    def results(self) -> Mapping[str, Mapping[str, float]]:
        """The numbers in the results of all finished runs, and the number of their test images as ``test images``."""
        with self._lock:
            found = {}
            for name, run in self.summaries().items():
                if run.state != "finished":
                    continue
                version = self._summaries[name][0]
                if name not in self._results or self._results[name][0] != version:
                    self._results[name] = (version, _numbers(run.path))
                found[name] = self._results[name][1]
            self._results = {name: self._results[name] for name in found}
            return found

    def _refresh(self) -> None:
        found = {}
        for path in places(self.folder):
            name = path.relative_to(self.folder).as_posix()
            version, (known, run) = version_of(path), self._summaries.get(name, ((), None))
            if run is None or known != version or run.state == "running":  # it may have been killed
                try:
                    run = summary(path, write=False)
                except (UserError, OSError):  # removed meanwhile
                    continue
            found[name] = (version, run)
        self._summaries = dict(sorted(found.items(), key=lambda item: (-item[1][1].changed, item[0])))


def version_of(path: Path) -> Version:
    """Times and sizes of a run's folder and of the files that the page shows."""
    folder = RunFolder(path)
    network = folder.network / "architecture.json"
    files = (path, folder.config, folder.events, folder.result, folder.log, folder.error, folder.latency, network)
    return tuple(_stamp(file) for file in files)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = os.stat(path, follow_symlinks=False)
    except OSError:
        return 0, -1
    return status.st_mtime_ns, status.st_size


def _numbers(path: Path) -> dict[str, float]:
    try:
        result = RunRecord(path).result
    except (UserError, OSError):
        return {}
    found = {one_line(key, 80): value for key, told in result.items() if (value := number(told)) is not None}
    return found | {"test images": number(result.get("splits", {}).get("test")) or 0.0}
