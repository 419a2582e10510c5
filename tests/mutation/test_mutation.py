"""Faults that are planted in the package, and whether the tests notice them."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
import yaml

TESTS = Path(__file__).parents[1]
PACKAGE = TESTS.parent / "growsearch"
FAULTS: list[dict[str, Any]] = yaml.safe_load((Path(__file__).parent / "faults.yaml").read_text())
WANTED = 0.9


DRIVER = """
import json, os, sys
import hypothesis, numpy, pandas, pytest, torch, torchvision, yaml

for line in sys.stdin:
    job = json.loads(line)
    child = os.fork()
    if child == 0:
        sys.path.insert(0, job["copy"])
        os.environ["PYTHONPATH"] = job["copy"]
        with open(job["told"], "w") as told:
            os.dup2(told.fileno(), 1)
            os.dup2(told.fileno(), 2)
        os._exit(pytest.main(job["words"]))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Driver:
    """A process that has imported what the package needs, and forks for each copy of the package to be tested."""

    def __init__(self) -> None:
        # -P keeps the folder of the repository, and so the package without the fault, off the path.
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-c", DRIVER],
            cwd=TESTS.parent,
            env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def passes(self, tests: list[str], copy: Path) -> bool:
        """Whether tests pass on a copy of the package."""
        assert self.process.stdin is not None and self.process.stdout is not None
        told = copy / "told.txt"
        words = ["-q", "-x", "-m", "not slow or further", "-n", "0", "-p", "no:cacheprovider", "--timeout=120"]
        words += [str(TESTS / one) for one in tests]
        self.process.stdin.write(json.dumps({"copy": str(copy), "told": str(told), "words": words}) + "\n")
        self.process.stdin.flush()
        code = int(self.process.stdout.readline())
        assert code in (0, 1), told.read_text()[-2000:]  # else they did not run
        return code == 0


@pytest.fixture
def drivers():
    """A driver for each core."""
    started = [Driver() for _ in range(os.cpu_count() or 1)]
    yield started
    for driver in started:
        driver.process.communicate()


def survives(fault: dict[str, Any], folder: Path, idle: Queue[Driver]) -> bool:
    """Whether the tests of a fault pass with it planted, as a driver that is idle finds."""
    shutil.copytree(PACKAGE, folder / "growsearch", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "growsearch" / fault["file"]
    file.write_text(file.read_text().replace(fault["old"], fault["new"]))
    driver = idle.get()
    try:
        passed = driver.passes(fault["tests"], folder)
    finally:
        idle.put(driver)
    shutil.rmtree(folder)
    return passed


def score(faults: list[dict[str, Any]], folder: Path, drivers: list[Driver]) -> list[dict[str, Any]]:
    """Plant each fault on its own; returns those that survive, each reported as it is tried."""
    survivors, idle = [], Queue[Driver]()
    for driver in drivers:
        idle.put(driver)
    with ThreadPoolExecutor(len(drivers)) as pool:
        tried = pool.map(survives, faults, (folder / str(number) for number in range(len(faults))), repeat(idle))
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
def test_planted_faults_are_noticed(tmp_path, drivers):
    shutil.copytree(PACKAGE, tmp_path / "whole" / "growsearch")
    assert drivers[0].passes(sorted({test for fault in FAULTS for test in fault["tests"]}), tmp_path / "whole")
    survivors = score(FAULTS, tmp_path, drivers)
    unexplained = [fault for fault in survivors if not fault.get("survives")]
    assert not unexplained, "no test notices these, and no reason is given"
    assert len(survivors) <= (1 - WANTED) * len(FAULTS)
