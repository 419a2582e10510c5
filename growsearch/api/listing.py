"""All runs of a folder as a table."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.errors import UserError
from growsearch.run_folder.read import RunRecord
from growsearch.run_folder.summary import list_runs

if TYPE_CHECKING:
    import pandas as pd

RESULT = ("schedule", "test_accuracy", "val_accuracy", "params", "macs", "search_seconds", "train_seconds", "epochs")
"""Keys of result.json that are columns; the rest is in ``Run(folder).result``."""


def runs(folder: str | os.PathLike[str] = "outputs") -> pd.DataFrame:
    """A row for each run below a folder, finished or not, in the order of their last change.

    Columns: ``folder``, ``state`` (finished, running, stopped or failed), ``algo``, ``data``, ``seed``, ``schedule``,
    ``test_accuracy`` and ``val_accuracy`` (fractions; of an unfinished run the last validation accuracy), ``params``,
    ``macs``, ``search_seconds``, ``train_seconds``, ``epochs``, ``changed`` and ``error``.

    Raises:
        UserError: if there is no such folder.
    """
    import pandas as pd

    place = Path(folder).expanduser()
    if not place.is_dir():
        raise UserError(f"{place}: there is no such folder; name one that holds runs")
    rows = []
    for summary in sorted(list_runs(place), key=lambda run: run.changed):
        finished = summary.state == "finished"
        result: dict[str, Any] = {**RunRecord(summary.path).result} if finished else {}
        figures = {key: result.get(key) for key in RESULT}
        if not finished:
            figures |= {"val_accuracy": summary.accuracy, "params": summary.params}
        start = {key: getattr(summary, key) for key in ("state", "algo", "data", "seed")}
        changed = pd.Timestamp(summary.changed, unit="s", tz="UTC")
        rows.append({"folder": str(summary.path), **start, **figures, "changed": changed, "error": summary.error})
    columns = ["folder", "state", "algo", "data", "seed", *RESULT, "changed", "error"]
    table = pd.DataFrame(rows, columns=columns)
    return table.astype({"seed": "Int64", "params": "Int64", "macs": "Int64"})
