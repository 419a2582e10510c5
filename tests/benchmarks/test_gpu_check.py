import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LAST = "channels_last"
PARTS = "tests,methods-prdarts-search,densemann-run"


def call(name, *arguments):
    return subprocess.run(
        [sys.executable, BENCHMARKS / name, *map(str, arguments)], capture_output=True, text=True, timeout=500
    )


def check(out, *arguments):
    return call("gpu_check.py", "--device", "cpu", "--tiny", "--out", out, "--only", PARTS, *arguments)


def state(out):
    return {name: entry["outcome"] for name, entry in json.loads((out / "state.json").read_text()).items()}


@pytest.mark.slow
def test_parts_that_passed_are_not_repeated_and_a_run_goes_on_in_another_folder(tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    check(first, "--minutes", "0")
    assert not (first / "state.json").exists() or "passed" not in state(first).values()
    done = check(first)
    assert state(first) == dict.fromkeys(PARTS.split(","), "passed"), done.stdout + done.stderr
    assert "DensEMANN, full schedule" in (first / "summary.txt").read_text()
    again = check(second, "--earlier", first)
    assert again.returncode == 0 and "..." not in again.stdout
    assert len(list(second.rglob("result.json"))) == 1


@pytest.mark.parametrize(("only", "count"), [("densemann-growing", 1), pytest.param("", 9, marks=pytest.mark.slow)])
def test_every_network_is_measured_in_every_loop(tmp_path, only, count):
    some = ["--only", only] if only else []
    done = call("methods.py", "--device", "cpu", "--tiny", "--repeats", 1, "--profile", "--out", tmp_path, *some)
    assert done.returncode == 0, done.stderr
    (record,) = (json.loads(file.read_text()) for file in tmp_path.glob("*.json"))
    assert len(record["subjects"]) == count
    for name, rows in record["subjects"].items():
        loops = {row["loop"]: row for row in rows}
        assert all(sum(row["shares"].values()) == pytest.approx(1.0) for row in rows)
        assert (max(row["shares"]["convolution"] for row in rows) > 0.05) == (name != "ectonas-large_ffnn")
        layouts = ("contiguous", "channels_last") if f"eager {LAST}" in loops else ("contiguous",)
        assert set(loops) == {f"{kind} {layout}" for kind in ("bare", "eager") for layout in layouts}
        assert LAST in layouts or name not in ("densemann-growing", "densemann-final")
        for layout in layouts:
            # One fused update instead of several operators a parameter; a failed step's statistics are kept for it.
            assert loops[f"eager {layout}"]["operators"] < 1.2 * loops[f"bare {layout}"]["operators"] + 30, name
    (page,) = tmp_path.glob("*.md")
    assert page.read_text().count("## ") == count
