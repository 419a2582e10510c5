"""The found network, drawn as a row of layers."""

from typing import Any

from growsearch.reports.layers import Group, groups_of
from growsearch.reports.markup import shown
from growsearch.reports.numbers import size
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, draw, readable_ticks, whole_ticks
from growsearch.reports.record import RunRecord

MOST_LAYERS = 2000
MOST_NUMBERED = 45
"""Layers up to which each one's width is written above it."""

GAP = 0.7
FEWEST_PLACES = 10.0
"""Places that a short network is drawn in the middle of, so that its bars do not become walls."""

KINDS = ("convolution", "transition", "dense", "normal cell", "reduction cell", "residual block", "classifier")


def architecture(record: RunRecord) -> Drawing | None:
    """The layers from input to output, as high as they are wide; None for a network that cannot be drawn so."""
    groups = groups_of(record.architecture)
    if not 0 < sum(len(group.layers) for group in groups) <= MOST_LAYERS:
        return None
    family = shown(record.architecture.get("family"), 40)
    title = f"The network ({family})"
    caption = "From the input (left) to the classifier (right); the height of a bar is its number of channels or units."
    return draw("architecture", title, caption, 2.6, lambda figure: _paint(figure.subplots(), groups))


def _paint(axes: Any, groups: list[Group]) -> None:
    num_layers = sum(len(group.layers) for group in groups)
    highest = max(layer.width for group in groups for layer in group.layers)
    place, named = 0.0, set()
    for index, group in enumerate(groups):
        begin = place
        for layer in group.layers:
            colour = SERIES[KINDS.index(layer.kind)] if layer.kind in KINDS else MUTED
            label = layer.kind if layer.kind not in named else None
            named.add(layer.kind)
            axes.bar(place, layer.width, 0.86, color=colour, alpha=0.85, label=label)
            if num_layers <= MOST_NUMBERED:
                axes.text(
                    place, layer.width + highest * 0.02, size(layer.width), ha="center", va="bottom", fontsize=7.5
                )
            place += 1
        if group.label and (len(groups) <= 24 or index % 2 == 0):
            axes.text(
                (begin + place - 1) / 2, -highest * 0.05, group.label, ha="center", va="top", fontsize=8, color=INK
            )
        place += GAP
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
