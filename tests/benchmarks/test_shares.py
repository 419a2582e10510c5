import runpy
import time
from pathlib import Path

import pytest

SHARES = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "shares.py"))


def test_a_part_within_another_is_counted_once(monkeypatch):
    ticks = iter(range(10))
    monkeypatch.setattr(time, "process_time", lambda: next(ticks))
    meter = SHARES["Meter"]()
    with meter.part("edits"), meter.part("trace"):
        pass
    assert meter.seconds == {"rest": 1, "edits": 2, "trace": 1}


@pytest.mark.slow
def test_every_part_of_a_run_is_found(tmp_path):
    words = [*SHARES["WORDS"], "schedule=smoke", "algo.max_generations=1", f"output.root={tmp_path}"]
    found = SHARES["once"]([word for word in words if word != "schedule=quick"])
    assert set(SHARES["PARTS"]) == found.keys()
    assert min(found.values()) > 0
