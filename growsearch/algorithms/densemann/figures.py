"""The figures of DensEMANN's reports and of its paper, drawn from runs."""

from collections.abc import Mapping, Sequence
from typing import Any

from growsearch.events import Edit, Event, Measure, Phase
from growsearch.reports.figures.tradeoff import pareto_front
from growsearch.reports.numbers import size
from growsearch.reports.paper import published
from growsearch.reports.plot import GRID, MUTED, SERIES, Drawing, draw, plot, readable_ticks, whole_ticks
from growsearch.run_folder.lines import Line
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import RunRecord

CATEGORIES = (
    ("not settled", MUTED, ".", 3.0),
    ("settled", SERIES[0], ".", 5.0),
    ("useful", SERIES[2], "^", 4.5),
    ("useless", SERIES[4], "v", 4.5),
)
MOST_MARKS = 3000
MOST_STEPS = 1000
MOST_BANDS_NAMED = 16

KCS_CAPTION = (
    "Each mark is one filter of the newest layer after an epoch of growth, at its kernel connection strength (kCS, "
    "section 3.1.2 of the paper: the mean absolute weight of its connections). A filter is settled when its kCS "
    "stands still; settled filters beyond the thresholds (lines) are useful or useless. Dashed lines: layers added or"
    " removed."
)
GROWTH_CAPTION = (
    "Filters of every layer (a band each, the oldest at the bottom; one that ends was removed again), and the number "
    "of layers. Every step is a structural change."
)


def strengths(record: RunRecord) -> Drawing | None:
    """Connection strengths of the newest layer's filters over growth."""
    measures = [line for line in record.of(Measure, "kcs") if line.event.values["kcs"]]
    if not measures:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        marks = _by_category(measures)
        for name, colour, marker, mark_size in CATEGORIES:
            plot(axes, marks[name], marker, color=colour, ms=mark_size, mew=0, label=name, most=MOST_MARKS)
        for key, colour in (("useful_from", SERIES[2]), ("useless_to", SERIES[4])):
            limits = [(line.at, number(line.event.values.get(key))) for line in measures]
            axes.plot(
                [x for x, _ in limits], [float("nan") if y is None else y for _, y in limits], color=colour, lw=0.9
            )
        for edit in [*record.of(Edit, "add_layer"), *record.of(Edit, "remove_layer")]:
            axes.axvline(edit.at + 0.5, color=GRID, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xlabel("epoch")
        axes.set_ylabel("connection strength (kCS)")
        whole_ticks(axes.xaxis)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, markerscale=1.6)

    return draw("densemann-kcs", "Connection strength of the filters under growth", KCS_CAPTION, 3.6, paint)


def _by_category(measures: list[Line[Measure]]) -> dict[str, list[tuple[float, float | None]]]:
    marks: dict[str, list[tuple[float, float | None]]] = {name: [] for name, *_ in CATEGORIES}
    for line in measures:
        values = line.event.values
        for index, strength in enumerate(values["kcs"]):
            categories = (name for name in ("useless", "useful", "settled") if index in (values.get(name) or []))
            marks[next(categories, "not settled")].append((line.at, strength))
    return marks


def growth(record: RunRecord) -> Drawing | None:
    """Layers and filters over time."""
    steps = filters_over_time(record)
    if not steps:
        return None
    steps.append((max(record.story.num_epochs, steps[-1][0]) + 0.5, steps[-1][1]))
    places = [place for place, _ in steps]
    depths = [max(len(blocks[i]) if i < len(blocks) else 0 for _, blocks in steps) for i in range(_most_blocks(steps))]
    bands = [(block, layer) for block, depth in enumerate(depths) for layer in range(depth)]

    def paint(figure: Any) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        rows = [[_filters(blocks, *band) for _, blocks in steps] for band in bands]
        colours = [SERIES[i % len(SERIES)] for i in range(len(bands))]
        names = [f"block {block + 1}, layer {layer + 1}" for block, layer in bands]
        above.stackplot(places, rows, step="post", colors=colours, labels=names, alpha=0.75, linewidth=0)
        if len(bands) <= MOST_BANDS_NAMED:
            handles, labels = above.get_legend_handles_labels()
            above.legend(handles[::-1], labels[::-1], loc="upper left", bbox_to_anchor=(1.0, 1.0))
        above.set_ylabel("filters")
        below.step(places, [sum(map(len, blocks)) for _, blocks in steps], where="post", color=SERIES[0])
        below.set_ylabel("layers")
        below.set_ylim(bottom=0)
        below.set_xlabel("epoch")
        for axis in (above.yaxis, below.yaxis, below.xaxis):
            whole_ticks(axis)

    return draw("densemann-growth", "Layers and filters over time", GROWTH_CAPTION, 3.8, paint)


Blocks = list[list[int]]
"""Filters of each layer of each block."""


def _most_blocks(steps: list[tuple[float, Blocks]]) -> int:
    return max(len(blocks) for _, blocks in steps)


def _filters(blocks: Blocks, block: int, layer: int) -> int:
    return blocks[block][layer] if block < len(blocks) and layer < len(blocks[block]) else 0


