"""The two cells that a search over edges has found, as graphs."""

from typing import Any

from growsearch.reports.figures.prdarts import operation_label
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, SURFACE, Drawing, draw
from growsearch.reports.record import RunRecord

MOST_NODES = 12
COLOURS = {"conv": SERIES[0], "skip": SERIES[2], "pool": SERIES[1]}
CAPTION = (
    "Cell inputs are the outputs of the two cells before; every node sums its edges; the output joins the nodes. "
    "stack: further depthwise-separable layers, with the factor by which each widens."
)

Place = tuple[float, float]


def cells(record: RunRecord) -> Drawing | None:
    """Normal and reduction cell; None where the network has none written out."""
    genotype = record.architecture.get("genotype")
    if not isinstance(genotype, dict) or not all(isinstance(genotype.get(k), list) for k in ("normal", "reduction")):
        return None

    def paint(figure: Any) -> None:
        for axes, kind in zip(figure.subplots(2, 1), ("normal", "reduction"), strict=True):
            _cell(axes, genotype[kind], genotype.get(f"{kind}_concat", []))
            axes.set_title(f"{kind} cell")

    return draw("cells", "The found cells", CAPTION, 7.4, paint)


def _cell(axes: Any, edges: list[dict[str, Any]], concat: list[int]) -> None:
    num_nodes = max(int(edge["node"]) for edge in edges) + 1
    if num_nodes > MOST_NODES:
        raise ValueError(f"{num_nodes} nodes")
    places = positions(num_nodes)
    output = (max(x for x, _ in places) + 1.9, 0.0)
    for state in concat:
        _arrow(axes, places[int(state)], output, GRID, 0.0)
    for index, edge in enumerate(edges):
        begin, end = places[int(edge["input"])], places[int(edge["node"]) + 2]
        colour = COLOURS.get(edge.get("op", ""), MUTED)
        bend = 0.12 if index % 2 else -0.12
        _arrow(axes, begin, end, colour, bend)
        _label(axes, begin, end, bend, 0.42 if index % 2 else 0.55, operation_label(edge), colour)
    names = ["cell k-2", "cell k-1", *(str(i) for i in range(num_nodes))]
    for name, (x, y) in [*zip(names, places, strict=True), ("output", output)]:
        box = {"boxstyle": "round,pad=0.45", "facecolor": SURFACE, "edgecolor": INK, "linewidth": 1.0}
        axes.text(x, y, name, ha="center", va="center", bbox=box, zorder=5, fontsize=8.5)
    axes.set_xlim(-0.8, output[0] + 0.6)
    axes.set_ylim(-2.0, 2.0)
    axes.set_aspect("equal")
    axes.axis("off")


def positions(num_nodes: int) -> list[Place]:
    """Places of both inputs (left) and the nodes (left to right, by turns above and below)."""
    heights = (1.5, -1.5, 0.6, -0.6)
    return [(0.0, 1.2), (0.0, -1.2), *((2.6 * (i + 1), heights[i % 4]) for i in range(num_nodes))]


def _arrow(axes: Any, begin: Place, end: Place, colour: str, bend: float) -> None:
    style = {
        "arrowstyle": "-|>",
        "color": colour,
        "connectionstyle": f"arc3,rad={bend}",
        "shrinkA": 12,
        "shrinkB": 14,
        "linewidth": 1.3,
    }
    axes.annotate("", end, begin, arrowprops=style, zorder=1)


def _label(axes: Any, begin: Place, end: Place, bend: float, along: float, text: str, colour: str) -> None:
    """Write on an edge's own curve, so far along it."""
    (x0, y0), (x1, y1) = begin, end
    control = ((x0 + x1) / 2 + bend * (y1 - y0), (y0 + y1) / 2 - bend * (x1 - x0))
    weights = ((1 - along) ** 2, 2 * along * (1 - along), along**2)
    x = weights[0] * x0 + weights[1] * control[0] + weights[2] * x1
    y = weights[0] * y0 + weights[1] * control[1] + weights[2] * y1
    box = {"boxstyle": "round,pad=0.15", "facecolor": SURFACE, "edgecolor": "none"}
    axes.text(x, y, text, ha="center", va="center", fontsize=7, color=colour, bbox=box, zorder=4)
