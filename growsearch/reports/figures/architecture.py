"""The found network as a graph: its layers with kernels and channels in order, and the paths beside them."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from growsearch.reports.numbers import size
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, draw, readable_ticks, whole_ticks
from growsearch.run_folder.plain import number, short
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


@dataclass(frozen=True)
class Layer:
    """``kind`` picks the colour; ``width`` is channels or units, ``kernels`` the windows of its convolutions."""

    kind: str
    width: float
    kernels: str = ""


Links = Callable[[int], Iterator[tuple[int, int]]]
"""Of so many layers of a group, from which to which a path leads beside those in between; -1 is the layer before it."""


def _no_links(_: int) -> Iterator[tuple[int, int]]:
    return iter(())


def _all_earlier(count: int) -> Iterator[tuple[int, int]]:
    """Dense blocks: every layer, and what comes after the block, takes all outputs since the block's input."""
    return ((source, target) for target in range(count + 1) for source in range(-1, target - 1))


def _around_each(count: int) -> Iterator[tuple[int, int]]:
    """Residual blocks, a bar each."""
    return ((index - 1, index) for index in range(count))


def _around(convolutions: int) -> Links:
    """Residual blocks of so many convolutions, a bar for each of these."""
    return lambda count: ((start - 1, start + convolutions - 1) for start in range(0, count, convolutions))


def _two_before(count: int) -> Iterator[tuple[int, int]]:
    """Cells that take the outputs of the two cells before them."""
    return ((index - 2, index) for index in range(count))


@dataclass(frozen=True)
class Group:
    """Layers that belong together, such as a block, a stage or a cell."""

    label: str
    layers: list[Layer]
    links: Links = _no_links


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
        for source, target in links:
            _arc(above, places[source], places[target])
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


def _arc(axes: Any, begin: float, end: float) -> None:
    steps = [math.pi * step / 12 for step in range(13)]
    middle, half = (begin + end) / 2, (end - begin) / 2
    axes.plot(
        [middle - half * math.cos(step) for step in steps],
        [math.sqrt(half) * math.sin(step) for step in steps],
        color=MUTED,
        linewidth=0.9,
    )


def _bars(axes: Any, groups: list[Group]) -> list[float]:
    """Draw all layers; returns their places on the horizontal axis."""
    layers = list(chain.from_iterable(group.layers for group in groups))
    few, highest = len(layers) <= MOST_NUMBERED, max(layer.width for layer in layers)
    lines = max((layer.kernels.count("\n") + 1 for layer in layers if layer.kernels), default=0) if few else 0
    places: list[float] = []
    named: set[str] = set()
    place = 0.0
    for index, group in enumerate(groups):
        begin = place
        for layer in group.layers:
            colour = SERIES[KINDS.index(layer.kind)] if layer.kind in KINDS else MUTED
            label = layer.kind if layer.kind not in named else None
            named.add(layer.kind)
            axes.bar(place, layer.width, 0.86, color=colour, alpha=0.85, label=label)
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


def groups_of(spec: dict[str, Any]) -> list[Group]:
    """The layers of a network, in order; empty for a family that is not known here or a spec that lacks its keys."""
    readers = RESIZED_READERS if spec.get("resized") else READERS
    reader = readers.get(str(spec.get("family")))
    try:
        return [group for group in reader(spec) if group.layers] if reader else []
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError):
        return []


def _row(kind: str, widths: Any, kernels: str = "") -> list[Layer]:
    return [Layer(kind, float(width), kernels) for width in widths if number(width) is not None]


def _densenet(spec: dict[str, Any]) -> list[Group]:
    window = "3x3" if spec.get("stem", "small") == "small" else "7x7"
    groups = [Group("stem", _row("convolution", [spec["stem_filters"]], window))]
    bottlenecks = spec.get("bottlenecks") or []
    for index, filters in enumerate(spec["filters"]):
        kernels = "1x1\n3x3" if index < len(bottlenecks) and any(bottlenecks[index]) else "3x3"
        groups.append(Group(f"block {index + 1}", _row("convolution", filters, kernels), _all_earlier))
        groups.append(Group("", _row("transition", spec["transitions"][index : index + 1], "1x1")))
    return [*groups, _head(spec["classes"])]


def _sequential(spec: dict[str, Any]) -> list[Group]:
    pools = ["" if cell.get("pool", "none") == "none" else f"\n{cell['pool']} pool" for cell in spec["cells"]]
    cells = [
        Group(f"cell {i + 1}", _row("convolution", [cell["channels"]], f"3x3{pool}"))
        for i, (cell, pool) in enumerate(zip(spec["cells"], pools, strict=True))
    ]
    return [*cells, Group("dense", _row("dense", spec["hidden"])), _head(spec["num_classes"])]


