"""The figures of PR-DARTS's reports and of its paper, drawn from runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from growsearch.algorithms.prdarts.cells import KINDS
from growsearch.events import Measure
from growsearch.reports.numbers import plain
from growsearch.reports.paper import published
from growsearch.reports.plot import SERIES, Drawing, draw, plot, readable_ticks, whole_ticks
from growsearch.run_folder.plain import number
from growsearch.run_folder.read import RunRecord

TYPES = (("conv", SERIES[0]), ("skip", SERIES[2]), ("pool", SERIES[1]), ("none", SERIES[6]))
POOLS_CAPTION = (
    "Shares of operation types over all candidates of a cell, mean pairwise similarity of the candidates on an edge, "
    "number of candidates, batch size and seconds of an epoch; measured when a cycle begins and for the found cells. "
    "Dotted, for searches of nine cycles with the limits DL: what the paper's Figure 2 shows of DL2 at the same "
    "points."
)
CellPools = dict[str, Any]


def pools(record: RunRecord) -> Drawing | None:
    """The candidate pools cycle by cycle (Figure 2 of the paper)."""
    measures = record.of(Measure, "pools")
    if not measures:
        return None

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 3, sharex=True)
        pools = {kind: [(line.at, line.event.values[kind]) for line in measures] for kind in KINDS}
        places = [line.at for line in measures]
        paper = published(__package__)["fig2_DL2_read_off"]
        repeats = record.value("algo.morph_limits") == "DL" and len(places) == len(paper["x_epochs"])
        for panel, kind in zip(panels[0], KINDS, strict=False):
            for name, colour in TYPES:
                shares = [(at, 100 * (number(cell["types"].get(name)) or 0.0)) for at, cell in pools[kind]]
                if any(share for _, share in shares):
                    plot(panel, shares, ".-", color=colour, label=name)
            for name, colour in TYPES if repeats else ():
                shares = paper.get(f"{'reduce' if kind == 'reduction' else kind}_{name}_share", [])
                _as_printed(panel, places, [100 * share for share in shares], colour)
            panel.set_title(f"types, {kind} cell, %")
            panel.set_ylim(-3, 103)
        panels[0][0].legend()
        _both(panels[0][2], pools, lambda cell: number(cell.get("similarity")), "similarity on an edge")
        for kind, colour in zip(("normal", "reduce"), SERIES, strict=False):
            _as_printed(panels[0][2], places, paper[f"similarity_{kind}"] if repeats else [], colour)
        _both(panels[1][0], pools, _mean_pool, "candidates on an edge")
        epochs = [line for line in record.epochs if line.event.phase == "search"]
        plot(panels[1][1], [(line.at, line.event.batch_size) for line in epochs], color=SERIES[3])
        _as_printed(panels[1][1], places, paper["batch_size_by_cycle"] if repeats else [], SERIES[3])
        panels[1][1].set_title("batch size")
        plot(panels[1][2], [(line.at, line.seconds) for line in epochs], color=SERIES[3])
        panels[1][2].set_title("seconds an epoch")
        readable_ticks(panels[1][2].yaxis, plain)
        for panel in panels[1]:
            panel.set_xlabel("epoch")
            whole_ticks(panel.xaxis, 5)
        for panel in panels[1][1:]:
            panel.set_ylim(bottom=0)

    return draw("prdarts-pools", "The pools of candidates (Figure 2)", POOLS_CAPTION, 4.2, paint)


def _as_printed(panel: Any, places: Sequence[float], values: Sequence[float], colour: str) -> None:
    """The paper's values at the run's own measurements; a value less than those stands for the cycles."""
    style = "steps-post:" if len(values) == len(places) - 1 else ":"
    plot(panel, zip(places, values, strict=False), style.removeprefix("steps-post"), color=colour, linewidth=1.1)


def _mean_pool(cell: CellPools) -> float | None:
    sizes = [len(pool) for pool in cell["operations"]]
    return sum(sizes) / len(sizes) if sizes else None


def _both(panel: Any, pools: Mapping[str, list[Any]], value: Callable[[CellPools], float | None], title: str) -> None:
    for kind, colour in zip(KINDS, SERIES, strict=False):
        plot(panel, [(at, value(cell)) for at, cell in pools[kind]], ".-", color=colour, label=kind)
    panel.set_title(title)
    panel.legend()
