"""What a second worker gains: the same search with ``hardware.workers=1`` and with 2, in turn, in one run.

    python benchmarks/workers.py [--pairs 3] [--workers 2] [overrides, such as algo=stagewise]

Each search is a command of its own, from the start of Python to its report (digits, schedule=quick). Of each pair two
ratios of the wall's seconds are told: of the whole command, and of its training phases, from the first line of an
epoch in events.jsonl to the last. The machine has to be free: beside the ratios stand the processors' seconds per
second that the commands got, which is how many cores they had. Lines, branch by branch, and results must be equal.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

COMMAND = "import sys; from growsearch.cli import main; sys.exit(main(sys.argv[1:]))"
WORDS = ["algo=ectonas", "data=digits", "schedule=quick", "hardware=cpu", "track=quiet"]
MEASURED = ("val_accuracy", "val_loss", "test_accuracy", "test_loss", "params", "epochs", "steps")


def run(words: list[str], workers: int) -> tuple[dict[str, float], dict[str, Any]]:
    """A search in a folder of its own: its seconds, and what must not depend on workers."""
    with tempfile.TemporaryDirectory() as folder:
        asked = ["run", *words, f"hardware.workers={workers}", f"output.root={folder}"]
        before, begun = os.times(), time.perf_counter()
        done = subprocess.run([sys.executable, "-c", COMMAND, *asked], capture_output=True, text=True)
        wall, after = time.perf_counter() - begun, os.times()
        if done.returncode:
            raise SystemExit(f"{' '.join(asked)}: {done.stderr}")
        (file,) = Path(folder).rglob("events.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        result = json.loads((file.parent / "result.json").read_text())
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    trained = [line["seconds"] for line in lines if line["kind"] == "epoch"]
    seconds = {"whole": wall, "training": trained[-1] - trained[0], "cores": cpu / wall}
    return seconds, {"lines": by_branch(lines), **{name: result[name] for name in MEASURED}}


def by_branch(lines: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """What views show, without its seconds; between branches the order of lines may differ."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        if line["kind"] != "action":
            kept = {key: value for key, value in line.items() if key != "seconds"}
            found.setdefault(line.get("branch", ""), []).append(kept)
    return found


def main() -> None:
    """Print the ratios' medians and ranges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    words = list({word.partition("=")[0]: word for word in (*WORDS, *options.overrides)}.values())
    pairs = []
    for _ in range(options.pairs):
        (alone, found), (several, same) = run(words, 1), run(words, options.workers)
        if found != same:
            raise SystemExit(f"{' '.join(words)}: {options.workers} workers give other numbers than one")
        pairs.append((alone, several))
        print(", ".join(f"{name} {alone[name]:.1f} -> {several[name]:.1f}" for name in alone), flush=True)
    for name in ("training", "whole"):
        ratios = sorted(alone[name] / several[name] for alone, several in pairs)
        print(f"{name}: {statistics.median(ratios):.2f} [{ratios[0]:.2f}, {ratios[-1]:.2f}], n={len(ratios)}")


if __name__ == "__main__":
    main()
