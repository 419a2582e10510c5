"""Write the run folders of this version: python tests/compatibility/write_runs.py

One finished run (without its checkpoints) and one unfinished run (with its last) for each method, on the smallest
networks that pass through every part of it. Folders of earlier versions stay as they are.
"""

import contextlib
import json
import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from unittest import mock

import growsearch
from growsearch.cli import main
from growsearch.runner.session import Session, Stopped

FOLDERS = Path(__file__).parent / "runs"

COMMON = ["data=digits", "schedule=smoke", "hardware=cpu", "track=quiet", "track.report=false"]
IMAGES = ["data.train_size=48", "data.val_size=24", "data.test_size=24"]

ROWS: dict[str, list[str]] = {
    "fixed": ["algo=fixed", "network=sequential", "network.topology=small_cnn", "algo.training.epochs=4", *IMAGES],
    "densemann": ["algo=densemann", "algo.growth_rate=2", *IMAGES],
    "prdarts": ["algo=prdarts", "algo.channels=2", "algo.nodes=1", "algo.evaluation.channels=2"],
    "ectonas": ["algo=ectonas", "algo.topology=small_cnn", "algo.budget=6", *IMAGES],
    "ectonas_pooling": ["algo=ectonas_pooling", "algo.cells=[4,4]", "algo.hidden=[8]", *IMAGES],
    "conet": ["algo=conet", "algo.start_channels=4", "algo.c_max=8", *IMAGES],
    "prune": ["algo=prune", "network=sequential", "network.topology=small_cnn", *IMAGES],
    "grow": ["algo=grow", "network=sequential", "network.topology=small_cnn", "algo.target_params=2000", *IMAGES],
    "stagewise": ["algo=stagewise", "algo.width=2", "algo.iterations=1", *IMAGES],
}
EVENTS_BEFORE_STOP = 3
"""The unfinished run is stopped after so many, which is amid every method."""


def write(name: str, words: list[str], version: Path) -> None:
    """Both runs of a method."""
    command = ["run", *words, *COMMON]
    (version / name).mkdir(parents=True)
    (version / name / "command.json").write_text(json.dumps(command, indent=2) + "\n")
    keep(command, version / name / "finished", drop="checkpoints")
    with stopping(EVENTS_BEFORE_STOP):
        keep(command, version / name / "unfinished", drop="checkpoints/previous.safetensors")


def keep(command: list[str], place: Path, drop: str) -> None:
    """Run in a temporary folder and take over the run's, but for what nobody needs."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        with contextlib.suppress(Stopped):
            assert main(command) == 0
        (config,) = Path(folder).glob("outputs/*/*/*/config.yaml")
        for path in (config.parent / drop, config.parent / ".lock"):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        shutil.copytree(config.parent, place)


@contextlib.contextmanager
def stopping(events: int):
    """Ask runs to stop, saved, once they have recorded so many events."""
    real, told = Session.take, []

    def take(session, found):
        real(session, found)
        if found is not None and found.event is not None:
            told.append(found)
        if len(told) == events:
            os.kill(os.getpid(), signal.SIGTERM)

    with mock.patch.object(Session, "take", take):
        yield


if __name__ == "__main__":
    sys.argv = ["growsearch"]
    folder = FOLDERS / growsearch.__version__
    shutil.rmtree(folder, ignore_errors=True)
    for name, words in ROWS.items():
        write(name, words, folder)
