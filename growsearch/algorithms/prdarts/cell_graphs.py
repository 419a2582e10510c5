"""The cells of DARTS and PR-DARTS as graphs that follow the search, for the live page."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from growsearch.algorithms.prdarts.figures import COLOURS, KINDS, MOST_EDGES, MOST_NODES, Edge, operation_label
from growsearch.events import Edit, Measure
from growsearch.reports.graph import Graph, Node
from growsearch.reports.numbers import percent
from growsearch.reports.plot import INK, MUTED
from growsearch.run_folder.read import RunRecord

GRAPH_CAPTION = (
    "Left: the outputs of the two cells before this one. Each square is an edge with its operation; while the search "
    "goes on, with the likeliest of the candidates that are left and their number. A node sums what arrives."
)
GRAPH_KINDS = {
    **{name: (colour, "square") for name, colour in COLOURS.items()},
    "other": (MUTED, "square"),
    "state": (INK, "circle"),
}


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
