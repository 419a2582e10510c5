"""What is said around a sweep: warnings where memory or cores are too few for its jobs, and the table of them."""

import os
import sys
from math import prod
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from growsearch.cli import sweep
from growsearch.cli.study import RESULTS, SQLITE, open_study
from growsearch.errors import UserError
from growsearch.memory import GIB, available_bytes
from growsearch.run_folder.files import read_json
from growsearch.run_folder.lease import Lease

LEAST_BYTES = GIB // 2
"""What the smallest run takes that no other process shares with it."""


class Crowding(Callback):
    """Hydra's callback at both ends of a sweep; it speaks where joblib is to run jobs side by side."""

    study: Lease | None = None

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """Tell what became of the jobs, and remember which failed, for the command to tell."""
        if told := sweep.table(config.hydra.sweep.dir):
            print(f"\n{told}", flush=True)
        sweep.look_for_failures(config.hydra.sweep.dir)
        if self.study is not None:
            self.study.release()
        if (results := Path(config.hydra.sweep.dir, RESULTS)).is_file():
            print(f"the study's best trials: {results}")

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note the jobs, and warn; Hydra stops for no error of a callback, and memory may yet become free."""
        combinations = sweep.begin(config)
        launcher, sweeper = config.hydra.launcher, config.hydra.sweeper
        if str(sweeper.get("storage")).startswith(SQLITE):
            self.study = open_study(sweeper)
            Path(config.hydra.sweep.dir).mkdir(parents=True, exist_ok=True)  # where no trial is left to do it
        if "joblib" not in launcher._target_:
            return
        overrides = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        swept = {one.key_or_group: one for one in overrides if one.is_sweep_override()}
        numbers = [sweeper.n_jobs] if "n_jobs" in sweeper else [len(list(x.sweep_iterator())) for x in swept.values()]
        jobs = side_by_side(launcher.n_jobs, os.cpu_count() or 1, len(combinations) or prod(numbers))
        algo = "*" if "algo" in swept else config.algo.label or config.algo.name
        data = "*" if "data" in swept else config.data.name
        needed, like = largest_run(Path(config.output.root), algo, data)
        threads = 0 if any(key.startswith("hardware") for key in swept) else config.hardware.threads
        for warning in (
            too_little_memory(jobs, needed, like, available_bytes()),
            too_many_threads(jobs, threads, os.cpu_count() or 1),
        ):
            if warning:
                print(f"growsearch: {warning}", file=sys.stderr)


def side_by_side(n_jobs: int, cores: int, combinations: int) -> int:
    """Jobs that joblib runs at a time; -1 means one for each core, -2 one less, and so on."""
    return min(n_jobs if n_jobs > 0 else max(1, cores + 1 + n_jobs), combinations)


def largest_run(root: Path, algo: str, data: str) -> tuple[int, Path | None]:
    """The most memory that a finished run of the kind took on a CPU, and which; what any run takes if there is none.

    Args:
        root: folder above all runs.
        algo: label of the method, or ``*``.
        data: name of the data set, or ``*``.
    """
    found: tuple[int, Path | None] = (LEAST_BYTES, None)
    for file in sorted(root.glob(f"{algo}/{data}/*/result.json")):
        try:
            result = read_json(file)
        except UserError:
            continue
        peak = result.get("peak_memory_bytes") if isinstance(result, dict) else None
        if isinstance(peak, int) and peak > found[0] and str(result.get("device")).startswith("CPU"):
            found = peak, file.parent
    return found


def too_little_memory(jobs: int, needed: int, like: Path | None, available: int) -> str | None:
    """A warning if so many jobs need more memory than there is; what would do is in it.

    Args:
        jobs: at a time.
        needed: bytes of one.
        like: the run that took as much, if any did.
        available: bytes.
    """
    if jobs == 1 or jobs * needed <= available:
        return None
    each = "what any run takes" if like is None else f"as much as {like} took"
    return (
        f"hydra.launcher.n_jobs: {jobs} jobs at a time are too many for {available / GIB:.1f} GiB of free memory"
        f" if each takes {each} ({needed / GIB:.1f} GiB); use hydra.launcher.n_jobs={max(1, available // needed)}"
    )


def too_many_threads(jobs: int, threads: int, cores: int) -> str | None:
    """A warning if jobs were given more threads than there are cores; jobs that measure keep to their share."""
    if jobs * threads <= cores or jobs == 1 or threads <= 1:
        return None
    return (
        f"hardware.threads: {threads} for each of {jobs} jobs at a time are more than this "
        f"machine's {cores} cores; use hardware.threads={max(1, cores // jobs)}, or 0, which "
        "measures up to each job's share"
    )
