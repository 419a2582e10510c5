"""Nothing is accepted and ignored: another value of an option changes what a run records, or is refused."""

import random

import pytest
from option_trials import DIGITS, NETWORK, Case, cases, trial, write_files

from growsearch.cli.explain import documented

BATCHES = ("batch_max", "batch_interval", "batch_reset", "evaluation.batch_max", "evaluation.batch_multiple")
GPU_ONLY = [
    *("hardware.batch_autoscaling", "hardware.memory_fraction", "prdarts:algo.evaluation.batch_interval"),
    *(f"prdarts:algo.{name}" for name in BATCHES),
]
"""Options that matter on a GPU only: batches grow, and memory is shared out, by what the device has free."""

RARE = [
    "densemann:algo.re_patience_scope",  # takes two prunings in a layer: test_densemann_golden_decisions.py
    "densemann:algo.late_additions",  # takes a useful filter while others settle late: test_densemann_machine.py
]
"""Options that matter at moments that no short run meets, and the tests that show what they change."""


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


def assert_it_matters(case: Case, folder, known, monkeypatch, record_property):
    monkeypatch.chdir(folder)
    found = trial(case, folder / "root", known)
    record_property("found", found)
    assert found.partition(":")[0] in ("differs", "refused") or case.name in (*RARE, *GPU_ONLY), found


SAMPLE = random.Random(1).sample(
    [case for case in cases() if case.owner in ("fixed", "digits", "csv", "resnet", "")], 5
)


@pytest.mark.parametrize("case", SAMPLE, ids=lambda case: case.name)
def test_a_sample_of_options_matters_in_a_run(case, folder, known, monkeypatch, record_property):
    assert_it_matters(case, folder, known, monkeypatch, record_property)


def test_what_changes_no_result_is_seen_to_change_none(folder, known, monkeypatch):
    """The control of all others: a record tells results apart, not commands."""
    monkeypatch.chdir(folder)
    (label,) = (entry for owner, entry in documented() if (owner, entry.path) == ("fixed", "algo.label"))
    assert trial(Case("fixed", label, (*NETWORK, *DIGITS)), folder / "root", known).startswith("nothing")


@pytest.mark.slow
@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_every_option_matters_in_a_run(case, folder, known, monkeypatch, record_property):
    assert_it_matters(case, folder, known, monkeypatch, record_property)
