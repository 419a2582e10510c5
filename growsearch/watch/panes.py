"""What the page shows of a run and of many: components made of a run's record, in which every text is text."""

import base64
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import Any
from urllib.parse import quote, urlencode

from dash import dcc, html

from growsearch.events import Edit, Event, Note, Phase
from growsearch.format import compact, counted, duration
from growsearch.reports.numbers import percent
from growsearch.reports.page import Page, style
from growsearch.reports.paper import papers_of
from growsearch.reports.plot import Drawing
from growsearch.reports.run_page import command, key_figures, title
from growsearch.run_folder.plain import short
from growsearch.run_folder.read import RunRecord
from growsearch.run_folder.summary import RunSummary
from growsearch.text import one_line
from growsearch.views.console import line as sentence
from growsearch.watch.figures import Figure, curves
from growsearch.watch.network_figures import graph, network

ROWS = 50
"""Runs on a page of the list."""

MOST_FIGURES = 2
"""Figures of a tab that keep their zoom."""

MOST_EVENTS = 400
LONGEST_CONFIG = 100_000
STATES = ("running", "finished", "stopped", "failed")
COLUMNS = ("run", "state", "method", "data", "seed", "accuracy", "parameters", "last change")


def address(name: str, tab: str = "curves") -> str:
    """The page of a run."""
    return f"/run?{urlencode({'path': name, 'tab': tab}, quote_via=quote)}"


@dataclass(frozen=True)
class Shown:
    """A figure, with what stands above and below it."""

    figure: Figure
    title: str = ""
    caption: str = ""


@dataclass(frozen=True)
class Pane:
    """What a tab shows: figures, which keep their zoom while they change, and what comes after them."""

    figures: list[Shown] = field(default_factory=list)
    children: list[Any] = field(default_factory=list)


def chosen(runs: Mapping[str, RunSummary], words: str, states: Sequence[str]) -> list[tuple[str, RunSummary]]:
    """The runs that hold all words in their path, method or data set, in one of the states (any, if none is named)."""
    wanted = words.lower().split()

    def fits(name: str, run: RunSummary) -> bool:
        told = f"{name} {run.algo} {run.data} {run.state}".lower()
        return (not states or run.state in states) and all(word in told for word in wanted)

    return [(name, run) for name, run in runs.items() if fits(name, run)]


def run_table(found: Sequence[tuple[str, RunSummary]], page: int) -> Any:
    """A page of the list, from 1."""
    first = ROWS * (min(max(1, page), num_pages(found)) - 1)
    rows = [html.Tr(_row(name, run)) for name, run in found[first : first + ROWS]]
    head = html.Thead(html.Tr([html.Th(column) for column in COLUMNS]))
    return html.Table([head, html.Tbody(rows)], className="stacked")


def num_pages(found: Sequence[Any]) -> int:
    """How many pages the list has."""
    return max(1, ceil(len(found) / ROWS))


def _row(name: str, run: RunSummary) -> list[Any]:
    accuracy = percent(run.accuracy) if run.state == "finished" else f"{percent(run.accuracy)} (val)"
    cells: tuple[Any, ...] = (
        dcc.Link(one_line(name, 120), href=address(name)),
        html.Span(run.state, className=f"state {run.state}", title=run.error),
        run.algo or "-",
        run.data or "-",
        "-" if run.seed is None else str(run.seed),
        accuracy if run.accuracy is not None else "-",
        "-" if run.params is None else f"{run.params:,}",
        f"{duration(max(0.0, round(time.time() - run.changed)))} ago",
    )
    return [html.Td(cell, **_label(label)) for cell, label in zip(cells, COLUMNS, strict=True)]


def _label(name: str) -> dict[str, Any]:
    """The attribute by which a narrow page names a cell."""
    return {"data-label": name}


def run_head(name: str, record: RunRecord, run: RunSummary) -> list[Any]:
    """Name, state, progress and key figures of a run."""
    done, expected = record.story.num_epochs, record.story.expected
    parts: list[Any] = [
        html.H1(title(record) if record.result else one_line(name, 120)),
        html.P([html.Span(run.state, className=f"state {run.state}"), f" {run.error}", html.Br(), command(record)]),
    ]
    if run.state != "finished":
        parts.append(html.P(progress_text(record)))
        if expected:
            parts.append(html.Progress(value=str(min(done, expected)), max=str(expected), title="epochs"))
    tiles = [html.Div([html.Dt(key), html.Dd(value)]) for key, value in key_figures(record)]
    remarks = [html.P(remark, className="quiet") for remark in record.remarks[:20]]
    return [*parts, html.Dl(tiles, className="tiles"), *remarks]


