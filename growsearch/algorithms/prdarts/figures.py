"""The figures of PR-DARTS's reports and of its paper, drawn from runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from growsearch.events import Measure
from growsearch.reports.numbers import plain
from growsearch.reports.paper import published
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, SURFACE, Drawing, draw, plot, readable_ticks, whole_ticks
from growsearch.run_folder.plain import number
from growsearch.run_folder.read import RunRecord

TYPES = (("conv", SERIES[0]), ("skip", SERIES[2]), ("pool", SERIES[1]), ("none", SERIES[6]))
KINDS = ("normal", "reduction")
POOLS_CAPTION = (
    "Shares of operation types over all candidates of a cell, mean pairwise similarity of the candidates on an edge, "
    "number of candidates, batch size and seconds of an epoch; measured when a cycle begins and for the found cells. "
    "Dotted, for searches of nine cycles with the limits DL: what the paper's Figure 2 shows of DL2 at the same "
    "points."
)
MOST_NODES = 12
MOST_EDGES = 80
COLOURS = {"conv": SERIES[0], "skip": SERIES[2], "pool": SERIES[1]}
CELLS_CAPTION = (
    "Each column is a state of the cell: the outputs of the two cells before it, then its nodes. Each arrow is an "
    "edge with its operation; a node sums what arrives; the output joins the marked states. stack: further "
    "depthwise-separable layers, with the factor by which each widens."
)

Edge = dict[str, Any]
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


def cells(record: RunRecord) -> Drawing | None:
    """Normal and reduction cell that a search over edges has found."""
    genotype = record.architecture.get("genotype")
    if not isinstance(genotype, dict):
        return None
    heights = [min(len(genotype[kind]), MOST_EDGES) + 3 for kind in KINDS]

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 1, height_ratios=heights)
        for axes, kind in zip(panels, KINDS, strict=True):
            edges = sorted(genotype[kind], key=lambda edge: (edge["node"], edge["input"]))
            _cell(axes, edges, genotype.get(f"{kind}_concat", []))
            axes.set_title(f"{kind} cell")

    return draw("prdarts-cells", "The found cells", CELLS_CAPTION, 0.31 * sum(heights), paint)


def _cell(axes: Any, edges: list[Edge], concat: list[int]) -> None:
    num_nodes = max(int(edge["node"]) for edge in edges) + 1
    if num_nodes > MOST_NODES:
        raise ValueError(f"{num_nodes} nodes are too many to draw; the most is {MOST_NODES}")
    if len(edges) > MOST_EDGES:
        raise ValueError(f"{len(edges)} edges are too many to draw; the most is {MOST_EDGES}")
    output, bottom = num_nodes + 2, len(edges) + 1
    for column, name in enumerate(["cell k-2", "cell k-1", *(f"node {i}" for i in range(num_nodes)), "output"]):
        axes.plot([column, column], [0, bottom], color=GRID, linewidth=1.2, zorder=1)
        box = {"boxstyle": "round,pad=0.4", "facecolor": SURFACE, "edgecolor": INK, "linewidth": 1.0}
        axes.text(column, -0.2, name, ha="center", va="center", bbox=box, zorder=5, fontsize=8.5)
    for row, edge in enumerate(edges, start=1):
        colour = COLOURS.get(edge.get("op", ""), MUTED)
        _arrow(axes, int(edge["input"]), int(edge["node"]) + 2, row, operation_label(edge), colour)
    states = sorted({int(state) for state in concat})
    if states:
        axes.plot([states[0], output], [bottom, bottom], color=INK, linewidth=1.3, zorder=2)
        axes.plot(states, [bottom] * len(states), "o", color=INK, ms=5, zorder=3)
        axes.plot([output], [bottom], ">", color=INK, ms=6, zorder=3)
    axes.set_xlim(-0.5, output + 0.5)
    axes.set_ylim(bottom + 0.4, -0.8)
    axes.axis("off")


def _arrow(axes: Any, begin: int, end: int, row: int, text: str, colour: str) -> None:
    axes.plot([begin, end], [row, row], color=colour, linewidth=1.4, zorder=2)
    axes.plot([begin], [row], "o", color=colour, ms=4, zorder=3)
    axes.plot([end], [row], ">" if end > begin else "<", color=colour, ms=6, zorder=3)
    ground = {"facecolor": SURFACE, "edgecolor": "none", "pad": 0.6}
    place = ((begin + end) / 2, row - 0.13)
    axes.text(*place, text, ha="center", va="bottom", fontsize=7.5, color=colour, bbox=ground, zorder=4)


def operation_label(edge: Edge) -> str:
    """An operation in a few words: "conv 5x5, dilation 2, stack 1"."""
    op, kernel = str(edge.get("op")), plain(edge.get("kernel"))
    if op == "pool":
        return f"{edge.get('kind')} pool {kernel}"
    if op != "conv":
        return op
    words = [f"conv {kernel}x{kernel}"]
    words += [f"dilation {plain(edge['dilation'])}"] if edge.get("dilation", 1) > 1 else []
    words += ["stack " + "·".join(map(plain, edge["expansions"][:5]))] if edge.get("expansions") else []
    return ", ".join(words)
