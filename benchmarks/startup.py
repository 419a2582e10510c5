"""From the start of Python to the first optimizer step of a run, against ``import torch`` alone.

    python benchmarks/startup.py [--repeats 5] [overrides of growsearch run, such as algo=prdarts]

Each is a process of its own, in turn; its CPU time is compared, as it hardly depends on what else the machine
does. The run is composed and prepared as the command line does it (digits, schedule=smoke); nothing is written.
Files are warm and compiled to bytecode, as pip does it: one process of each kind runs before. The modules that a
first step should not need are named where it imports them all the same.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

TORCH = "import torch"
STEP = """
import sys
from growsearch.cli import run

def first_step(composed):
    from growsearch.config import typed
    run.runner()
    from growsearch.runner.start import prepare
    for line in prepare(typed(composed)).run():
        if line is None:
            break

run.task = first_step
run.main(sys.argv[1:])
heavy = ("torchvision", "sklearn", "scipy.sparse", "matplotlib", "triton", "sympy", "torch._inductor", "pandas")
print(" ".join(name for name in heavy if name in sys.modules) or "none")
"""
OVERRIDES = ["data=digits", "schedule=smoke", "hardware=cpu"]


def cpu_seconds(code: str, *arguments: str) -> tuple[float, str]:
    """CPU seconds of a new interpreter that runs ``code``, and what it prints."""
    compiled = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code, *arguments]
    before = os.times()
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=compiled)
    after = os.times()
    used = after.children_user - before.children_user + after.children_system - before.children_system
    return used, done.stdout.strip()


def main() -> None:
    """Print both times, their ratio and the heavy modules."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    pairs, heavy = [], ""
    for turn in range(options.repeats + 1):
        torch_seconds, _ = cpu_seconds(TORCH)
        begun = time.perf_counter()
        step_seconds, heavy = cpu_seconds(STEP, *OVERRIDES, *options.overrides)
        wall = time.perf_counter() - begun
        if turn:
            pairs.append((torch_seconds, step_seconds, wall))
    ratios = sorted(step / alone for alone, step, _ in pairs)
    alone, step, wall = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(f"import torch {alone:.2f} s, to the first step {step:.2f} s of CPU time ({wall:.2f} s of the wall)")
    print(f"ratio {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}], n={len(ratios)}; heavy: {heavy}")


if __name__ == "__main__":
    main()
