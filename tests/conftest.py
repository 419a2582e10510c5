"""Shared by all tests: helper modules beside the tests, one thread, and little that waits."""

import gc
import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
gc.disable()  # while modules are imported, nearly all of which stay
# Tests start many processes, and each would compile the whole package where that is switched off.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
os.fsync = os.fstat  # no power is lost here, so nothing waits for the disk; a handle must still be one
torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """From here on garbage is collected, among what the tests make and seldom."""
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


@pytest.fixture
def tiny_engine():
    """Return a maker of engines on a few digits."""
    from algorithms.tiny import tiny_engine

    return tiny_engine
