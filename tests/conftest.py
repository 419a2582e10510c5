"""Shared by all tests: helper modules beside the tests, and one thread."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))
torch.set_num_threads(1)


@pytest.fixture
def tiny_engine():
    """Return a maker of engines on a few digits."""
    from algorithms.tiny import tiny_engine

    return tiny_engine
