"""What is said before a sweep begins whose jobs the machine could not bear side by side."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from growsearch.cli.crowding import LEAST_BYTES, largest_run, side_by_side, too_little_memory, too_many_threads

GIB = 2**30


@pytest.mark.parametrize(
    ("n_jobs", "cores", "combinations", "jobs"),
    [(4, 2, 9, 4), (4, 2, 3, 3), (-1, 8, 20, 8), (-2, 8, 20, 7), (-9, 8, 20, 1), (-1, 64, 2, 2)],
)
def test_jobs_at_a_time(n_jobs, cores, combinations, jobs):
    assert side_by_side(n_jobs, cores, combinations) == jobs


def write(root: Path, place: str, peak: object, device: str = "CPU (x86_64)") -> Path:
    run = root / place
    run.mkdir(parents=True)
    (run / "result.json").write_text(json.dumps({"device": device, "peak_memory_bytes": peak}))
    return run


def test_the_largest_finished_run_of_the_kind_is_the_measure(tmp_path):
    assert largest_run(tmp_path, "conet", "cifar10") == (LEAST_BYTES, None)
    write(tmp_path, "conet/cifar10/a", 2 * GIB)
    larger = write(tmp_path, "conet/cifar10/b", 3 * GIB)
    write(tmp_path, "conet/cifar10/gpu", 70 * GIB, device="NVIDIA H100")
    write(tmp_path, "conet/cifar10/word", "9")
    other = write(tmp_path, "conet/imagenet32/a", 9 * GIB)
    (write(tmp_path, "conet/cifar10/torn", 1) / "result.json").write_text("{")
    assert largest_run(tmp_path, "conet", "cifar10") == (3 * GIB, larger)
    assert largest_run(tmp_path, "conet", "*") == largest_run(tmp_path, "*", "*") == (9 * GIB, other)
    assert largest_run(tmp_path, "densemann", "*") == (LEAST_BYTES, None)


def test_memory_is_warned_of_only_where_it_is_too_little():
    assert too_little_memory(4, 2 * GIB, None, 8 * GIB) is None
    assert too_little_memory(1, 20 * GIB, None, 8 * GIB) is None
    said = too_little_memory(5, 2 * GIB, Path("outputs/a"), 8 * GIB)
    assert said is not None and "5 jobs at a time are too many for 8.0 GiB of free memory" in said
    assert "as much as outputs/a took (2.0 GiB); use hydra.launcher.n_jobs=4" in said
    assert "what any run takes" in (too_little_memory(5, 2 * GIB, None, GIB) or "")


def test_threads_are_warned_of_only_where_cores_are_too_few():
    assert [too_many_threads(*asked) for asked in ((2, 4, 8), (8, 1, 4), (8, 0, 4), (1, 8, 4))] == [None] * 4
    assert "use hardware.threads=2" in (too_many_threads(4, 4, 8) or "")
    assert "use hardware.threads=1" in (too_many_threads(16, 2, 8) or "")


def test_what_jobs_measure_for_themselves_keeps_to_their_share_of_the_cores():
    """A job that measures asks torch how many threads it may use; joblib tells each process its share."""
    pytest.importorskip("joblib")
    code = """
import joblib

def threads():
    import torch
    return torch.get_num_threads()

print(*joblib.Parallel(2)([joblib.delayed(threads)()]))
"""
    environment = {key: value for key, value in os.environ.items() if not key.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert int(done.stdout) == max(1, (os.cpu_count() or 1) // 2)
