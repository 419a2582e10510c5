"""Faults that are planted in the package, and whether the tests notice them."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "growsearch"
FAULTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "faults.yaml").read_text())
WANTED = 0.9


def run_tests(tests: list[str], copy: Path) -> bool:
    """Whether tests pass on a copy of the package."""
    # -P keeps the folder of the repository, and so the package without the fault, off the path.
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-x", "-n", "0", "-p", "no:cacheprovider", "--timeout=120"]
    ended = subprocess.run(
        [*command, *(str(TESTS / test) for test in tests)],
        cwd=TESTS.parent,
        env=os.environ | {"PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )
    assert ended.returncode in (0, 1), ended.stdout[-2000:]  # else they did not run
    return ended.returncode == 0


def survives(fault: dict[str, Any], folder: Path) -> bool:
    """Whether the tests of a fault pass with it planted."""
    shutil.copytree(PACKAGE, folder / "growsearch", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "growsearch" / fault["file"]
    file.write_text(file.read_text().replace(fault["old"], fault["new"]))
    passed = run_tests(fault["tests"], folder)
    shutil.rmtree(folder)
    return passed


def score(faults: list[dict[str, Any]], folder: Path) -> list[dict[str, Any]]:
    """Plant each fault on its own; returns those that survive, each reported as it is tried."""
    survivors = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        tried = pool.map(survives, faults, (folder / str(number) for number in range(len(faults))))
        for fault, survived in zip(faults, tried, strict=True):
            print("survives" if survived else "caught  ", fault["file"], "|", fault["new"].strip(), flush=True)
            survivors += [fault] if survived else []
    print(f"{len(faults) - len(survivors)} of {len(faults)} caught")
    return survivors


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: f"{fault['file']}: {fault['new'].strip()[:40]}")
def test_every_fault_can_still_be_planted(fault):
    assert (PACKAGE / fault["file"]).read_text().count(fault["old"]) == 1
    assert fault["new"] != fault["old"]
    assert fault["tests"] and all((TESTS / test.partition("::")[0]).is_file() for test in fault["tests"])


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_planted_faults_are_noticed(tmp_path):
    shutil.copytree(PACKAGE, tmp_path / "whole" / "growsearch")
    assert run_tests(sorted({test for fault in FAULTS for test in fault["tests"]}), tmp_path / "whole")
    survivors = score(FAULTS, tmp_path)
    unexplained = [fault for fault in survivors if not fault.get("survives")]
    assert not unexplained, "no test notices these, and no reason is given"
    assert len(survivors) <= (1 - WANTED) * len(FAULTS)
