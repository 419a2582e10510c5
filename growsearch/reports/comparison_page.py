"""The page of several runs."""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from growsearch.format import counted
from growsearch.reports.fairness import LEDGER, Rows, budgets, protocol
from growsearch.reports.figures.tradeoff import spread, tradeoff
from growsearch.reports.groups import RunGroup, grouped, latency_key
from growsearch.reports.numbers import MISSING, milliseconds, percent, search_time, size, time
from growsearch.reports.page import Page
from growsearch.reports.paper import LiteraturePoint, comparisons_of, literature
from growsearch.reports.plot import Drawing
from growsearch.run_folder.read import RunRecord

MOST_RUNS = 500
"""Runs listed one by one for a data set."""

MEANS = (
    *("method", "schedule", "seeds", "test accuracy", "validation"),
    *("parameters", "MACs of an image", "search time"),
)
RUNS = ("run", "seed", "test accuracy", "parameters", "MACs of an image", "search time", "training after it")
PUBLISHED = ("paper", "network", "test accuracy", "parameters", "MACs of an image", "search time")


def comparison_page(records: Sequence[RunRecord], place: Path) -> Page:
    """Every data set's comparison; links lead from ``place`` (the page's folder) to each run's own report."""
    finished = [record for record in records if record.result]
    page = Page("comparison.html", f"{counted(len(finished), 'run')} compared")
    parts = [_part(page, title, groups, place) for title, groups in grouped(finished).items()]
    page.values = {"parts": parts, "ledger": LEDGER}
    told = [f"{record.path}: {text}" for record in records for text in record.remarks]
    told += [f"{record.path}: not finished, left out" for record in records if not record.result]
    page.remarks = [*told, *page.remarks]
    return page


def _part(page: Page, title: str, groups: list[RunGroup], place: Path) -> dict[str, Any]:
    points, measured = literature(groups[0].data), latency_key(groups)
    drawings = page.draw(f"{title}: trade-off", tradeoff, title, groups, points)
    drawings += page.draw(f"{title}: spread", spread, title, groups)
    return {
        "title": title,
        "lossy": any(run.result.get("lossy") for group in groups for run in group.runs),
        "drawings": drawings,
        "own": _own(page, title, [run for group in groups for run in group.runs]),
        "means": ((*MEANS, *_latency_names(measured)), [_mean_row(group, measured) for group in groups]),
        "budgets": budgets(groups),
        "protocol": protocol(groups),
        "num_runs": sum(len(group.runs) for group in groups),
        "runs": _runs(groups, place, measured),
        "published": _published(points),
    }


def _own(page: Page, title: str, runs: Sequence[RunRecord]) -> list[Drawing]:
    """The methods' figures that are made of several runs, as far as those on a data set are enough for them."""
    drawn = []
    for name, make in comparisons_of(runs).items():
        if (drawing := page.attempt(f"{title}: {name}", make, runs)) is not None:
            drawn.append(replace(drawing, name=f"{name}-{title}"))
    page.drawings += drawn
    return drawn


def _latency_names(measured: str | None) -> tuple[str, ...]:
    return () if measured is None else (measured,)


def _mean_row(group: RunGroup, measured: str | None) -> tuple[str, ...]:
    def with_spread(key: str) -> str:
        sd = group.deviation(key)
        return percent(group.mean(key)) + (f" ± {100 * sd:.2f}" if sd is not None else "")

    return (
        group.name,
        group.schedule,
        str(len({run.result.get("seed") for run in group.runs})),
        with_spread("test_accuracy"),
        with_spread("val_accuracy"),
        size(group.mean("params")),
        size(group.mean("macs")),
        search_time(group.mean("search_seconds")),
        *(milliseconds(group.mean(name)) for name in _latency_names(measured)),
    )


def _runs(groups: list[RunGroup], place: Path, measured: str | None) -> tuple[Sequence[str], list[tuple[Any, ...]]]:
    rows = [
        (
            _link(run, place),
            run.result.get("seed", MISSING),
            percent(run.result.get("test_accuracy")),
            size(run.result.get("params")),
            size(run.result.get("macs")),
            search_time(run.result.get("search_seconds")),
            time(run.result.get("train_seconds")),
            *(milliseconds(run.result.get(name)) for name in _latency_names(measured)),
        )
        for group in groups
        for run in group.runs
    ]
    return (*RUNS, *_latency_names(measured)), rows[:MOST_RUNS]


def _published(points: list[LiteraturePoint]) -> Rows | None:
    rows: list[tuple[str, ...]] = [
        (p.source, p.label, percent(p.accuracy), size(p.params), size(p.macs), time(p.search_seconds)) for p in points
    ]
    return (PUBLISHED, rows) if rows else None


def _link(run: RunRecord, place: Path) -> str:
    """The run's folder, leading to its report where there is one."""
    name = "/".join(run.path.parts[-3:]) or MISSING
    page = run.path / "report.html"
    if not page.is_file():
        return name
    target = Path(os.path.relpath(page.resolve(), place.resolve())).as_posix()
    return Markup('<a href="./{}">{}</a>').format(quote(target), name)
