"""One uninterrupted run a method, shared by all tests and by the processes that run them."""

from collections.abc import Callable
from pathlib import Path

import pytest
from algorithms.methods import ROWS
from filelock import FileLock
from processes import finish, only_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory, worker_id) -> Callable[[str], Path]:
    """The folder of a row's uninterrupted run, made when first asked for."""
    base = tmp_path_factory.getbasetemp()
    root = (base if worker_id == "master" else base.parent) / "finished"

    def run(name: str) -> Path:
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not (folder / "done").exists():
                finish(["run", *ROWS[name]], folder)
                (folder / "done").touch()
        return only_run(folder)

    return run
