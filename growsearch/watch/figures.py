"""The curves of a run as plotly's plain dictionaries, and what all figures share: pure functions of a run's record.

Plotly reads some tags in texts; :func:`text` takes their meaning away from whatever a run folder holds.
"""

import math
import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from growsearch.events import Edit, Phase
from growsearch.reports.figures.timeline import interleaved, wide
from growsearch.reports.numbers import size
from growsearch.reports.plot import INK, MUTED, SERIES
from growsearch.run_folder.lines import EpochLine
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import RunRecord
from growsearch.views.console import what

Figure = dict[str, Any]
Trace = dict[str, Any]

MOST_EDITS = 1500
MOST_PHASES, MOST_NAMED = 200, 8
FURTHER = (("params", "parameters"), ("lr", "learning rate"), ("batch_size", "batch size"))
"""Quantities with a panel of their own where they change."""


def text(said: object, longest: int = 120) -> str:
    """A text that plotly shows as it is, whatever tags it holds."""
    return short(str(said), longest).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def layout(height: int, **changes: Any) -> dict[str, Any]:
    """What all figures share: no ground of their own, so that the page's colours show."""
    return {
        "height": height,
        "margin": {"l": 60, "r": 15, "t": 30, "b": 45},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {"family": "system-ui, Segoe UI, Roboto, sans-serif", "size": 13, "color": INK},
        "legend": {"orientation": "h", "x": 0, "y": 1, "yanchor": "bottom"},
        "hovermode": "closest",
        "dragmode": "zoom",
        **changes,
    }


_RANGE = re.compile(r"([xy]axis\d{0,2})\.range\[([01])\]")


def zoomed(figure: Figure, told: object) -> Figure:
    """The figure on the ranges of its axes that a reader chose, as the browser tells them; not changed without any."""
    ranges: dict[str, dict[str, float]] = {}
    for key, value in told.items() if isinstance(told, dict) else ():
        if (match := _RANGE.fullmatch(str(key))) and match[1] in figure["layout"] and number(value) is not None:
            ranges.setdefault(match[1], {})[match[2]] = value
    chosen = {axis: [ends["0"], ends["1"]] for axis, ends in ranges.items() if len(ends) == 2}
    axes = {axis: {**figure["layout"][axis], "range": ends, "autorange": False} for axis, ends in chosen.items()}
    return {**figure, "layout": {**figure["layout"], **axes}}


def curves(record: RunRecord) -> Figure:
    """Accuracy, loss, size and rate over the epochs of a run, with phases and structural changes."""
    epochs = record.epochs
    panels: list[tuple[str, list[Trace]]] = [
        ("accuracy, %", list(_quality(record, "accuracy", 100.0))),
        ("loss", list(_quality(record, "loss", 1.0))),
    ]
    for key, label in FURTHER:
        if len({getattr(line.event, key) for line in epochs}) > 1:
            panels.append((label, [{**_line(record, key, label, INK, 1.0), "showlegend": False}]))
    if edits := _edits(record):
        panels.append(("changes", edits))
    logarithmic = wide([loss for line in epochs for loss in (line.event.train_loss, line.event.val_loss)])
    found = _stacked(panels)
    if logarithmic:
        found["layout"]["yaxis2"]["type"] = "log"
    found["layout"]["shapes"], found["layout"]["annotations"] = _phases(record)
    return found


def _stacked(panels: Sequence[tuple[str, list[Trace]]]) -> Figure:
    """Panels one below the other on one horizontal axis."""
    weights = [1.6, *(1.0 if label != "changes" else 0.3 + 0.16 * len(traces) for label, traces in panels[1:])]
    total, top, data, axes = sum(weights), 1.0, [], {}
    for index, ((label, traces), weight) in enumerate(zip(panels, weights, strict=True), start=1):
        name = "" if index == 1 else str(index)
        bottom = top - weight / total
        title = {"text": label, "font": {"size": 12}}
        axes[f"yaxis{name}"] = {"domain": [bottom + 0.035, top], "title": title, "zeroline": False, "automargin": True}
        data += [{**trace, "yaxis": f"y{name}", "xaxis": "x"} for trace in traces]
        top = bottom
    last = "" if len(panels) == 1 else str(len(panels))
    axes["xaxis"] = {
        "title": {"text": "epochs reported", "font": {"size": 12}},
        "anchor": f"y{last}",
        "zeroline": False,
    }
    if panels[-1][0] == "changes":
        axes[f"yaxis{last}"] |= {"showgrid": False, "title": {"text": ""}, "autorange": "reversed", "dtick": 1}
    return {"data": data, "layout": layout(int(130 + 125 * total), **axes)}


