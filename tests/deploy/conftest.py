"""One small trained run for all tests of what leaves a run."""

from pathlib import Path

import pytest

from growsearch.cli.compose import compose_run
from growsearch.runner import start

WORDS = [
    "algo=fixed",
    "network=sequential",
    "network.topology=large_ffnn",
    "data=digits",
    "schedule=smoke",
    "hardware=cpu",
    "hardware.threads=1",
    "track=quiet",
    "track.report=false",
    "algo.training.epochs=8",
    "algo.training.batch_size=32",
    "data.train_size=600",
    "data.test_size=150",
]


@pytest.fixture(scope="session")
def digits_run(tmp_path_factory) -> Path:
    """The folder of a network that reads digits."""
    root = tmp_path_factory.mktemp("outputs")
    start(compose_run([*WORDS, f"output.root={root}"]))
    (found,) = root.glob("*/*/*/result.json")
    return found.parent