def filters_over_time(record: RunRecord) -> list[tuple[float, Blocks]]:
    """Filters of every layer after each edit, replayed from all events; of very many edits, after every n-th."""
    blocks: Blocks = []
    steps: list[tuple[float, Blocks]] = []
    every = 1 + record.story.number("edit") // MOST_STEPS
    for count, line in enumerate(record.every(Edit, Phase)):
        found = _after(line.event, blocks)
        if found is not None:
            blocks = found
            if count % every:  # the newest stands in for those left out, so that the last is always there
                del steps[-1:]
            steps.append((line.at + 0.5, blocks))
    return steps


def _after(event: Event, blocks: Blocks) -> Blocks | None:
    """Filters of each block after an event; None if it changes nothing."""
    assert isinstance(event, Edit | Phase)
    filters = event.detail.get("filters")
    if isinstance(event, Phase):
        return filters
    if event.op == "add_block":
        return [*blocks, list(filters)]  # type: ignore[arg-type]
    if not blocks:
        return None
    *before, last = blocks
    match event.op:
        case "add_layer":
            return [*before, [*last, len(filters)]]  # type: ignore[arg-type]
        case "add_filters":
            return [*before, [*last[:-1], last[-1] + len(filters)]]  # type: ignore[arg-type]
        case "prune":
            return [*before, [*last[:-1], last[-1] - len(filters)]]  # type: ignore[arg-type]
        case "undo_pruning" | "remove_layer":
            return [*before, list(event.detail["block"])]
    return None


ROOM_FOR_NAMES = 60
"""Percent above which all runs must be for the quoted networks of the front to be named: else they stand too close."""

CATEGORY_MARKS = {
    **{"human": ("designed by hand", "x"), "RL": ("reinforcement learning", "1"), "EA_GA": ("evolution", "+")},
    **{"GO": ("gradients", "2"), "growing": ("growing", "*"), "random": ("random search", ".")},
}
COMPETITORS_CAPTION = (
    "Accuracy on CIFAR-10 against trainable parameters: what Table 2 quotes (grey; ranges by their two ends), the "
    "paper's own results, and runs here (each run small, means large; their data and schedule in the legend). Line: "
    "Pareto front of the quoted networks. The row that contradicts Table 1 is drawn as Table 1 has it; one garbled "
    "row is left out."
)


def competitors(records: Sequence[RunRecord]) -> Drawing | None:
    """Accuracy against size beside the methods that the paper compares with (Figure 2)."""
    groups: dict[str, list[tuple[float, float]]] = {}
    for run in records:
        params, accuracy = number(run.result.get("params_paper")), number(run.result.get("test_accuracy"))
        own = run.value("algo.name") == "densemann" or run.result.get("algo") == "densemann_retrained"
        if own and params and accuracy is not None:
            about = f"{run.result.get('algo')} on {run.result.get('data')} ({run.result.get('schedule')})"
            groups.setdefault(short(about, 70), []).append((params, 100 * accuracy))
    if not groups:
        return None
    quoted = [point for row in published(__package__)["table2"]["rows"] for point in _ends(row)]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_xscale("log")
        for category, (label, mark) in CATEGORY_MARKS.items():
            places = [(params, accuracy) for name, params, accuracy, kind in quoted if kind == category]
            axes.plot(*zip(*places, strict=True), mark, color=MUTED, ms=6, label=label)
        front = pareto_front((params, accuracy) for _, params, accuracy, kind in quoted if kind != "ours")
        axes.plot(*zip(*front, strict=True), color=GRID, linewidth=1.2, drawstyle="steps-post", zorder=1)
        lowest = min(accuracy for places in groups.values() for _, accuracy in places)
        for name, params, accuracy, _ in quoted:
            if (params, accuracy) in front and lowest > ROOM_FOR_NAMES:
                text = short(name.partition(" (")[0].partition(" +")[0], 24)
                axes.annotate(text, (params, accuracy), (4, -9), textcoords="offset points", fontsize=6.5, color=MUTED)
        own = [(params, accuracy) for _, params, accuracy, kind in quoted if kind == "ours"]
        axes.plot(*zip(*own, strict=True), "s", mfc="none", color=SERIES[4], ms=7, label="DensEMANN, published")
        for index, (label, places) in enumerate(groups.items()):
            xs, ys = zip(*places, strict=True)
            colour = SERIES[index % 4]
            axes.plot(xs, ys, "o", color=colour, ms=3.5, alpha=0.6, mew=0)
            axes.plot(
                sum(xs) / len(xs), sum(ys) / len(ys), "o", color=colour, ms=8, label=f"{label}, n = {len(places)}"
            )
        axes.set_xlabel("trainable parameters")
        axes.set_ylabel("accuracy, %")
        readable_ticks(axes.xaxis, size)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return draw("densemann-figure2", "Accuracy against size (Figure 2)", COMPETITORS_CAPTION, 4.2, paint)


def _ends(row: Mapping[str, Any]) -> list[tuple[str, float, float, str]]:
    """Name, parameters, accuracy in percent and category of what a row of Table 2 tells; two ends for a range."""
    values = row.get("corrected_from_table1") or row
    if row["trust"] == "low" and values is row:
        return []
    sizes = values["params"] if isinstance(values["params"], list) else [values["params"]]
    errors = sorted(values["error"], reverse=True) if isinstance(values["error"], list) else [values["error"]]
    return [(row["name"], 1e6 * size, 100 - error, row["category"]) for size, error in zip(sizes, errors, strict=True)]
