"""The cells of DARTS and PR-DARTS: as a figure of the report, and as graphs that follow the search."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from growsearch.events import Edit, Measure
from growsearch.reports.graph import Graph, Node
from growsearch.reports.numbers import percent, plain
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, SURFACE, Drawing, draw
from growsearch.run_folder.read import RunRecord

KINDS = ("normal", "reduction")
MOST_NODES = 12
MOST_EDGES = 80
COLOURS = {"conv": SERIES[0], "skip": SERIES[2], "pool": SERIES[1]}
CELLS_CAPTION = (
    "Each column is a state of the cell: the outputs of the two cells before it, then its nodes. Each arrow is an edge "
    "with its operation; a node sums what arrives; the output joins the marked states. stack: further "
    "depthwise-separable layers, with the factor by which each widens."
)
GRAPH_CAPTION = (
    "Left: the outputs of the two cells before this one. Each square is an edge with its operation; while the search "
    "goes on, with the likeliest of the candidates that are left and their number. A node sums what arrives."
)
GRAPH_KINDS = {
    **{name: (colour, "square") for name, colour in COLOURS.items()},
    "other": (MUTED, "square"),
    "state": (INK, "circle"),
}

Edge = dict[str, Any]


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


@dataclass(frozen=True)
class GraphEdge:
    """An edge of a cell's graph, from state ``source`` to ``node``; ``hover`` is a longer label."""

    source: int
    node: int
    op: str
    label: str
    hover: str


def cell_graphs(record: RunRecord) -> list[Graph]:
    """Both cells as far as the search is: what is left on each edge, or what was found."""
    return [graph for kind in KINDS if (graph := _graph(record, kind)) is not None]


def _graph(record: RunRecord, kind: str) -> Graph | None:
    told = record.of(Edit, "genotype")
    found: Any = record.architecture.get("genotype") or (told[-1].event.detail if told else None)
    edges = list(_found(found[kind]) if isinstance(found, dict) else _candidates(record, kind))
    if not edges or len(edges) > MOST_EDGES or max(edge.node for edge in edges) >= MOST_NODES:
        return None
    num_nodes = max(edge.node for edge in edges) + 1
    graph = Graph(f"{kind} cell".capitalize(), GRAPH_CAPTION, GRAPH_KINDS)
    middle = -(num_nodes - 1) / 2
    names = ["cell k-2", "cell k-1", *(f"node {node}" for node in range(num_nodes))]
    places = [(0.0, middle + 0.6), (0.0, middle - 0.6), *((1.2 + node, -float(node)) for node in range(num_nodes))]
    for name, (x, y) in zip([*names, "output"], [*places, (num_nodes + 1.0, middle)], strict=True):
        graph.nodes[name] = Node(x, y, "state", name, name)
    for node in range(num_nodes):
        own = [edge for edge in edges if edge.node == node]
        for row, edge in enumerate(own):
            y, name = -node + 0.7 * ((row + 0.5) / len(own) - 0.5), f"edge {node}-{row}"
            op = edge.op if edge.op in COLOURS else "other"
            graph.nodes[name] = Node(0.7 + node, y, op, edge.hover, edge.label)
            graph.links.extend([(names[edge.source], name, False), (name, names[node + 2], False)])
    joined = found.get(f"{kind}_concat") if isinstance(found, dict) else None
    graph.links.extend((names[int(state)], "output", False) for state in joined or range(2, num_nodes + 2))
    return graph


def _found(edges: list[Edge]) -> Iterator[GraphEdge]:
    for edge in edges:
        label = operation_label(edge)
        yield GraphEdge(int(edge["input"]), int(edge["node"]), str(edge.get("op")), label, label)


def _candidates(record: RunRecord, kind: str) -> Iterator[GraphEdge]:
    """The edges of a cell that is searched, each with its likeliest candidate, and all of them to hover on."""
    pools, alphas = record.of(Measure, "pools"), record.of(Measure, "alphas")
    left = pools[-1].event.values[kind]["operations"] if pools else []
    likely = alphas[-1].event.values[kind]["probabilities"] if alphas and alphas[-1].place > pools[-1].place else []
    ends = [(source, node) for node in range(MOST_NODES) for source in range(node + 2)]
    for index, (names, (source, node)) in enumerate(zip(left, ends, strict=False)):
        shares = likely[index] if index < len(likely) and len(likely[index]) == len(names) else [0.0] * len(names)
        best = max(range(len(names)), key=shares.__getitem__)
        told = zip(names, shares, strict=True)
        hover = ", ".join(f"{name} {percent(share, 1)}" if share else str(name) for name, share in told)
        label = str(names[best])
        op = next((op for op, start in STARTS.items() if label.startswith(start)), "other")
        yield GraphEdge(source, node, op, label if len(names) == 1 else f"{label}, 1 of {len(names)}", hover)


STARTS: dict[str, tuple[str, ...]] = {"conv": ("conv",), "skip": ("skip",), "pool": ("max", "avg")}
"""How the names of candidates of a type begin."""
