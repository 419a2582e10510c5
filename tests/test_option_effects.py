"""Nothing is accepted and ignored: another value of an option changes what a run records, or is refused."""

import random

import pytest
from option_trials import Case, cases, trial, write_files

GPU_ONLY = ["hardware.batch_autoscaling", "hardware.memory_fraction"]
"""Options that matter on a GPU only."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the files that commands name."""
    found = tmp_path_factory.mktemp("options")
    write_files(found)
    return found


@pytest.fixture(scope="module")
def known():
    """Records by command, kept from option to option."""
    return {}


def assert_it_matters(case: Case, folder, known, monkeypatch):
    monkeypatch.chdir(folder)
    found = trial(case, folder / "root", known)
    assert found.partition(":")[0] in ("differs", "refused") or case.name in GPU_ONLY, found


SAMPLE = random.Random(1).sample(
    [case for case in cases() if case.owner in ("fixed", "digits", "csv", "resnet", "")], 8
)


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.name)
def test_a_sample_of_options_matters_in_a_run(case, folder, known, monkeypatch):
    assert_it_matters(case, folder, known, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_every_option_matters_in_a_run(case, folder, known, monkeypatch):
    assert_it_matters(case, folder, known, monkeypatch)
