"""The two cells that a search over edges has found."""

from typing import Any

from growsearch.reports.figures.prdarts import operation_label
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, SURFACE, Drawing, draw
from growsearch.reports.record import RunRecord

MOST_NODES = 12
MOST_EDGES = 80
COLOURS = {"conv": SERIES[0], "skip": SERIES[2], "pool": SERIES[1]}
CAPTION = (
    "Each column is a state of the cell: the outputs of the two cells before it, then its nodes. Each arrow is an edge "
    "with its operation; a node sums what arrives; the output joins the marked states. stack: further "
    "depthwise-separable layers, with the factor by which each widens."
)

Edge = dict[str, Any]


def cells(record: RunRecord) -> Drawing | None:
    """Normal and reduction cell; None where the network has none written out."""
    genotype = record.architecture.get("genotype")
    if not isinstance(genotype, dict) or not all(isinstance(genotype.get(k), list) for k in ("normal", "reduction")):
        return None
    kinds = ("normal", "reduction")
    heights = [min(len(genotype[kind]), MOST_EDGES) + 3 for kind in kinds]

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 1, height_ratios=heights)
        for axes, kind in zip(panels, kinds, strict=True):
            _cell(axes, in_order(genotype[kind]), genotype.get(f"{kind}_concat", []))
            axes.set_title(f"{kind} cell")

    return draw("cells", "The found cells", CAPTION, 0.31 * sum(heights), paint)


def in_order(edges: list[Edge]) -> list[Edge]:
    """Edges by the node they lead to, then by where they come from."""
    return sorted(edges, key=lambda edge: (int(edge["node"]), int(edge["input"])))


def _cell(axes: Any, edges: list[Edge], concat: list[int]) -> None:
    num_nodes = max(int(edge["node"]) for edge in edges) + 1
    if num_nodes > MOST_NODES:
        raise ValueError(f"{num_nodes} nodes found, at most {MOST_NODES} drawn")
    if len(edges) > MOST_EDGES:
        raise ValueError(f"{len(edges)} edges found, at most {MOST_EDGES} drawn")
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
