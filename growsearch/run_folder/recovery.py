"""Recovery: the newest whole checkpoint whose events are there."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.run_folder.checkpoint import read_all
from growsearch.run_folder.events import hash_of
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

    A checkpoint goes with the lines of events.jsonl up to it, which a run replays. Where these are not whole, the
    checkpoint before it is taken, and what came after is computed again.

    Raises:
        UserError: if there is no whole checkpoint with its events; nothing has been touched then.
    """
    size = _size(folder.events)
    passed: list[tuple[Path, str]] = []
    for path, tree, error in read_all(folder.checkpoints):
        found = tree.get("events_length") if isinstance(tree, dict) else None
        length = found if isinstance(found, int) else -1
        if error is None and length < 0:
            error = UserError(f"{path}: a checkpoint, but not of a run")
        error = error or _lost(folder.events, size, length, tree, path.name)
        if error is None:
            return Recovered(tree, length, _set_aside(passed))
        passed.append((path, str(error)))
    if not passed:
        raise UserError(f"{folder.checkpoints}: there is no checkpoint; the run has to start anew")
    told = "; ".join(problem for _, problem in passed)
    raise UserError(f"{told}; restore them from a copy, or remove {folder.checkpoints} to start the run anew")


def _lost(events: Path, size: int, length: int, tree: dict[str, Any], name: str) -> UserError | None:
    """The fault of the events that a checkpoint counts; None if they are as they were written."""
    if length > size:
        return UserError(f"{events}: it has {size} bytes, {name} counted {length}")
    wanted = tree.get("events_digest")
    if wanted is not None and hash_of(events, length).hexdigest() != wanted:
        return UserError(f"{events}: not what the run wrote before {name}")
    return None


def _size(events: Path) -> int:
    return require_plain(events) if os.path.lexists(events) else 0


def _set_aside(passed: list[tuple[Path, str]]) -> list[str]:
    remarks = []
    for path, problem in passed:
        with storage_errors(path):
            os.replace(path, path.with_suffix(".damaged"))
        remarks.append(f"{problem}; went on from the checkpoint before it")
    return remarks
