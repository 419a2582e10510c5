"""PR-DARTS: what the pools of candidates hold, cycle by cycle (Figure 2 of the paper)."""

from itertools import pairwise
from typing import Any

from growsearch.reports.markup import shown
from growsearch.reports.numbers import number, plain
from growsearch.reports.plot import SERIES, Drawing, draw, readable_ticks, whole_ticks
from growsearch.reports.record import RunRecord

TYPES = (("conv", SERIES[0]), ("skip", SERIES[2]), ("pool", SERIES[1]), ("none", SERIES[6]))
CELLS = ("normal", "reduction")
CAPTION = (
    "Shares of operation types over all candidates of a cell, mean pairwise similarity of the candidates on an edge, "
    "number of candidates, batch size and seconds of an epoch; measured when a cycle begins and for the found cells."
)


def pools(record: RunRecord) -> Drawing | None:
    """The statistics of Figure 2."""
    measures = [e for e in record.of("measure", "pools") if isinstance(e.get("values"), dict)]
    if not measures:
        return None

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 3, sharex=True)
        places = [e["at"] for e in measures]
        for panel, cell in zip(panels[0], CELLS, strict=False):
            for name, colour in TYPES:
                shares = [100 * _share(e["values"], cell, name) for e in measures]
                if any(shares):
                    panel.plot(places, shares, ".-", color=colour, label=name)
            panel.set_title(f"types, {cell} cell, %")
            panel.set_ylim(-3, 103)
        panels[0][0].legend()
        _both(panels[0][2], measures, places, lambda cell: number(cell.get("similarity")), "similarity on an edge")
        _both(panels[1][0], measures, places, _mean_pool, "candidates on an edge")
        epochs = [(i, e) for i, e in enumerate(record.epochs, start=1) if e.get("phase") == "search"]
        panels[1][1].plot([i for i, _ in epochs], [e["batch_size"] for _, e in epochs], color=SERIES[3])
        panels[1][1].set_title("batch size")
        panels[1][1].set_ylim(bottom=0)
        times = epoch_seconds(record)
        panels[1][2].plot([i for i, _ in epochs], [times[i - 1] for i, _ in epochs], color=SERIES[3])
        panels[1][2].set_title("seconds an epoch")
        panels[1][2].set_ylim(bottom=0)
        readable_ticks(panels[1][2].yaxis, plain)
        for panel in panels[1]:
            panel.set_xlabel("epoch")
            whole_ticks(panel.xaxis, 5)

    return draw("prdarts-pools", "The pools of candidates (Figure 2)", CAPTION, 4.2, paint)


def _share(values: dict[str, Any], cell: str, name: str) -> float:
    return number(values[cell]["types"].get(name)) or 0.0


def _mean_pool(cell: dict[str, Any]) -> float | None:
    sizes = [len(pool) for pool in cell["operations"]]
    return sum(sizes) / len(sizes) if sizes else None


def _both(panel: Any, measures: list[dict[str, Any]], places: list[int], value: Any, title: str) -> None:
    for cell, colour in zip(CELLS, (SERIES[0], SERIES[1]), strict=True):
        line = [value(e["values"][cell]) for e in measures]
        panel.plot(places, [float("nan") if v is None else v for v in line], ".-", color=colour, label=cell)
    panel.set_title(title)
    panel.legend()


def epoch_seconds(record: RunRecord) -> list[float]:
    """Seconds between each epoch's end and that of the one before; nan where the clock is missing."""
    clock = [0.0, *((number(e.get("seconds")) or float("nan")) for e in record.epochs)]
    return [max(0.0, later - sooner) for sooner, later in pairwise(clock)]


def operation_label(edge: dict[str, Any]) -> str:
    """An operation in a few words: "conv 5, dilation 2, x1"."""
    op, kernel = shown(edge.get("op"), 16), number(edge.get("kernel"))
    if op == "pool":
        return f"{shown(edge.get('kind'), 8)} pool {plain(kernel)}"
    if op != "conv":
        return op
    words = [f"conv {plain(kernel)}x{plain(kernel)}"]
    if (number(edge.get("dilation")) or 1) > 1:
        words.append(f"dilation {plain(edge.get('dilation'))}")
    expansions = edge.get("expansions")
    if isinstance(expansions, list) and expansions:
        words.append("stack " + "·".join(plain(e) for e in expansions[:5]))
    return ", ".join(words)
