import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from sampling import sampled

STARTUP = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "startup.py"))


@pytest.mark.parametrize("algorithm", sampled(("ectonas", "prdarts"), "prdarts"))  # the latter with Adam
def test_the_first_step_needs_no_compiler_and_no_other_heavy_package(algorithm):
    words = [sys.executable, "-c", STARTUP["STEP"], *STARTUP["OVERRIDES"], f"algo={algorithm}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["none"]
