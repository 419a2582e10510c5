"""Sweeps: a job that fails leaves a note in the sweep's folder, and at the end all of them are told."""

import traceback
from pathlib import Path

from hydra.core.hydra_config import HydraConfig

from growsearch.errors import UserError

NOTE = "error.txt"


FAILED: list["JobsFailed"] = []
"""What the end of this process's sweep found, for the command to raise: Hydra stops for no error of a callback."""


class JobsFailed(UserError):
    """Jobs of a sweep failed and have left their notes; the others are done.

    Args:
        sweep: folder of the sweep.
    """

    def __init__(self, sweep: str) -> None:
        super().__init__(sweep)
        self.sweep = sweep

    def __str__(self) -> str:
        notes = sorted(Path(self.sweep).glob(f"*/{NOTE}"), key=lambda path: (len(path.parent.name), path.parent.name))
        lines = [note.read_text(encoding="utf-8").splitlines()[0] for note in notes]
        counted = f"{len(lines)} job{'s' if len(lines) != 1 else ''} of the sweep failed"
        return "\n  ".join([f"{counted}, the others are done; details in {self.sweep}/*/{NOTE}", *lines])


def look_for_failures(sweep: str) -> None:
    """At the end of a sweep: remember that jobs left notes in its folder."""
    if any(Path(sweep).glob(f"*/{NOTE}")):
        FAILED.append(JobsFailed(sweep))


def note_failure(error: Exception) -> None:
    """Write down which job failed and why: a line, and the traceback where the cause is not the user's to mend."""
    job = HydraConfig.get()
    words = " ".join(job.overrides.task)
    cause = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    lines = [f"job {job.job.num} ({words}): {' '.join(cause.split())}"]
    if not isinstance(error, UserError):
        lines.append("".join(traceback.format_exception(error)))
    folder = Path(job.sweep.dir, str(job.sweep.subdir))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTE).write_text("\n".join(lines) + "\n", encoding="utf-8")