def progress_text(record: RunRecord) -> str:
    """Phase, epochs, accuracy, size, time so far and time to come."""
    story = record.story
    if not story.epochs:
        return "No epoch has ended yet."
    last, elapsed = story.epochs[-1].event, story.seconds or 0.0
    told = [last.phase, f"epoch {story.num_epochs:,}" + (f" of about {story.expected:,}" if story.expected else "")]
    told += [f"{percent(last.val_accuracy, 1)} validation"] if last.val_accuracy is not None else []
    told += [f"{compact(last.params)} parameters", f"{duration(elapsed)} so far"]
    if story.expected and story.num_epochs < story.expected:
        told.append(f"about {duration(elapsed / story.num_epochs * (story.expected - story.num_epochs))} left")
    return ", ".join(told)


def _curves(record: RunRecord) -> Pane:
    return Pane([Shown(curves(record))]) if record.epochs else Pane(children=_nothing("No epoch has ended yet."))


def _nothing(said: str) -> list[Any]:
    return [html.P(said, className="quiet")]


def _network(record: RunRecord) -> Pane:
    found = network(record)
    if found is None:
        return Pane(children=_nothing("No network of a family that can be drawn layer by layer has been made yet."))
    told = (
        "The height of a bar is the number of channels or units of a layer; arcs are paths beside the layers. The "
        "slider and the button go through the states of the run's networks in the order in which they were made."
    )
    return Pane([Shown(found, caption=told)])


def _method(record: RunRecord) -> Pane:
    figures: list[Shown] = []
    parts: list[Any] = []
    page = Page("", "")
    for paper in papers_of(record):
        for name, make_drawing in paper.figures.items():
            graphs = page.attempt(name, paper.graphs[name], record) if name in paper.graphs else None
            figures += [Shown(graph(one), one.title, one.caption) for one in graphs or ()]
            for drawing in () if graphs else page.draw(name, make_drawing, record):
                image = html.Div(html.Img(src=picture(drawing), alt=drawing.title), className="card wide")
                parts += [html.H2(drawing.title), image, html.P(drawing.caption, className="quiet")]
    parts += [html.P(remark, className="quiet") for remark in page.remarks]
    if not figures and not parts:
        parts = _nothing("This run has nothing of its method's own to show yet.")
    return Pane(figures[:MOST_FIGURES], parts)


def picture(drawing: Drawing) -> str:
    """A report's figure as the address of an image, whose colours follow light and dark; nothing runs in an image."""
    width, height = re.findall(r'viewBox="0 0 ([0-9.]+) ([0-9.]+)"', drawing.svg)[0]
    body = str(drawing.inline()).replace("<svg", f'<svg width="{width}" height="{height}"', 1)
    body = body.replace("<defs>", f"<style>{style().partition('* {')[0]}</style><defs>", 1)
    return "data:image/svg+xml;base64," + base64.b64encode(body.encode("utf-8", "replace")).decode()


def _events(record: RunRecord) -> Pane:
    lines = [line for line in record.story.lines if isinstance(line.event, Edit | Phase | Note)]
    rows = [html.Tr([html.Td(f"{line.at:,}"), html.Td(_told(line.event))]) for line in reversed(lines[-MOST_EVENTS:])]
    head = html.Thead(html.Tr([html.Th("epoch"), html.Th("what happened, the newest first")]))
    newest = f"The newest {MOST_EVENTS} of {len(lines):,}"
    kept = f"{newest if len(lines) > MOST_EVENTS else counted(len(lines), 'event')}."
    table = html.Div(html.Table([head, html.Tbody(rows)]), className="card")
    return Pane(children=[*_nothing(kept), table])


def _told(event: Event) -> str:
    said = (sentence(event) or "").removeprefix("epoch").lstrip()
    return short(said.partition("  ")[2] or said)


def _log(record: RunRecord) -> Pane:
    return Pane(children=[html.Pre(record.log or "No log.txt, or nothing in it.", className="card")])


def _options(record: RunRecord) -> Pane:
    text = short(record.config_text, LONGEST_CONFIG)
    return Pane(children=[html.Pre(text or "No config.yaml, or nothing in it.", className="card")])


TABS: dict[str, Callable[[RunRecord], Pane]] = {
    "curves": _curves,
    "network": _network,
    "method": _method,
    "events": _events,
    "log": _log,
    "options": _options,
}
"""The tabs of a run's page, and what each shows."""
