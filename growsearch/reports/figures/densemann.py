"""DensEMANN: connection strengths of the filters that are judged, and how layers and filters come and go."""

from typing import Any

from growsearch.reports.numbers import number, numbers
from growsearch.reports.plot import GRID, MUTED, SERIES, Drawing, draw, thin, whole_ticks
from growsearch.reports.record import RunRecord

CATEGORIES = (
    ("not settled", MUTED, ".", 3.0),
    ("settled", SERIES[0], ".", 5.0),
    ("useful", SERIES[2], "^", 4.5),
    ("useless", SERIES[4], "v", 4.5),
)

KCS_CAPTION = (
    "Each mark is one filter of the newest layer after an epoch of growth, at its kernel connection strength (kCS, "
    "section 3.1.2 of the paper: the mean absolute weight of its connections). A filter is settled when its kCS stands "
    "still; settled filters beyond the thresholds (lines) are useful or useless. Dashed lines: layers added or removed."
)
GROWTH_CAPTION = (
    "Filters of every layer (a band each, the oldest at the bottom; one that ends was removed again), and the number "
    "of layers. Every step is a structural change."
)


def strengths(record: RunRecord) -> Drawing | None:
    """KCS of the last layer's filters over growth."""
    measures = [e for e in record.of("measure", "kcs") if isinstance(e.get("values"), dict) and e["values"].get("kcs")]
    if not measures:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        marks = _by_category(measures)
        for name, colour, marker, mark_size in CATEGORIES:
            kept = thin(marks[name], 6000)
            places, values = [x for x, _ in kept], [y for _, y in kept]
            axes.plot(places, values, marker, color=colour, ms=mark_size, mew=0, label=name)
        for key, colour in (("useful_from", SERIES[2]), ("useless_to", SERIES[4])):
            limits = [(e["at"], number(e["values"].get(key))) for e in measures]
            values = [float("nan") if limit is None else limit for _, limit in limits]
            axes.plot([x for x, _ in limits], values, color=colour, linewidth=0.9)
        for event in record.of("edit"):
            if event.get("op") in ("add_layer", "remove_layer"):
                axes.axvline(event["at"] + 0.5, color=GRID, linewidth=1, linestyle=(0, (4, 3)), zorder=0)
        axes.set_xlabel("epoch")
        axes.set_ylabel("connection strength (kCS)")
        whole_ticks(axes.xaxis)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=4, markerscale=1.6)

    return draw("densemann-kcs", "Connection strength of the filters under growth", KCS_CAPTION, 3.6, paint)


def _by_category(measures: list[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    marks: dict[str, list[tuple[float, float]]] = {name: [] for name, *_ in CATEGORIES}
    for event in measures:
        values = event["values"]
        for index, value in enumerate(numbers(values["kcs"])):
            category = next(
                (name for name in ("useless", "useful", "settled") if index in (values.get(name) or [])), "not settled"
            )
            marks[category].append((event["at"], value))
    return marks


def growth(record: RunRecord) -> Drawing | None:
    """Layers and filters over time."""
    steps = filters_over_time(record)
    if not steps:
        return None
    steps.append((max(len(record.epochs), steps[-1][0]) + 0.5, steps[-1][1]))
    places = [place for place, _ in steps]
    most = max(len(layers) for _, layers in steps)

    def paint(figure: Any) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2.2, 1))
        rows = [[layers[i] if i < len(layers) else 0 for _, layers in steps] for i in range(most)]
        colours = [SERIES[i % len(SERIES)] for i in range(most)]
        above.stackplot(places, rows, step="post", colors=colours, alpha=0.75, linewidth=0)
        above.set_ylabel("filters")
        below.step(places, [len(layers) for _, layers in steps], where="post", color=SERIES[0])
        below.set_ylabel("layers")
        below.set_ylim(bottom=0)
        below.set_xlabel("epoch")
        for axis in (above.yaxis, below.yaxis, below.xaxis):
            whole_ticks(axis)

    return draw("densemann-growth", "Layers and filters over time", GROWTH_CAPTION, 3.8, paint)


def filters_over_time(record: RunRecord) -> list[tuple[float, list[int]]]:
    """Filters per layer (over all blocks) after each edit, replayed from the events."""
    blocks: list[list[int]] = []
    steps: list[tuple[float, list[int]]] = []
    for event in record.events:
        found = _after(event, blocks)
        if found is not None:
            blocks = found
            steps.append((event["at"] + 0.5, [width for block in blocks for width in block]))
    return steps


def _after(event: dict[str, Any], blocks: list[list[int]]) -> list[list[int]] | None:
    """Filters of each block after an event; None if it changes nothing that is known."""
    detail = event.get("detail")
    if not isinstance(detail, dict):
        return None
    op, filters = event.get("op"), detail.get("filters")
    if event["kind"] == "phase":
        told = isinstance(filters, list) and all(isinstance(block, list) for block in filters)
        return [[int(width) for width in numbers(block)] for block in filters] if told else None  # type: ignore[union-attr]
    if op == "add_block" and isinstance(filters, list):
        return [*blocks, [int(width) for width in numbers(filters)]]
    if not blocks or not blocks[-1]:
        return None
    *before, last = blocks
    if op == "add_layer" and isinstance(filters, list):
        return [*before, [*last, len(filters)]]
    if op == "add_filters" and isinstance(filters, list):
        return [*before, [*last[:-1], last[-1] + len(filters)]]
    if op == "prune" and isinstance(filters, list):
        return [*before, [*last[:-1], last[-1] - len(filters)]]
    if op in ("undo_pruning", "remove_layer") and isinstance(detail.get("block"), list):
        return [*before, [int(width) for width in numbers(detail["block"])]]
    return None
