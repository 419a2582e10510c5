"""Real growsearch processes, for tests that kill them."""

import json
import multiprocessing
import os
import subprocess
import sys
import time
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from growsearch.run_folder.checkpoint import read_checkpoint

os.environ.setdefault("OMP_NUM_THREADS", "1")  # for the server of forks, which starts with the first of them
FORKS = multiprocessing.get_context("forkserver")
SLOW_TO_IMPORT = [
    *("growsearch.cli.run", "growsearch.runner.start", "sklearn.datasets", "scipy.sparse.csgraph", "scipy.optimize"),
    *("torch.utils.flop_counter", "hydra._internal.hydra", "hydra.grammar.gen.OverrideLexer"),
    *("hydra_plugins.hydra_joblib_launcher", "hydra_plugins.hydra_submitit_launcher"),
    *(f"growsearch.algorithms.{name}.search" for name in ("fixed", "densemann", "prdarts", "ectonas", "conet")),
    *(f"growsearch.algorithms.{name}.search" for name in ("stagewise", "prune", "grow")),
    "growsearch.algorithms.ectonas.pooling_trial",
]
FORKS.set_forkserver_preload(SLOW_TO_IMPORT)
LOG = "log.txt"


def command(words: list[str], folder: Path, **environment: str) -> subprocess.Popen:
    """Start ``growsearch`` in a process of its own, working in ``folder``, on one thread unless told otherwise."""
    code = "import sys; from growsearch.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def forked(words: list[str], folder: Path, save_share: int | None = None) -> BaseProcess:
    """Like :func:`command`, from a process that has imported all: a start costs little, so that many can be killed.

    Args:
        words: of the command line.
        folder: to work in; what is printed goes to ``log.txt`` there.
        save_share: saves follow each other after so many times what one costs, from the start on; None for the usual.
    """
    (folder / LOG).unlink(missing_ok=True)
    process = FORKS.Process(target=_growsearch, args=(words, folder, save_share))
    process.start()
    return process


def _growsearch(words: list[str], folder: Path, save_share: int | None) -> None:
    from growsearch.cli import main
    from growsearch.runner import session

    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    os.fsync = os.fstat  # as in conftest.py
    if save_share is not None:
        session.SAVE_SHARE, session.AFTER_RESUME = save_share, 0.0
    sys.exit(main(words))


def finish(words: list[str], folder: Path) -> str:
    """Run to the end and return what was printed; fails the test on any exit code but 0."""
    process = forked(words, folder)
    process.join(600)
    said = (folder / LOG).read_text()
    assert process.exitcode == 0, said
    return said


def only_run(folder: Path) -> Path:
    """The one run folder below ``folder``."""
    (found,) = folder.glob("outputs/*/*/*/config.yaml")
    return found.parent


def wait_until_logging(process: BaseProcess, folder: Path) -> None:
    """Wait for the line that a run begins with, from which on it hears signals, or until it ends."""
    while process.is_alive() and not ((folder / LOG).exists() and (folder / LOG).stat().st_size):
        time.sleep(0.005)


def events_of(run: Path) -> list[dict[str, Any]]:
    """All lines of the journal but for the clock."""
    return [timeless(json.loads(line)) for line in (run / "events.jsonl").read_text().splitlines()]


def timeless(record: dict[str, Any]) -> dict[str, Any]:
    """A line of a journal without what no other run repeats: its second, and an answer that is a time."""
    ask = record.get("ask", {})
    is_time = ask.get("action") == "Clock" or ask.get("function") == "cpu_inference_ms"
    return {k: v for k, v in record.items() if k != "seconds" and not (is_time and k == "answer")}


def state_of(run: Path) -> Any:
    """Networks and positions in the newest checkpoint."""
    return read_checkpoint(run / "checkpoints" / "last.safetensors")["run"]
