"""A run in a line: how far it came, read from the few files and bytes that tell."""

import json
import os
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from growsearch.errors import UserError
from growsearch.run_folder.files import read_json
from growsearch.run_folder.folder import LARGEST_CONFIG, RunFolder
from growsearch.run_folder.plain import number
from growsearch.text import one_line
from growsearch.untrusted import check_yaml, read_bytes, tail

NAME = re.compile(r"\d{8}-\d{6}-seed(\d+)(-\d+)?")
"""Names that runs get."""

TAIL = 2**16
"""Bytes at the end of events.jsonl in which the last epoch is sought."""

LONGEST = 40
"""Characters of a name or message that are shown."""


@dataclass(frozen=True)
class RunSummary:
    """A run in a line; what cannot be read is None.

    Attributes:
        path: its folder.
        state: finished, running, stopped or failed.
        algo: label of the method.
        data: name of the data set.
        seed: of the run.
        accuracy: on the test images; of the last epoch on validation images while the run is not finished.
        params: trainable parameters, now or of the result.
        changed: when its record last changed, in seconds since 1970.
        error: why it failed; of a running one, which process works on it.
    """

    path: Path
    state: str
    algo: str | None
    data: str | None
    seed: int | None
    accuracy: float | None
    params: int | None
    changed: float
    error: str = ""

    @property
    def advice(self) -> str:
        """Advice on the next command."""
        place = shlex.quote(str(self.path))
        if self.state == "finished":
            return f"growsearch report {place}"
        cause = f"  ({self.error})" if self.error else ""
        if self.state == "running":
            return f"wait, or stop it with Ctrl-C{cause}"
        return f"growsearch resume {place}{cause}"


def list_runs(folder: Path) -> Iterator[RunSummary]:
    """All runs below a folder, or the one that it is, half-written ones too; links are not followed."""
    return map(summary, places(folder))


def places(folder: Path) -> Iterator[Path]:
    """The folders of all runs below a folder, or the one that it is; links are not followed."""
    for place, folders, files in os.walk(folder):
        if {"config.yaml", "result.json", "events.jsonl"} & set(files):
            folders.clear()
            yield Path(place)
        else:
            folders[:] = sorted(name for name in folders if not name.startswith(".") and name != "sweeps")


def summary(path: Path, write: bool = True) -> RunSummary:
    """State of a run by its folder; nothing in it is trusted or needed, and no link is followed.

    Args:
        path: the folder.
        write: False where nothing may be written, not even the temporary file that tells a network file system's time.
    """
    folder = RunFolder(path)
    result = _result(folder.result)
    last = {} if result else _last_epoch(folder.events)
    algo, data, seed = _names(path, result)
    state, error = _state(folder, bool(result), write)
    params = number((result or last).get("params"))
    return RunSummary(
        path,
        state,
        algo,
        data,
        seed,
        number(result.get("test_accuracy") if result else last.get("val_accuracy")),
        None if params is None else int(params),
        max(_changed(file) for file in (folder.result, folder.events, folder.config)),
        error,
    )


def _result(path: Path) -> dict[str, Any]:
    try:
        found = {} if path.is_symlink() else read_json(path)
    except UserError:
        return {}
    return found if isinstance(found, dict) else {}


def _state(folder: RunFolder, finished: bool, write: bool) -> tuple[str, str]:
    """The state, and more about it: who works on a run, or why it failed."""
    if finished:
        return "finished", ""
    if (holder := folder.holder(write)) is not None:
        return "running", one_line(str(holder), 2 * LONGEST)
    try:
        lines = [""] if folder.error.is_symlink() else tail(folder.error, 1000, start=True).split("\n")
        return "failed", one_line(lines[0], 2 * LONGEST)
    except (OSError, UserError):
        return ("stopped", "") if folder.started else ("failed", "it ended before its first save")


def _last_epoch(path: Path) -> dict[str, Any]:
    """The last epoch of a run's events; empty if there is none near their end."""
    try:
        lines = [] if path.is_symlink() else tail(path, TAIL).split("\n")
    except (OSError, UserError):
        return {}
    for line in reversed(lines):
        try:
            event = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(event, dict) and event.get("kind") == "epoch":
            return event
    return {}


def _names(path: Path, result: dict[str, Any]) -> tuple[str | None, str | None, int | None]:
    """Method, data set and seed: of the result, of the folder's place, or of config.yaml where it lies elsewhere."""
    found: list[Any] = [result.get(key) for key in ("algo", "data", "seed")]
    place = path.absolute()
    if not result and (named := NAME.fullmatch(place.name)):
        found = [place.parent.parent.name, place.parent.name, int(named[1])]
    elif not result:
        config = _config(path / "config.yaml")
        algo, data = (one if isinstance(one := config.get(key), dict) else {} for key in ("algo", "data"))
        found = [algo.get("label") or algo.get("name"), data.get("name"), config.get("seed")]
    algo_name, data_name = (one_line(one, LONGEST) if isinstance(one, str) else None for one in found[:2])
    return algo_name, data_name, found[2] if isinstance(found[2], int) else None


def _config(path: Path) -> dict[str, Any]:
    try:
        text = "" if path.is_symlink() else read_bytes(path, LARGEST_CONFIG).decode()
        check_yaml(text)
        found = yaml.safe_load(text)
    except (OSError, ValueError, RecursionError, UserError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}


def _changed(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
