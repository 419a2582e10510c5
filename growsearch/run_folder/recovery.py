"""Where a run goes on: the newest checkpoint that is whole and whose events are there."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.run_folder.checkpoint import read_all
from growsearch.run_folder.events import whole_length
from growsearch.run_folder.files import storage_errors
from growsearch.run_folder.folder import RunFolder
from growsearch.untrusted import require_plain


@dataclass(frozen=True)
class Recovered:
    """A state to go on from.

    Attributes:
        tree: what the checkpoint holds.
        events_length: bytes of events.jsonl that belong to it.
        remarks: what was found damaged, and what was done about it.
    """

    tree: dict[str, Any]
    events_length: int
    remarks: list[str]


def recover(folder: RunFolder) -> Recovered:
    """Choose a checkpoint; those that are passed over are set aside as ``*.damaged``, where nothing overwrites them.

    A checkpoint counts events that events.jsonl may have lost since. Then the one before it is taken,
    as far as its events are there, and what came after is computed again; else the run goes on with
    what is left of the record.

    Raises:
        UserError: if there is no whole checkpoint; nothing has been touched then.
    """
    size = _size(folder.events)
    passed: list[tuple[Path, str]] = []
    short: tuple[dict[str, Any], str] | None = None
    for path, tree, error in read_all(folder.checkpoints):
        length = tree.get("events_length") if isinstance(tree, dict) else None
        if not isinstance(length, int) or length < 0:
            error, length = error or UserError(f"{path}: a checkpoint, but not of a run"), 0
        if error is None and length <= size:
            return Recovered(tree, length, _set_aside(passed))
        if error is None:
            error = UserError(f"{folder.events}: {size} bytes found, {length} expected by {path.name}")
            short = short or (tree, str(error))
        passed.append((path, str(error)))
    if short is not None:
        return Recovered(short[0], whole_length(folder.events, size) if size else 0, [f"{short[1]}; events were lost"])
    if not passed:
        raise UserError(f"{folder.checkpoints}: no checkpoint found; the run has to start anew")
    told = "; ".join(problem for _, problem in passed)
    raise UserError(f"{told}; a copy of one, or the folder {folder.checkpoints} removed to start anew, expected")


def _size(events: Path) -> int:
    return require_plain(events) if os.path.lexists(events) else 0


def _set_aside(passed: list[tuple[Path, str]]) -> list[str]:
    remarks = []
    for path, problem in passed:
        with storage_errors(path):
            os.replace(path, path.with_suffix(".damaged"))
        remarks.append(f"{problem}; went on from the checkpoint before it")
    return remarks
