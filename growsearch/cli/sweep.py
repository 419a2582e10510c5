"""Sweeps: each job says which it is and leaves a note in the sweep's folder; at the end a table tells all of them."""

import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf

from growsearch.errors import UserError
from growsearch.format import aligned, counted
from growsearch.run_folder.files import read_json, write_json
from growsearch.run_folder.summary import summary

NOTE, RUN, JOBS = "error.txt", "run.json", "jobs.json"
"""Files of a sweep: why a job failed and which run it worked on, in the job's folder; all jobs' words, above them."""

LONGEST = 60
"""Characters of a job's words and of a failure's cause that are shown."""


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


def jobs_of(swept: Any, words: Sequence[str], cut: Callable[[Override], str] | None = None) -> list[list[str]]:
    """The words of each job of a sweep.

    Args:
        swept: what an experiment sweeps over, ``hydra.sweeper.params``.
        words: of the command line.
        cut: makes a shorter sweep of each word, where not all jobs are wanted.
    """
    params = [f"{key}={value}" for key, value in (swept or {}).items()]
    parser = OverridesParser.create()
    parsed = parser.parse_overrides([*params, *words])
    if cut is not None:
        parsed = parser.parse_overrides([cut(override) for override in parsed])
    return [list(job) for job in BasicSweeper.split_arguments(parsed, None)[0]]


def begin(config: DictConfig) -> list[list[str]]:
    """Write down which jobs there are, for each to say which it is; none where a sweeper finds them one by one."""
    if "basic_sweeper" not in config.hydra.sweeper._target_:
        return []
    swept = OmegaConf.to_container(config.hydra.sweeper).get("params")  # type: ignore[union-attr]
    jobs = jobs_of(swept, list(config.hydra.overrides.task))
    Path(config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)
    write_json(Path(config.hydra.sweep.dir, JOBS), jobs)
    return jobs


def job_folder() -> Path:
    """The folder of this process's job in the sweep's."""
    job = HydraConfig.get()
    return Path(job.sweep.dir, str(job.sweep.subdir))


def which_job() -> str:
    """Number of this job in the sweep, in words."""
    job = HydraConfig.get()
    try:
        total = f" of {len(read_json(Path(job.sweep.dir, JOBS)))}"
    except UserError:
        total = ""
    return f"job {job.job.num + 1}{total}: {' '.join(job.overrides.task)}"


def note_run(folder: Path) -> None:
    """Write down which run the job works on."""
    job_folder().mkdir(parents=True, exist_ok=True)
    write_json(job_folder() / RUN, {"run": str(folder)})


def table(sweep: str) -> str:
    """All jobs of a sweep, as far as their notes tell; empty if it has none."""
    try:
        jobs = read_json(Path(sweep, JOBS))
    except UserError:
        return ""
    everywhere = set.intersection(*map(set, jobs)) if len(jobs) > 1 else set()
    own = [" ".join(word for word in job if word not in everywhere) for job in jobs]
    rows = [(f"{number + 1}", *_row(Path(sweep, str(number)), words)) for number, words in enumerate(own)]
    counts = Counter(row[2] for row in rows)
    lines = aligned([("job", "options", "state", "accuracy", "parameters", "run"), *rows])
    told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    return "\n".join([*lines, f"{counted(len(jobs), 'job')}: {told}"])


def _row(folder: Path, words: str) -> tuple[str, ...]:
    words = words if len(words) <= LONGEST else f"{words[: LONGEST - 3]}..."
    if (folder / NOTE).exists():
        cause = (folder / NOTE).read_text(encoding="utf-8").splitlines()[0].partition("): ")[2]
        return words, "failed", "-", "-", cause if len(cause) <= LONGEST else f"{cause[: LONGEST - 3]}..."
    try:
        run = summary(Path(read_json(folder / RUN)["run"]))
    except (UserError, KeyError, TypeError):
        return words, "not begun", "-", "-", "-"
    accuracy = "-" if run.accuracy is None else f"{run.accuracy:.2%}"
    return words, run.state, accuracy, "-" if run.params is None else f"{run.params:,}", str(run.path)


def note_failure(error: Exception) -> None:
    """Write down which job failed and why: a line, and the traceback where the user cannot correct the cause."""
    job = HydraConfig.get()
    words = " ".join(job.overrides.task)
    cause = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    lines = [f"job {job.job.num + 1} ({words}): {' '.join(cause.split())}"]
    if not isinstance(error, UserError):
        lines.append("".join(traceback.format_exception(error)))
    folder = job_folder()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / NOTE).write_text("\n".join(lines) + "\n", encoding="utf-8")
