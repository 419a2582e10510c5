"""The same command gives the same bits, on a quiet machine and on a busy one."""

import os
import subprocess
import sys

import pytest
import torch
from algorithms.methods import METHODS
from option_trials import record_of

FEW = ("data.train_size=64", "data.val_size=32", "data.test_size=32")

UNTIMED = {"stagewise": ("algo.inference_repeats=0",)}
"""What keeps seconds of inference, which are measured, out of a method's record."""


@pytest.fixture
def busy():
    """As many other processes that compute as there are cores."""
    count = os.cpu_count() or 1
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    yield
    for other in others:
        other.kill()
        other.wait()


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("method", [pytest.param(name, marks=pytest.mark.slow) for name in METHODS])
def test_three_repeats_alone_and_under_load_are_bit_identical(method, tmp_path, request):
    def repeats(place: str) -> list[str]:
        found = []
        for number in range(3):
            torch.manual_seed(number)  # what another program left behind is none of the run's concern
            found.append(
                record_of((*METHODS[method], *UNTIMED.get(method, ()), *FEW), tmp_path / f"{place}{number}")[0]
            )
        return found

    alone = repeats("alone")
    request.getfixturevalue("busy")
    assert {*alone, *repeats("busy")} == {alone[0]}