def _quality(record: RunRecord, what: str, scale: float) -> Iterator[Trace]:
    shown = what == "accuracy"
    yield {**_line(record, f"train_{what}", "training", SERIES[1], scale), "showlegend": shown, "legendgroup": "t"}
    yield {**_line(record, f"val_{what}", "validation", SERIES[0], scale), "showlegend": shown, "legendgroup": "v"}
    if interleaved(record):
        best = [(line.at, scaled(getattr(line, f"best_{what}"), scale)) for line in record.epochs]
        line = {"color": SERIES[2], "shape": "hv", "width": 2}
        yield {**scatter(best, "best so far", "lines"), "line": line, "showlegend": shown, "legendgroup": "b"}


def _line(record: RunRecord, key: str, label: str, colour: str, scale: float) -> Trace:
    """A line that is broken where another network begins, or points where networks take turns."""
    points: list[tuple[float | None, float | None]] = []
    hovers: list[str] = []
    for _, stretch in groupby(record.epochs, key=lambda line: line.event.network):
        for line in stretch:
            points.append((line.at, scaled(getattr(line.event, key), scale)))
            hovers.append(_hover(line))
        points.append((None, None))
        hovers.append("")
    mode = "markers" if interleaved(record) else "lines" if len(points) > 300 else "lines+markers"
    found = scatter(points, label, mode)
    return found | {
        "line": {"color": colour, "width": 2},
        "marker": {"color": colour, "size": 4},
        "text": hovers,
        "hovertemplate": "%{y:.5~g}<br>%{text}",
        "connectgaps": False,
    }


def scatter(points: Sequence[tuple[float | None, float | None]], name: str, mode: str) -> Trace:
    """A series of points under a name, which is text."""
    xs, ys = [x for x, _ in points], [y for _, y in points]
    return {"type": "scatter", "mode": mode, "x": xs, "y": ys, "name": text(name, 60)}


def scaled(value: float | None, scale: float) -> float | None:
    """A value in another unit; None for what cannot be drawn."""
    return scale * value if value is not None and math.isfinite(value) else None


def _hover(line: EpochLine) -> str:
    event = line.event
    return f"{text(event.phase, 40)}, epoch {line.at}, network {event.network}, {size(event.params)} parameters"


def _edits(record: RunRecord) -> list[Trace]:
    """A row of marks for each operation, with what was changed to hover on."""
    traces = []
    lines = record.of(Edit)[-MOST_EDITS:]
    for index, name in enumerate(sorted({line.event.op for line in lines})[:12]):
        own = [line for line in lines if line.event.op == name]
        label = text(name.replace("_", " "), 24)
        found = scatter([(line.at + 0.5, 0.0) for line in own], label, "markers")
        colour = SERIES[index % len(SERIES)]
        traces.append(
            found
            | {
                "y": [label] * len(own),
                "text": [text(what(line.event)) for line in own],
                "hovertemplate": "%{text}<extra></extra>",
                "marker": {"symbol": "line-ns-open", "size": 11, "color": colour, "line": {"width": 1.5}},
                "showlegend": False,
            }
        )
    return traces


def _phases(record: RunRecord) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """A line where a phase begins, and its name above it where there are few."""
    phases = record.of(Phase)[:MOST_PHASES]
    line = {"color": MUTED, "width": 1, "dash": "dot"}
    shapes = [
        {"type": "line", "x0": one.at + 0.5, "x1": one.at + 0.5, "y0": 0, "y1": 1, "yref": "paper", "line": line}
        for one in phases
    ]
    place = {"yref": "paper", "y": 1, "yanchor": "top", "xanchor": "left", "showarrow": False, "textangle": 90}
    names = [text(one.event.name.partition(" leaves ")[0], 28) for one in phases]
    told = [{**place, "x": one.at + 0.5, "text": name} for one, name in zip(phases, names, strict=True)]
    return shapes, told if len(told) <= MOST_NAMED else []
