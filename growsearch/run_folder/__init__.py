"""The run folder: events, checkpoints, result and lock, made of plain types and tensors.

Checkpoints, which need torch, are in :mod:`growsearch.run_folder.checkpoint`; whoever shows what a run did reads
its folder through :mod:`growsearch.run_folder.read`.
"""

from growsearch.run_folder.events import EventLog
from growsearch.run_folder.fingerprint import fingerprint
from growsearch.run_folder.folder import RunFolder, beginning, find_run, new_run

__all__ = ["EventLog", "RunFolder", "beginning", "find_run", "fingerprint", "new_run"]
