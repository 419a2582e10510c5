"""The run folder: events, checkpoints, result and lock, made of plain types and tensors."""

from growsearch.runs.checkpoint import read_checkpoint, read_newest, write_checkpoint
from growsearch.runs.events import EventLog
from growsearch.runs.fingerprint import fingerprint
from growsearch.runs.folder import RunFolder, find_run, new_run

__all__ = [
    "EventLog",
    "RunFolder",
    "find_run",
    "fingerprint",
    "new_run",
    "read_checkpoint",
    "read_newest",
    "write_checkpoint",
]
