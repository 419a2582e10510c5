"""Several runs beside each other."""

from __future__ import annotations

import os
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from growsearch.api.results import Run
from growsearch.errors import UserError
from growsearch.format import counted
from growsearch.run_folder.read import RunRecord, find_runs

if TYPE_CHECKING:
    import pandas as pd

    from growsearch.reports.page import Page
    from growsearch.reports.plot import Drawing


def compare(
    runs: Run | str | os.PathLike[str] | Iterable[Run | str | os.PathLike[str]] | pd.DataFrame,
) -> Comparison:
    """Compare finished runs: methods, seeds and options on the same data.

    Args:
        runs: runs or their folders, or one, a folder above them, or the table of :func:`growsearch.runs` (or some rows
            of it).

    Raises:
        UserError: if there is no run among them.
    """
    import pandas as pd

    if isinstance(runs, pd.DataFrame):
        runs = list(runs["folder"][runs["state"] == "finished"])
    elif isinstance(runs, Run | str | os.PathLike):
        runs = [runs]
    places = [run.folder if isinstance(run, Run) else Path(run).expanduser() for run in runs]
    if not places:
        raise UserError("compare: no finished run among those given; use at least one")
    return Comparison([RunRecord(place) for place in find_runs(places)])


class Comparison:
    """Finished runs beside each other; made by :func:`compare`.

    Args:
        records: of the runs.
    """

    def __init__(self, records: list[RunRecord]) -> None:
        self._records = records

    @cached_property
    def table(self) -> pd.DataFrame:
        """A row for each method and setting on each data set: means over seeds, with ``..._sd`` for accuracies."""
        import pandas as pd

        from growsearch.reports.groups import grouped

        costs = ("params", "macs", "search_seconds", "train_seconds", "epochs")
        rows: list[dict[str, Any]] = []
        for data, groups in grouped(self._finished).items():
            for group in groups:
                row: dict[str, Any] = {"data": data, "method": group.name, "schedule": group.schedule}
                row["runs"] = len(group.runs)
                for key in ("test_accuracy", "val_accuracy"):
                    row |= {key: group.mean(key), f"{key}_sd": group.deviation(key)}
                rows.append(row | {key: group.mean(key) for key in costs})
        return pd.DataFrame(rows)

    @property
    def _finished(self) -> list[RunRecord]:
        return [record for record in self._records if record.result]

    @cached_property
    def _page(self) -> Page:
        from growsearch.reports.comparison_page import comparison_page

        return comparison_page(self._records, Path())

    def plot(self, name: str = "tradeoff", data: str | None = None) -> Drawing:
        """A figure of the comparison, which a notebook shows and ``.save("figure.pdf")`` writes.

        Args:
            name: ``tradeoff`` (accuracy against parameters, MACs and search time), ``spread`` (all seeds), or a figure
                of a method's paper for which the runs are enough, such as ``ectonas-figure5``.
            data: which data set, where the runs are on several.

        Raises:
            UserError: for another name or data set, or where there is nothing to draw.
        """
        known: dict[str, dict[str, Drawing]] = {}
        for part in self._page.values["parts"]:
            for drawing in (*part["drawings"], *part["own"]):
                known.setdefault(drawing.name.removesuffix(f"-{part['title']}"), {})[part["title"]] = drawing
        if name not in known:
            raise UserError(f"plot: there is no figure {name!r}; use one of {', '.join(sorted(known)) or 'none'}")
        chosen = [drawing for title, drawing in known[name].items() if data in (None, title)]
        if len(chosen) != 1:
            there = ", ".join(known[name])
            raise UserError(f"plot: data {data!r} is not accepted; the runs are on {there}: use one of these")
        return chosen[0]

    def report(self, path: str | os.PathLike[str] = "report.html") -> Path:
        """Write the page of the comparison, and return its path."""
        from growsearch.reports import write_report

        return write_report([record.path for record in self._records], Path(path))

    def __repr__(self) -> str:
        return f"<comparison of {counted(len(self._finished), 'run')}>"

    def _repr_html_(self) -> str:
        """The means over seeds, and the figures of accuracy against cost."""
        drawn = [drawing._repr_html_() for drawing in self._page.drawings if drawing.name.startswith("tradeoff")]
        return str(self.table.to_html(index=False, float_format="{:.4g}".format)) + "".join(drawn)
