"""The found network as a graph: its layers with kernels and channels in order, and the paths beside them."""

import math
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Any

from growsearch.families.layout import Group
from growsearch.families.registry import groups_of
from growsearch.reports.numbers import size
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, broken_line, draw, readable_ticks, whole_ticks
from growsearch.run_folder.read import RunRecord

MOST_LAYERS = 2000
MOST_NUMBERED = 45
"""Layers up to which each one's width is written above it, and its kernels below it."""

MOST_LINKS = 160
"""Paths beside the layers up to which they are drawn."""

GAP = 0.7
FEWEST_PLACES = 10.0
"""Places that a short network is drawn in the middle of, so that its bars do not become walls."""

KINDS = ("convolution", "transition", "dense", "normal cell", "reduction cell", "residual block", "classifier")
CAPTION = (
    "From the input (left) to the classifier (right); the height of a bar is its number of channels or units, with its "
    "kernels below it."
)
LINK_CAPTION = " Arcs: what a layer or cell takes from further back, beside the output of the one before it."


def architecture(record: RunRecord) -> Drawing | None:
    """The layers of the found network from input to output with their kernels, channels and branches."""
    groups = groups_of(record.architecture)
    if not 0 < sum(len(group.layers) for group in groups) <= MOST_LAYERS:
        return None
    links = list(islice(links_of(groups), MOST_LINKS + 1))
    links = links if len(links) <= MOST_LINKS else []

    def paint(figure: Any) -> None:
        if not links:
            _bars(figure.subplots(), groups)
            return
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(0.5, 2))
        places = _bars(below, groups)
        arcs = broken_line(_arc(places[source], places[target]) for source, target in links)
        above.plot(*arcs, color=MUTED, linewidth=0.9)
        above.axis("off")
        above.set_ylim(0, None)
        below.get_legend().remove()
        above.legend(*below.get_legend_handles_labels(), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)

    title = f"The network ({record.architecture.get('family')})"
    caption = CAPTION + (LINK_CAPTION if links else "")
    return draw("architecture", title, caption, 3.4 if links else 2.8, paint)


def links_of(groups: Sequence[Group]) -> Iterator[tuple[int, int]]:
    """Paths beside the layers, by the numbers of the layers in the whole network."""
    start, total = 0, sum(len(group.layers) for group in groups)
    for group in groups:
        for source, target in group.links(len(group.layers)):
            if start + source >= 0 and start + target < total:
                yield start + source, start + target
        start += len(group.layers)


def _arc(begin: float, end: float) -> tuple[list[float], list[float]]:
    """The x and the y of an arc's points."""
    steps = [math.pi * step / 12 for step in range(13)]
    middle, half = (begin + end) / 2, (end - begin) / 2
    return [middle - half * math.cos(step) for step in steps], [math.sqrt(half) * math.sin(step) for step in steps]


def _bars(axes: Any, groups: list[Group]) -> list[float]:
    """Draw all layers; returns their places on the horizontal axis."""
    layers = list(chain.from_iterable(group.layers for group in groups))
    few, highest = len(layers) <= MOST_NUMBERED, max(layer.width for layer in layers)
    lines = max((layer.kernels.count("\n") + 1 for layer in layers if layer.kernels), default=0) if few else 0
    places: list[float] = []
    bars: dict[str, list[tuple[float, float]]] = {}
    place = 0.0
    for index, group in enumerate(groups):
        begin = place
        for layer in group.layers:
            bars.setdefault(layer.kind, []).append((place, layer.width))
            if few:
                top = layer.width + highest * 0.02
                axes.text(place, top, size(layer.width), ha="center", va="bottom", fontsize=7.5)
                axes.text(place, -highest * 0.03, layer.kernels, ha="center", va="top", fontsize=6.5, color=MUTED)
            places.append(place)
            place += 1
        if group.label and (len(groups) <= 24 or index % 2 == 0):
            depth = -highest * (0.05 + 0.085 * lines)
            axes.text((begin + place - 1) / 2, depth, group.label, ha="center", va="top", fontsize=8, color=INK)
        place += GAP
    for kind, drawn in bars.items():
        colour = SERIES[KINDS.index(kind)] if kind in KINDS else MUTED
        axes.bar(*zip(*drawn, strict=True), 0.86, color=colour, alpha=0.85, label=kind)
    end = place - GAP - 0.2
    room = max(0.0, FEWEST_PLACES - end) / 2
    axes.set_xlim(-0.8 - room, end + room)
    axes.set_ylim(0, highest * 1.16)
    axes.set_xticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_ylabel("channels or units")
    axes.grid(axis="x", visible=False)
    whole_ticks(axes.yaxis)
    readable_ticks(axes.yaxis, size)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4)
    return places
