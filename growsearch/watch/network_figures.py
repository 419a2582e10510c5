"""The network as a graph that grows, and the graphs of methods: family trees and cells."""

import math
from collections.abc import Sequence
from itertools import chain, islice
from typing import Any

from growsearch.families.layout import Group
from growsearch.families.registry import groups_of
from growsearch.reports.figures.architecture import GAP, KINDS, MOST_LAYERS, MOST_LINKS, MOST_NUMBERED, links_of
from growsearch.reports.graph import Graph
from growsearch.reports.numbers import size
from growsearch.reports.plot import MUTED, SERIES
from growsearch.run_folder.lines import Line, NetworkState
from growsearch.run_folder.read import RunRecord
from growsearch.watch.figures import Figure, Trace, layout, text

MOST_STATES = 40
"""States of a growing network that the slider goes through; of more an even choice that ends with the last."""

MOST_TICKS = 15
OTHER = "other"


def network(record: RunRecord) -> Figure | None:
    """The layers of the network now, and a slider and a button that go through how it grew; None without any."""
    states = [(_label(line), line.event.spec) for line in _drawable(record.story.networks)]
    if record.architecture and groups_of(record.architecture):
        states.append(("the result", record.architecture))
    if not states:
        return None
    frames: list[dict[str, Any]] = [
        {"name": str(index), "data": _traces(spec)} for index, (_, spec) in enumerate(states)
    ]
    steps = [
        {"label": text(label, 60), "method": "animate", "args": [[str(index)], _at_once(0)]}
        for index, (label, _) in enumerate(states)
    ]
    slider = {"active": len(states) - 1, "steps": steps, "x": 0, "len": 1, "pad": {"t": 95}, "currentvalue": {}}
    play = {"label": "▶ grow", "method": "animate", "args": [None, _at_once(350)]}
    place = {"x": 0, "y": 0, "xanchor": "left", "yanchor": "top", "pad": {"t": 25}}
    button = {"type": "buttons", "buttons": [play], **place}
    top = 0.74 if any(frame["data"][-1]["x"] for frame in frames) else 1.0
    found = layout(
        520,
        barmode="overlay",
        bargap=0.14,
        xaxis={"visible": False, "anchor": "y"},
        yaxis={"domain": [0, top], "title": {"text": "channels or units"}, "rangemode": "tozero", "automargin": True},
        yaxis2={"domain": [0.77, 1.0], "visible": False, "rangemode": "tozero"},
    )
    if len(states) > 1:
        found |= {"sliders": [slider], "updatemenus": [button]}
        found["margin"] = {**found["margin"], "b": 20}
    return {"data": frames[-1]["data"], "layout": found, "frames": frames if len(states) > 1 else []}


def _drawable(lines: Sequence[Line[NetworkState]]) -> list[Line[NetworkState]]:
    """States that differ from the one before in what is drawn, spread evenly over all of these."""
    kept: list[Line[NetworkState]] = []
    for line in lines:
        if groups_of(line.event.spec) and (not kept or kept[-1].event.spec != line.event.spec):
            kept.append(line)
    step = max(1.0, len(kept) / MOST_STATES)
    return [kept[len(kept) - 1 - int(step * index)] for index in reversed(range(min(len(kept), MOST_STATES)))]


def _label(line: Line[NetworkState]) -> str:
    return f"epoch {line.at}, network {line.event.network}: {size(line.event.params)} parameters"


def _at_once(milliseconds: int) -> dict[str, Any]:
    frame = {"duration": milliseconds, "redraw": True}
    return {"mode": "immediate", "frame": frame, "transition": {"duration": 0}, "fromcurrent": False}


