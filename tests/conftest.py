"""Shared by all tests: helper modules beside the tests, and one thread."""

import os
import sys
from pathlib import Path

import pytest
import torch
from hypothesis import settings

sys.path.insert(0, str(Path(__file__).parent))
# Tests start many processes, and each would compile the whole package where that is switched off.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
torch.set_num_threads(1)
settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture
def tiny_engine():
    """Return a maker of engines on a few digits."""
    from algorithms.tiny import tiny_engine

    return tiny_engine
