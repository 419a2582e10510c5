"""The run folder: events, checkpoints, result and lock, made of plain types and tensors.

Checkpoints, which need torch, are in :mod:`growsearch.runs.checkpoint`.
"""

from growsearch.runs.events import EventLog
from growsearch.runs.fingerprint import fingerprint
from growsearch.runs.folder import RunFolder, find_run, new_run

__all__ = [
    "EventLog",
    "RunFolder",
    "find_run",
    "fingerprint",
    "new_run",
]
