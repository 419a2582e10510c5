"""A run folder as a stranger could have sent it, and the limits within which it has to be refused."""

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from growsearch.cli.compose import compose_run
from growsearch.errors import UserError
from growsearch.runner import start

WORDS = [
    *("algo=fixed", "network=sequential", "network.topology=small_ffnn", "data=digits", "schedule=smoke"),
    *("hardware=cpu", "hardware.threads=1", "track=quiet", "track.report=false", "algo.training.batch_size=50"),
    *("data.train_size=100", "data.val_size=20", "data.test_size=20"),
]

MOST_BYTES = 700 * 2**20
"""Memory that refusing any file may take."""


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run; take copies."""
    root = tmp_path_factory.mktemp("whole")
    start(compose_run([*WORDS, f"output.root={root}"]))
    (result,) = root.glob("*/*/*/result.json")
    return result.parent


@pytest.fixture
def run(whole_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run in a folder of its own."""
    return Path(shutil.copytree(whole_run, tmp_path / "outputs" / "fixed" / "digits" / "run"))


@contextmanager
def refused(match: str | None = None) -> Iterator[None]:
    """Expect an error of one line without control characters, and bearable memory on the way to it."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UserError, match=match) as caught:
        yield
    grown = 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
    assert str(caught.value).isprintable(), "no line without control characters"
    assert grown < MOST_BYTES, f"{grown:,} bytes"
