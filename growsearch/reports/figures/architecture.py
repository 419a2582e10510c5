"""The found network, drawn as a row of layers, whatever its family."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from growsearch.reports.numbers import size
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, draw, readable_ticks, whole_ticks
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import RunRecord

MOST_LAYERS = 2000
MOST_NUMBERED = 45
"""Layers up to which each one's width is written above it."""

GAP = 0.7
FEWEST_PLACES = 10.0
"""Places that a short network is drawn in the middle of, so that its bars do not become walls."""

KINDS = ("convolution", "transition", "dense", "normal cell", "reduction cell", "residual block", "classifier")


@dataclass(frozen=True)
class Layer:
    """``kind`` picks the colour; ``width`` is channels or units."""

    kind: str
    width: float


@dataclass(frozen=True)
class Group:
    """Layers that belong together, such as a block, a stage or a cell."""

    label: str
    layers: list[Layer]


def architecture(record: RunRecord) -> Drawing | None:
    """The layers of the found network from input to output, as high as they are wide."""
    groups = groups_of(record.architecture)
    if not 0 < sum(len(group.layers) for group in groups) <= MOST_LAYERS:
        return None
    family = record.architecture.get("family")
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


def groups_of(spec: dict[str, Any]) -> list[Group]:
    """The layers of a network, in order; empty for a family that is not known here or a spec that lacks its keys."""
    reader = READERS.get(str(spec.get("family")))
    try:
        return [group for group in reader(spec) if group.layers] if reader else []
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return []


def _row(kind: str, widths: Any) -> list[Layer]:
    return [Layer(kind, float(width)) for width in widths if number(width) is not None]


def _densenet(spec: dict[str, Any]) -> list[Group]:
    groups = [Group("stem", _row("convolution", [spec["stem_filters"]]))]
    for index, filters in enumerate(spec["filters"]):
        groups.append(Group(f"block {index + 1}", _row("convolution", filters)))
        groups.append(Group("", _row("transition", spec["transitions"][index : index + 1])))
    return [*groups, _head(spec["classes"])]


def _sequential(spec: dict[str, Any]) -> list[Group]:
    cells = [Group(f"cell {i + 1}", _row("convolution", [c["channels"]])) for i, c in enumerate(spec["cells"])]
    return [*cells, Group("dense", _row("dense", spec["hidden"])), _head(spec["num_classes"])]


def _darts(spec: dict[str, Any]) -> list[Group]:
    num_cells, width = int(spec["layers"]), float(spec["channels"])
    groups = []
    for index in range(min(num_cells, 100)):
        reduction = index in (num_cells // 3, 2 * num_cells // 3)
        width *= 2 if reduction else 1
        kind = "reduction cell" if reduction else "normal cell"
        groups.append(Group(str(index + 1), [Layer(kind, width)]))
    return [*groups, _head(spec["classes"])]


def _channel_darts(spec: dict[str, Any]) -> list[Group]:
    stem, *cells = spec["cell_sizes"]
    made = [Group(f"cell {i + 1}", _row("convolution", sizes)) for i, sizes in enumerate(cells)]
    return [Group("stem", _row("convolution", stem)), *made, _head(spec["classes"])]


def _resnet_channels(spec: dict[str, Any]) -> list[Group]:
    made = [Group(f"stage {i + 1}", _row("convolution", sizes)) for i, sizes in enumerate(spec["sizes"])]
    return [*made, _head(spec["classes"])]


def _staged(spec: dict[str, Any]) -> list[Group]:
    width = number(spec.get("width")) or number(spec.get("filters")) or 16.0
    made = [
        Group(f"stage {i + 1}", [Layer("residual block", width * 2**i)] * min(int(depth), 500))
        for i, depth in enumerate(spec["depths"][:20])
    ]
    return [*made, _head(spec["classes"])]


def _external(spec: dict[str, Any]) -> list[Group]:
    layers = []
    for arguments in spec["layers"].values():
        if "out_channels" in arguments:
            layers += _row("convolution", [arguments["out_channels"]])
        elif "out_features" in arguments:
            layers += _row("dense", [arguments["out_features"]])
    return [Group(short(str(spec.get("name")), 30), layers)]


def _head(classes: Any) -> Group:
    return Group("classes", _row("classifier", [classes]))


READERS: dict[str, Callable[[dict[str, Any]], list[Group]]] = {
    "densenet": _densenet,
    "sequential": _sequential,
    "darts": _darts,
    "channel_darts": _channel_darts,
    "resnet_channels": _resnet_channels,
    "resnet": _staged,
    "bottleneck": _staged,
    "nasnet": _staged,
    "external": _external,
}
"""How each family's spec is read."""
