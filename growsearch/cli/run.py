"""``growsearch run``: compose a configuration with Hydra and run it, once or as a sweep."""

import gc
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from growsearch.cli import sweep
from growsearch.cli.compose import CONFIG_PATH, VERSION_BASE, composition_errors, config_folder
from growsearch.cli.streams import ready_streams
from growsearch.cli.words import not_an_override, overrides
from growsearch.config import register
from growsearch.errors import UserError

LAUNCHERS = ("joblib", "submitit", "ray")

SWEEP_FLAGS = ("-m", "--multirun")
FLAGS = (*SWEEP_FLAGS, "--hydra-help", "--resolve")
FLAGS_WITH_VALUE = ("--config-dir", "-cd", "--cfg", "-c", "--info", "-i", "--package", "-p")
"""Of Hydra's command line; other flags are refused."""

_FAILED: list[UserError] = []
_WORDS: list[str] = []


def main(argv: list[str]) -> int:
    """Hand the command line to Hydra, which composes it and calls the task, once or once a job.

    Raises:
        UserError: for whatever the user can correct; in a sweep, when all jobs are done.
    """
    flags, words = split(argv)
    sweeping = any(flag in SWEEP_FLAGS for flag in flags)
    if any(word in ("-h", "--help") for word in argv):
        from growsearch.cli.explain import run_help

        print(run_help(words, flags[flags.index("--config-dir") + 1] if "--config-dir" in flags else None))
        return 0
    register()
    # Errors come to us whole; what the user reads of them is ours to say.
    os.environ["HYDRA_FULL_ERROR"] = "1"
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS", "0")
    read = overrides(words, sweeping)
    sys.argv = ["growsearch run", *flags, *read]
    _FAILED.clear()
    sweep.FAILED.clear()
    _WORDS[:] = argv
    with composition_errors(), deaths():
        if flags or not run_once(read):
            hydra.main(version_base=VERSION_BASE, config_path=CONFIG_PATH, config_name="config")(task)()
    if sweep.FAILED:
        raise sweep.FAILED[0]
    if _FAILED:
        raise _FAILED[0]
    return 0


def run_once(words: list[str]) -> bool:
    """Compose one run and carry it out; False if the words ask for a sweep, or do not fit together.

    ``hydra.main`` composes twice, first to see whether an experiment asks for a sweep.
    """
    gc.disable()  # nearly all that composing one run makes stays; a sweep's configurations do not
    try:
        with hydra.initialize_config_module(CONFIG_PATH.removeprefix("pkg://"), "run", VERSION_BASE):
            single = GlobalHydra.instance().hydra
            assert single is not None
            try:
                composed = single.compose_config("config", words, RunMode.RUN, with_log_configuration=True)
            except (HydraException, OmegaConfBaseException):
                return False
            if composed.hydra.mode == RunMode.MULTIRUN:
                return False
            single.compose_config = lambda **_: composed  # type: ignore[method-assign]
            single.run("config", task, words)
        return True
    finally:
        gc.enable()


def split(argv: list[str]) -> tuple[list[str], list[str]]:
    """Flags for Hydra, each with its value, and all other words."""
    flags, words, rest = list[str](), list[str](), iter(argv)
    for word in rest:
        name, equals, value = word.partition("=")
        if name in FLAGS_WITH_VALUE:
            given = value if equals else next(rest, None)
            if given is None:
                raise UserError(f"{name}: no value given")
            if name in ("--config-dir", "-cd"):
                name, given = "--config-dir", config_folder(given)
            flags += [name, given]
        elif word in FLAGS:
            flags.append(word)
        elif word.startswith("-") and word not in ("-h", "--help"):
            raise UserError(not_an_override(word if equals else f"{word}={next(rest, '')}"))
        elif word not in ("-h", "--help"):
            words.append(word)
    return flags, words


@contextmanager
def deaths() -> Iterator[None]:
    """Say in a line that a launcher lost one of its processes, for instance when memory ran out.

    Raises:
        UserError: in place of the launcher's own error, or where it is not installed.
    """
    try:
        yield
    except Exception as error:
        if unknown := re.search(r"Unknown plugin class : '([^']+)'", str(error)):
            missing = f"{unknown[1]}: not installed; docs/sweeps.md says what to install for launchers and sweepers"
            raise UserError(missing) from error
        if type(error).__module__.partition(".")[0] not in LAUNCHERS:
            raise
        cause = " ".join(str(error).split())[:300]
        raise UserError(
            "a job of the sweep was killed or could not be started; repeated, the command goes on where each run was"
            f" ({type(error).__name__}: {cause})"
        ) from error


def go_to(folder: str) -> None:
    """Work where the command was given: a launcher's process may stand elsewhere, and relative paths hold from there.

    Raises:
        UserError: if this machine has no such folder.
    """
    try:
        os.chdir(folder)
    except OSError as error:
        host = socket.gethostname()
        raise UserError(f"{folder}: {host} has no such folder; begin the sweep in one that all machines see") from error


def runner() -> ModuleType:
    """What carries runs out, imported; from then on garbage is collected, among what is made later."""
    import growsearch.runner

    if not gc.isenabled():
        gc.freeze()
        gc.enable()
    return growsearch.runner


def task(composed: DictConfig) -> Any:
    """One run, whose worker processes begin to come up before torch is imported here; see :func:`carry_out`."""
    ready_streams()  # of a launcher's process too
    if not (early := workers_of(composed)):
        return carry_out(composed)
    from growsearch.processes import called_early

    with called_early(early):
        return carry_out(composed)


def workers_of(composed: DictConfig) -> int:
    """Processes that one run asks for beside its own; none in a sweep, where a run may be done already."""
    wanted = OmegaConf.select(composed, "hardware.workers", throw_on_resolution_failure=False)
    alone = HydraConfig.get().mode == RunMode.RUN and isinstance(wanted, int)
    return min(max(wanted, 1), os.cpu_count() or 1) - 1 if alone else 0


def carry_out(composed: DictConfig) -> Any:
    """One run; in a sweep this may be another process, where a launcher has carried it.

    What fails in a sweep leaves a note, and the other jobs go on. A sweeper that searches hears the figures of
    ``output.objectives``, one alone or a list; None of a run that failed.
    """
    start = runner().start
    sweeping = HydraConfig.get().mode == RunMode.MULTIRUN
    try:
        go_to(HydraConfig.get().runtime.cwd)
        if sweeping and "basic" not in HydraConfig.get().launcher._target_:
            composed.hardware.workers = composed.hardware.workers or 1  # the launcher gives the cores to jobs
        words = HydraConfig.get().overrides.task if sweeping else _WORDS  # a job's own ones, in whatever process
        if not sweeping:
            start(composed, ["growsearch", "run", *words])
            return None
        print(sweep.which_job(), flush=True)
        sources = HydraConfig.get().runtime.config_sources
        folders = [source.path for source in sources if source.provider == "command-line"]
        given = [word for folder in folders for word in ("--config-dir", folder)]
        done = start(composed, ["growsearch", "run", *given, *words], wait=True, tell=sweep.note_run)
        result = done.read_result()
        figures = [result.get(name) for name in composed.output.objectives]
        return figures[0] if len(figures) == 1 else figures
    except UserError as error:
        if sweeping:
            sweep.note_failure(error)
        else:
            _FAILED.append(error)
    except Exception as error:
        if not sweeping:
            raise
        sweep.note_failure(error)
    return None
