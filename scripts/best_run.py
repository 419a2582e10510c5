"""Print the folder of the finished run of least validation loss: best_run.py FOLDER [KEY=VALUE...]."""

import math
import sys
from pathlib import Path

from growsearch.errors import UserError
from growsearch.run_folder.read import RunRecord, find_runs


def main(folder: str, *wanted: str) -> int:
    """Look below ``folder`` at the runs that have all options wanted; the first where none has a validation loss."""
    pairs = [one.split("=", 1) for one in wanted]
    runs = [run for run in map(RunRecord, find_runs([Path(folder)])) if "algo" in run.result]
    fitting = [run for run in runs if all(str(run.value(name)) == value for name, value in pairs)]
    if not fitting:
        raise UserError(f"{folder}: no finished run with {' '.join(wanted)}")
    losses = [run.result.get("val_loss") for run in fitting]
    print(fitting[min(range(len(fitting)), key=lambda i: math.inf if losses[i] is None else losses[i])].path)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(*sys.argv[1:]))
    except UserError as error:
        sys.exit(f"best_run: {error}")
