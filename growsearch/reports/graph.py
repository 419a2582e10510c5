"""A graph of nodes and links that a page can draw: a family tree, the cells of a network."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Node:
    """A node.

    Attributes:
        x: its place across.
        y: its place upwards.
        kind: which of the graph's kinds.
        hover: what is known of it.
        text: what is written on it.
    """

    x: float
    y: float
    kind: str
    hover: str
    text: str = ""


@dataclass(frozen=True)
class Graph:
    """A graph.

    Attributes:
        title: for the reader.
        caption: what it shows.
        kinds: colour and shape (circle, square, diamond, triangle-up, triangle-down, circle-open) of each kind of node.
        nodes: by name.
        links: names of two nodes, and whether the link is in bold.
        axes: labels of both axes; without them the places say nothing.
    """

    title: str
    caption: str
    kinds: dict[str, tuple[str, str]]
    nodes: dict[str, Node] = field(default_factory=dict)
    links: list[tuple[str, str, bool]] = field(default_factory=list)
    axes: tuple[str, str] | None = None
