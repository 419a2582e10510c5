"""The page of several runs."""

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from growsearch.reports.fairness import budgets, protocol
from growsearch.reports.figures.tradeoff import spread, tradeoff
from growsearch.reports.groups import RunGroup, grouped
from growsearch.reports.literature import LiteraturePoint, literature
from growsearch.reports.markup import Html, shown, table, tag
from growsearch.reports.numbers import MISSING, percent, size, time
from growsearch.reports.page import Report
from growsearch.reports.record import RunRecord

MOST_RUNS = 500
"""Runs listed one by one for a data set."""

LOSSY = "Images were compressed with loss: not comparable with published numbers."

MEANS = (
    "method",
    "schedule",
    "seeds",
    "test accuracy",
    "validation",
    "parameters",
    "MACs of an image",
    "search time",
)


def comparison_page(records: Sequence[RunRecord], place: Path) -> Report:
    """Every data set's comparison; links lead from ``place`` (the page's folder) to each run's own report."""
    finished = [record for record in records if record.result]
    report = Report(f"{len(finished)} runs compared")
    report.remarks += [f"{record.path}: {text}" for record in records for text in record.remarks]
    report.remarks += [f"{record.path}: not finished, left out" for record in records if not record.result]
    for data, groups in grouped(finished).items():
        report.heading(f"On {data}")
        if any(run.result.get("lossy") for group in groups for run in group.runs):
            report.add(tag("p", LOSSY, class_="card"))
        points = literature(data)
        report.figure(partial(tradeoff, data, groups, points), f"{data}: trade-off")
        report.figure(partial(spread, data, groups), f"{data}: spread")
        report.add(tag("div", tag("h3", "Means over seeds"), table(MEANS, map(_mean_row, groups), 2), class_="card"))
        report.add(budgets(groups), protocol(groups), _runs(groups, place), _published(points))
    return report


def _mean_row(group: RunGroup) -> tuple[str, ...]:
    def with_spread(key: str) -> str:
        sd = group.deviation(key)
        return percent(group.mean(key)) + (f" ± {100 * sd:.2f}" if sd is not None else "")

    seeds = sorted({shown(run.result.get("seed"), 12) for run in group.runs})
    return (
        group.name,
        group.schedule,
        str(len(seeds)),
        with_spread("test_accuracy"),
        with_spread("val_accuracy"),
        size(group.mean("params")),
        size(group.mean("macs")),
        time(group.mean("search_seconds")),
    )


def _runs(groups: list[RunGroup], place: Path) -> Html:
    rows = [
        (
            _link(run, place),
            shown(run.result.get("seed"), 12),
            percent(run.result.get("test_accuracy")),
            size(run.result.get("params")),
            size(run.result.get("macs")),
            time(run.result.get("search_seconds")),
            time(run.result.get("train_seconds")),
        )
        for group in groups
        for run in group.runs
    ]
    header = ("run", "seed", "test accuracy", "parameters", "MACs of an image", "search time", "training after it")
    left_out = f" (the first {MOST_RUNS})" if len(rows) > MOST_RUNS else ""
    summary = tag("summary", f"All {len(rows)} runs{left_out}")
    return tag("details", summary, table(header, rows[:MOST_RUNS]), class_="card")


def _published(points: list[LiteraturePoint]) -> Html | None:
    if not points:
        return None
    rows = [
        (p.source, p.label, percent(p.accuracy), size(p.params), size(p.macs), time(p.search_seconds)) for p in points
    ]
    header = ("paper", "network", "test accuracy", "parameters", "MACs of an image", "search time")
    return tag("details", tag("summary", "Published numbers behind the figure"), table(header, rows, 2), class_="card")


def _link(run: RunRecord, place: Path) -> object:
    """The run's folder, leading to its report where there is one."""
    name = shown("/".join(run.path.parts[-3:]), 120) or MISSING
    page = run.path / "report.html"
    if not page.is_file():
        return name
    return tag("a", name, href="./" + quote(Path(os.path.relpath(page.resolve(), place.resolve())).as_posix()))
