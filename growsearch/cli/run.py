"""``growsearch run``: compose a configuration with Hydra and run it, once or as a sweep."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from growsearch.cli.compose import CONFIG_PATH, VERSION_BASE, composition_errors
from growsearch.cli.sweep import note_failure
from growsearch.config import register
from growsearch.errors import UserError

LAUNCHERS = ("joblib", "submitit")

_FAILED: list[UserError] = []
_WORDS: list[str] = []


def main(argv: list[str]) -> int:
    """Hand the command line to Hydra, which composes it and calls the task, once or once a job.

    Raises:
        UserError: for whatever the user can mend; in a sweep, when all jobs are done.
    """
    register()
    # Errors come to us whole; what the user reads of them is ours to say.
    os.environ.setdefault("HYDRA_FULL_ERROR", "1")
    sys.argv = ["growsearch run", *argv]
    _FAILED.clear()
    _WORDS[:] = argv
    with composition_errors(), deaths():
        hydra.main(version_base=VERSION_BASE, config_path=CONFIG_PATH, config_name="config")(task)()
    if _FAILED:
        raise _FAILED[0]
    return 0


@contextmanager
def deaths() -> Iterator[None]:
    """Say in a line that a launcher lost one of its processes, for instance to a lack of memory.

    Raises:
        UserError: in place of the launcher's own error.
    """
    try:
        yield
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in LAUNCHERS:
            raise
        cause = " ".join(str(error).split())[:300]
        raise UserError(
            "a job of the sweep was killed or could not be started; repeated, the command goes on where each run was"
            f" ({type(error).__name__}: {cause})"
        ) from error


def task(composed: DictConfig) -> float:
    """One run; in a sweep this may be another process, where a launcher has carried it.

    Raises:
        JobFailed: in a sweep, whatever the cause; Hydra goes on with the other jobs.
    """
    from growsearch.runner import start

    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        words = HydraConfig.get().overrides.task if sweeping else _WORDS  # a job's own ones, in whatever process
        return start(composed, ["growsearch", "run", *words])
    except UserError as error:
        if sweeping:
            raise note_failure(error) from error
        _FAILED.append(error)
        return float("nan")
    except Exception as error:
        if sweeping:
            raise note_failure(error) from error
        raise