def _traces(spec: dict[str, Any]) -> list[Trace]:
    """A bar for each layer, kind by kind, then the paths beside them: as many traces for every network."""
    groups = groups_of(spec)
    layers = list(chain.from_iterable(group.layers for group in groups))[:MOST_LAYERS]
    places = _places(groups)[: len(layers)]
    names = [group.label for group in groups for _ in group.layers]
    traces = []
    for index, kind in enumerate((*KINDS, OTHER)):
        own = [place for place, layer in enumerate(layers) if _kind(layer.kind) == kind]
        widths = [layers[place].width for place in own]
        kernels = [layers[place].kernels.replace("\n", " + ") for place in own]
        hover = [f"{names[p]}: {kind} {k}, {size(w)}" for p, k, w in zip(own, kernels, widths, strict=True)]
        traces.append(
            {
                "type": "bar",
                "x": [places[place] for place in own],
                "y": widths,
                "width": 0.86,
                "name": kind,
                "showlegend": bool(own),
                "marker": {"color": SERIES[index] if index < len(SERIES) else MUTED},
                "text": [size(width) for width in widths] if len(layers) <= MOST_NUMBERED else [],
                "textposition": "outside",
                "cliponaxis": False,
                "hovertext": [text(each) for each in hover],
                "hovertemplate": "%{hovertext}<extra></extra>",
            }
        )
    return [*traces, _arcs(groups, places)]


def _kind(kind: str) -> str:
    return kind if kind in KINDS else OTHER


def _places(groups: Sequence[Group]) -> list[float]:
    places, place = [], 0.0
    for group in groups:
        places += [place + index for index in range(len(group.layers))]
        place += len(group.layers) + GAP
    return places


def _arcs(groups: Sequence[Group], places: Sequence[float]) -> Trace:
    links = [link for link in islice(links_of(groups), MOST_LINKS + 1) if max(link) < len(places)]
    xs: list[float | None] = []
    ys: list[float | None] = []
    for source, target in links if len(links) <= MOST_LINKS else ():
        begin, end = places[source], places[target]
        steps = [math.pi * step / 12 for step in range(13)]
        half = (end - begin) / 2
        xs += [*((begin + end) / 2 - half * math.cos(step) for step in (steps)), None]
        ys += [*(math.sqrt(half) * math.sin(step) for step in steps), None]
    line = {"color": MUTED, "width": 1}
    names = {"name": "paths", "showlegend": bool(xs), "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "lines", "x": xs, "y": ys, "yaxis": "y2", "line": line, **names}


def graph(description: Graph) -> Figure:
    """A family tree or a cell: links below nodes, each of which tells what is known of it."""
    nodes = description.nodes
    traces = [_links(description, bold) for bold in (False, True)]
    for kind, (colour, symbol) in {**description.kinds, OTHER: (MUTED, "circle")}.items():
        own = [node for node in nodes.values() if (node.kind if node.kind in description.kinds else OTHER) == kind]
        if own:
            traces.append(
                {
                    "type": "scatter",
                    "mode": "markers+text" if any(node.text for node in own) else "markers",
                    "x": [node.x for node in own],
                    "y": [node.y for node in own],
                    "name": text(kind, 40),
                    "marker": {"color": colour, "symbol": symbol, "size": 10},
                    "text": [text(node.text, 40) for node in own],
                    "textposition": "top center",
                    "hovertext": [text(node.hover, 400) for node in own],
                    "hovertemplate": "%{hovertext}<extra></extra>",
                }
            )
    bare: dict[str, Any] = {"visible": False, "automargin": True}
    labelled: list[dict[str, Any]] = [{"title": {"text": label}, "zeroline": False} for label in description.axes or ()]
    axes = labelled or [bare, bare]
    if labelled and max((node.x for node in nodes.values()), default=0.0) <= MOST_TICKS:
        axes[0]["dtick"] = 1
    return {"data": traces, "layout": layout(440, xaxis=axes[0], yaxis=axes[1])}


def _links(description: Graph, bold: bool) -> Trace:
    nodes = description.nodes
    ends = [(nodes[a], nodes[b]) for a, b, heavy in description.links if heavy == bold and a in nodes and b in nodes]
    xs = [x for begin, end in ends for x in (begin.x, end.x, None)]
    ys = [y for begin, end in ends for y in (begin.y, end.y, None)]
    line = {"color": SERIES[4] if bold else MUTED, "width": 2.5 if bold else 0.8}
    names = {"name": "ancestors of the winner", "showlegend": bold and bool(xs), "hoverinfo": "skip"}
    return {"type": "scatter", "mode": "lines", "x": xs, "y": ys, "line": line, **names}
