"""The scripts, one for each table: what they would run composes, and stopping one costs nothing."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sampling import sampled

from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.reports.paper import tables

TABLES = tables()
SCRIPTS = Path(__file__).parents[2] / "scripts"
pytestmark = pytest.mark.skipif(
    not SCRIPTS.is_dir() or shutil.which("bash") is None, reason="scripts/ and bash are part of a checkout only"
)


def as_in_a_terminal():
    """Where pytest runs in the background, SIGINT may be ignored, and children inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def begin(name, words, folder):
    """A script in a session of its own, with this Python's growsearch."""
    command = folder / "growsearch"
    command.write_text(f"#!{sys.executable}\nimport sys\nfrom growsearch.cli import main\nsys.exit(main())\n")
    command.chmod(0o755)
    return subprocess.Popen(
        ["bash", str(SCRIPTS / f"{name}.sh"), *words],
        cwd=folder,
        env={**os.environ, "OMP_NUM_THREADS": "1", "GROWSEARCH": str(command)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        preexec_fn=as_in_a_terminal,
    )


def said(name, words, folder):
    process = begin(name, words, folder)
    out, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, out
    return out


def test_every_table_has_its_script():
    assert {path.stem for path in SCRIPTS.glob("*-[0-9].sh")} == set(TABLES)


@pytest.mark.parametrize("name", sampled(TABLES, "conet-4", "densemann-3", "prdarts-3", "stagewise-5"))
def test_what_would_be_run_composes_and_its_cost_is_told(name, tmp_path):
    full, tiny = (said(name, [scale, "--dry-run"], tmp_path).splitlines() for scale in ("full", "tiny"))
    assert re.match(rf"{name}, scale full: .*\d", full[0]) and re.match(rf"{name}, scale tiny: .*\d", tiny[0])
    assert full[-1] == f"+ {tmp_path}/growsearch table {name} outputs/paper-full"
    runs = [line.split(" run -m ")[1] for line in tiny if " run -m " in line]
    assert runs
    for words in dict.fromkeys(runs):
        first = [word if "[" in word else word.split(",")[0] for word in words.split(" ")]
        assert typed(compose_run(first)).output.root == "outputs/paper-tiny"
    assert not (tmp_path / "outputs").exists()


def test_usage_and_bad_words(tmp_path):
    process = begin("conet-2", ["smal"], tmp_path)
    assert "'smal' is not accepted; use full, cpu, tiny" in process.communicate(timeout=60)[0]
    assert process.returncode == 2


def stop_and_go_on(name, folder):
    """Interrupt a script after its first result, and start it again."""
    process = begin(name, ["tiny"], folder)
    deadline = time.monotonic() + 600
    while process.poll() is None and not list(folder.glob("outputs/**/result.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    kept = {path: path.stat().st_mtime_ns for path in folder.glob("outputs/**/result.json")}
    shown = said(name, ["tiny"], folder)
    results = list(folder.glob("outputs/**/result.json"))
    prints = [json.loads(path.read_text())["fingerprint"] for path in results]
    assert kept and all(path.stat().st_mtime_ns == stamp for path, stamp in kept.items())
    assert len(set(prints)) == len(prints)
    assert len(list(folder.glob("outputs/**/fingerprint.json"))) == len(results)
    assert "ours" in shown and shown.count("finished already") >= len(kept)
    return len(results)


def test_a_script_stopped_in_the_middle_goes_on(tmp_path):
    assert stop_and_go_on("ectonas-6", tmp_path) == 6


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_every_script_at_its_smallest_scale(name, tmp_path):
    assert stop_and_go_on(name, tmp_path) >= 1
