"""Runs taken together: numbers that some lack, and the latency that most have."""

from types import SimpleNamespace

import pytest

from growsearch.reports.groups import RunGroup, latency_key
from growsearch.run_folder.read import LATENCY


def group(*results: dict) -> RunGroup:
    return RunGroup("conet", "digits", "smoke", [SimpleNamespace(result=result) for result in results])


def test_the_latency_that_most_runs_have_is_shown_of_equals_that_of_fewest_images():
    one, many, other = f"{LATENCY} (1 image)", f"{LATENCY} (64 images)", f"{LATENCY} (1 image, GPU)"
    assert latency_key([group({many: 1.0}, {many: 2.0, one: 0.5}), group({"params": 3})]) == many
    assert latency_key([group({many: 1.0, one: 0.5, other: 0.1})]) == one
    assert latency_key([group({"params": 3})]) is None


def test_means_and_deviations_are_over_the_runs_that_have_the_number():
    runs = group({"params": 1}, {"params": None}, {}, {"params": 4}, {"params": "7"})
    assert runs.values("params") == [1.0, 4.0]
    assert runs.mean("params") == 2.5 and runs.deviation("params") == pytest.approx(4.5**0.5)
    assert runs.mean("macs") is runs.deviation("macs") is None
