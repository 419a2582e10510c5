"""Whether two equal runs of each method give the same events and weights, to the bit.

    python benchmarks/repeatability.py [--device cuda] [--only densemann,conet] [overrides, such as hardware.step=eager]

Smoke runs on digits, two of each, in one process. For a method whose runs differ the first differing event and the
largest difference of a weight are told, and the exit code is 1.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from algorithms.methods import METHODS

from growsearch.cli.compose import compose_run
from growsearch.runner import start

Lines = list[dict[str, Any]]


def run(words: list[str]) -> tuple[Lines, dict[str, torch.Tensor]]:
    """Events without their seconds, and the network's tensors, of a run in a folder of its own."""
    with tempfile.TemporaryDirectory() as folder:
        place = start(compose_run([*words, "track.report=false", f"output.root={folder}"])).path
        lines = [json.loads(line) for line in (place / "events.jsonl").read_text().splitlines()]
        tensors = {key: value.clone() for key, value in load_file(place / "network" / "weights.safetensors").items()}
    kept = [line for line in lines if line["kind"] not in ("action", "note")]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in kept], tensors


def difference(words: list[str]) -> str | None:
    """How two runs of one command differ; None if they do not."""
    (lines, tensors), (others, theirs) = run(words), run(words)
    if lines != others:
        pairs = zip(lines, others, strict=False)
        number = next((i for i, (one, other) in enumerate(pairs) if one != other), min(len(lines), len(others)))
        return f"event {number} of {len(lines)}: {lines[number : number + 1]}, then {others[number : number + 1]}"
    if tensors.keys() != theirs.keys():
        return "other tensors"
    apart = {key: (tensors[key].double() - theirs[key].double()).abs().max().item() for key in tensors}
    worst = max(apart, key=apart.__getitem__)
    return f"{worst} by up to {apart[worst]:.3g}" if apart[worst] else None


def main() -> int:
    """Print a line a method; 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--only", default=",".join(METHODS))
    parser.add_argument("overrides", nargs="*")
    options = parser.parse_args()
    differ = 0
    for name in options.only.split(","):
        found = difference([*METHODS[name], f"hardware.device={options.device}", *options.overrides])
        differ += found is not None
        print(f"{name}: {found or 'equal to the bit'}", flush=True)
    return int(differ > 0)


if __name__ == "__main__":
    sys.exit(main())
