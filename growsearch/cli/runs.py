"""``growsearch runs [FOLDER]``: which runs are below a folder, how far they came, and what to do next."""

import time
from collections import Counter
from pathlib import Path

from growsearch.cli.arguments import Arguments, given_path
from growsearch.errors import UserError
from growsearch.format import aligned, counted, duration
from growsearch.run_folder.summary import RunSummary, list_runs
from growsearch.text import one_line

COLUMNS = ("state", "method", "data", "seed", "accuracy", "parameters", "age", "next")


def main(argv: list[str]) -> int:
    """Print a line for each run, the newest last."""
    parser = Arguments(
        "growsearch runs", description="List runs: finished, running, stopped or failed, and what to do next."
    )
    parser.add_argument("folder", nargs="?", type=given_path, default=Path("outputs"), help="default: outputs")
    folder = parser.parse_args(argv).folder.expanduser()
    if not folder.is_dir():
        raise UserError(f"{folder}: there is no such folder; name one that holds runs")
    found = sorted(list_runs(folder), key=lambda run: run.changed)
    if not found:
        print(f"no runs below {folder}; growsearch run makes one")
        return 0
    rows = [COLUMNS, *(_row(run) for run in found)]
    print("\n".join(aligned(rows)))
    counts = Counter(run.state for run in found)
    states = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
    print(f"{counted(len(found), 'run')}: {states}")
    return 0


def _row(run: RunSummary) -> tuple[str, ...]:
    accuracy = "-" if run.accuracy is None else f"{run.accuracy:.2%}"
    return (
        run.state,
        run.algo or "-",
        run.data or "-",
        "-" if run.seed is None else str(run.seed),
        accuracy if run.state == "finished" or run.accuracy is None else f"{accuracy} (val)",
        "-" if run.params is None else f"{run.params:,}",
        duration(max(0.0, round(time.time() - run.changed))),
        one_line(run.advice),
    )