def _darts(spec: dict[str, Any]) -> list[Group]:
    num_cells, width = int(spec["layers"]), float(spec["channels"])
    groups = []
    for index in range(min(num_cells, 100)):
        reduction = index in (num_cells // 3, 2 * num_cells // 3)
        width *= 2 if reduction else 1
        kind = "reduction cell" if reduction else "normal cell"
        groups.append(Group(str(index + 1), [Layer(kind, width)], _two_before))
    return [*groups, _head(spec["classes"])]


def _channel_darts(spec: dict[str, Any]) -> list[Group]:
    stem, *cells = spec["cell_sizes"]
    made = [Group(f"cell {i + 1}", _row("convolution", sizes)) for i, sizes in enumerate(cells)]
    return [Group("stem", _row("convolution", stem, "3x3")), *made, _head(spec["classes"])]


def _resnet_channels(spec: dict[str, Any]) -> list[Group]:
    stem, stages = spec["sizes"][0][:1], [spec["sizes"][0][1:], *spec["sizes"][1:]]
    made = [Group(f"stage {i + 1}", _row("convolution", s, "3x3"), _around(2)) for i, s in enumerate(stages)]
    return [Group("stem", _row("convolution", stem, "3x3")), *made, _head(spec["classes"])]


BLOCKS = {"resnet": ("3x3", "3x3\n3x3"), "bottleneck": ("7x7", "1x1\n3x3\n1x1")}
"""Kernels of the stem and of a residual block of a family."""

WIDENED = 4
"""How many times as many channels the last convolution of a bottleneck has."""


def _staged(spec: dict[str, Any]) -> list[Group]:
    width = number(spec.get("width")) or number(spec.get("filters")) or 16.0
    stem, kernels = BLOCKS.get(spec["family"], ("", ""))
    kind, links = ("residual block", _around_each) if stem else ("normal cell", _two_before)
    made = [
        Group(f"stage {i + 1}", [Layer(kind, width * 2**i, kernels)] * min(int(depth), 500), links)
        for i, depth in enumerate(spec["depths"][:20])
    ]
    return [Group("stem", _row("convolution", [width] if stem else [], stem)), *made, _head(spec["classes"])]


def _resized_residual(spec: dict[str, Any]) -> list[Group]:
    """Residual stages whose convolutions were widened or cut: a bar for each of these."""
    sizes, width = spec["resized"], float(spec["width"])
    stem, kernels = BLOCKS[spec["family"]]
    windows = kernels.split("\n")

    def layer(path: str, usual: float, window: str) -> Layer:
        return Layer("convolution", float(sizes.get(f"{path}.weight", [usual])[0]), window)

    groups = [Group("stem", [layer("stem.0", width, stem)])]
    for stage, depth in enumerate(spec["depths"][:20]):
        usual = [width * 2**stage] * len(windows)
        usual[-1] *= WIDENED if len(windows) == 3 else 1
        layers = [
            layer(f"stages.{stage}.{block}.conv{number}", channels, window)
            for block in range(min(int(depth), 500))
            for number, (channels, window) in enumerate(zip(usual, windows, strict=True), start=1)
        ]
        groups.append(Group(f"stage {stage + 1}", layers, _around(len(windows))))
    return [*groups, _head(spec["classes"])]


def _resized_cells(spec: dict[str, Any]) -> list[Group]:
    """Cells whose convolutions were widened or cut: those alone, as cells show no single width any more."""
    kernels = [shape for shape in spec["resized"].values() if len(shape) == 4]
    layers = [Layer("convolution", float(shape[0]), f"{shape[2]}x{shape[3]}") for shape in kernels]
    return [Group("convolutions of changed size", layers), _head(spec["classes"])]


def _external(spec: dict[str, Any]) -> list[Group]:
    layers = []
    for arguments in spec["layers"].values():
        if "out_channels" in arguments:
            window = arguments.get("kernel_size")
            kernels = "x".join(map(str, window)) if isinstance(window, list) else ""
            layers += _row("convolution", [arguments["out_channels"]], short(kernels, 12))
        elif "out_features" in arguments:
            layers += _row("dense", [arguments["out_features"]])
    return [Group(short(str(spec.get("name")), 30), layers)]


def _head(classes: Any) -> Group:
    return Group("classes", _row("classifier", [classes]))


READERS: dict[str, Callable[[dict[str, Any]], list[Group]]] = {
    "densenet": _densenet,
    "sequential": _sequential,
    "darts": _darts,
    "darts_search": _darts,
    "channel_darts": _channel_darts,
    "resnet_channels": _resnet_channels,
    "resnet": _staged,
    "bottleneck": _staged,
    "nasnet": _staged,
    "external": _external,
}
"""How each family's spec is read."""

RESIZED_READERS: dict[str, Callable[[dict[str, Any]], list[Group]]] = {
    "resnet": _resized_residual,
    "bottleneck": _resized_residual,
    "nasnet": _resized_cells,
    "darts": _resized_cells,
    "nats": _resized_cells,
}
"""The same for specs that list tensors whose sizes surgery has changed (``resized``)."""
