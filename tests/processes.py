"""Real growsearch processes, for tests that kill them."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from growsearch.runs.checkpoint import read_newest


def command(words: list[str], folder: Path) -> subprocess.Popen:
    """Start ``growsearch`` in a process of its own, working in ``folder``."""
    code = "import sys; from growsearch.cli import main; sys.exit(main(sys.argv[1:]))"
    return subprocess.Popen(
        [sys.executable, "-c", code, *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(words: list[str], folder: Path) -> str:
    """Run to the end and return what was printed; fails the test on any exit code but 0."""
    process = command(words, folder)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out + err


def only_run(folder: Path) -> Path:
    """The one run folder below ``folder``."""
    (found,) = folder.glob("outputs/*/*/*/config.yaml")
    return found.parent


def wait_until_working(process: subprocess.Popen) -> None:
    """Wait for the line that a run begins with; from then on it hears signals."""
    assert process.stdout is not None
    process.stdout.readline()


def wait_until_writing(process: subprocess.Popen, folder: Path) -> None:
    """Wait until a file of the run is being written beside the one whose place it will take, or the process ends."""
    while process.poll() is None and not any(folder.glob("outputs/*/*/*/**/*.tmp")):
        time.sleep(0.0005)


def events_of(run: Path) -> list[dict[str, Any]]:
    """All events but for the clock."""
    lines = (run / "events.jsonl").read_text().splitlines()
    return [{k: v for k, v in json.loads(line).items() if k != "seconds"} for line in lines]


def state_of(run: Path) -> Any:
    """The algorithm's state in the newest checkpoint."""
    return read_newest(run / "checkpoints")[0]["algorithm"]
