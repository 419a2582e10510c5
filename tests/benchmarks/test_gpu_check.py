import argparse
import json
import runpy
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from algorithms.methods import METHODS
from training.replays import pretended_captures

from growsearch.training import compiled as compiled_module
from growsearch.training import engine as engine_module
from growsearch.training.compiled import CompiledForward

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
LAST = "channels_last"
VARIED = ("prdarts-search", "densemann-final", "conet-resnet34")
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
        assert set(loops) == {f"{kind} {layout}" for kind in ("bare", "unread", "eager") for layout in layouts}
        assert LAST in layouts or name not in ("densemann-growing", "densemann-final")
        for layout in layouts:
            # One fused update instead of several operators a parameter; a failed step's statistics are kept for it.
            assert loops[f"eager {layout}"]["operators"] < 1.2 * loops[f"bare {layout}"]["operators"] + 30, name
    (page,) = tmp_path.glob("*.md")
    assert page.read_text().count("## ") == count


@pytest.fixture
def load(monkeypatch):
    """What a benchmark defines."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return lambda name: runpy.run_path(str(BENCHMARKS / name))


def test_captures_are_counted_side_by_side_and_one_after_another(load):
    captures, device = load("captures.py"), torch.device("cpu")
    with pretended_captures() as streams:
        assert captures["rate"](device, 2, 4) > 0
        assert [stream.captures for stream in streams[-2:]] == [1, 1]
        assert captures["growth"](device, 3) < captures["ROOM"]
        assert streams[-1].captures == 3


def test_runs_that_differ_are_told(load):
    repeatability = load("repeatability.py")
    difference, runs = repeatability["difference"], []
    words = [*METHODS["fixed"], "algo.training.epochs=1"]
    assert difference(words) is None
    lines, tensors = repeatability["run"](words)
    name = next(iter(tensors))
    runs += [(lines, tensors), (lines, {**tensors, name: tensors[name] + 0.5})]
    runs += [(lines, tensors), ([*lines[:-1], {}], tensors)]
    difference.__globals__["run"] = lambda words: runs.pop(0)
    assert difference(words) == f"{name} by up to 0.5"
    assert difference(words).startswith(f"event {len(lines) - 1} of {len(lines)}")


QUICK = {"methods-tf32-densemann-final", "methods-compiled-densemann-final"}
VARIANTS = [f"methods-{kind}-{name}" for kind in ("bf16", "tf32", "compiled") for name in VARIED]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[] if n in QUICK else pytest.mark.slow) for n in [*VARIANTS, "methods-prdarts-128"]]
)
def test_parts_that_need_a_gpu_measure_with_a_pretended_one(load, monkeypatch, tmp_path, name):
    """Their own commands; captures are pretended, and compiled networks run as they are."""
    options = argparse.Namespace(device="cuda", tiny=True, out=tmp_path, data=None, site=tmp_path)
    command = {part.name: part.command for part in load("gpu_check.py")["parts_of"](options)}[name]
    words = ["cpu" if word == "cuda" else word for word in command[1:]]
    words += [] if "--steps" in words else ["--steps", "captured"]
    kinds = words[words.index("--steps") + 1].split(",")
    compile, precisions = torch.compile, []
    monkeypatch.setattr(torch, "compile", lambda module, **words: compile(module, **{"backend": "eager", **words}))
    monkeypatch.setattr(compiled_module, "backend", lambda: torch._dynamo.lookup_backend("eager"))
    monkeypatch.setattr(CompiledForward, "frozen", lambda self: nullcontext())  # the tape is compiled for anew
    monkeypatch.setattr(engine_module, "check_precision", lambda precision, device: precisions.append(precision))
    monkeypatch.setattr(sys, "argv", words)
    with pretended_captures(warm_ups=1, kind=None) as streams:
        load("methods.py")["main"]()
    assert sum(stream.replays for stream in streams) > 0
    (record,) = (json.loads(file.read_text()) for file in tmp_path.rglob("*.json"))
    ((_, rows),) = record["subjects"].items()
    assert {row["loop"].split()[0] for row in rows} == {"bare", "unread", *kinds}
    assert set(precisions) == {record["precision"]} and (record["precision"] in name) != (
        record["precision"] == "float32"
    )
