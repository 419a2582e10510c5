"""A genotype as a picture: SVG text, nothing to install."""

from collections.abc import Iterator
from dataclasses import dataclass
from xml.sax.saxutils import escape

from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.genotype import CellGenotype, Genotype

TOP, LANE, STEP, INPUT_X = 70, 84, 236, 60
OPERATION_WIDTH, STATE_WIDTH, HEIGHT = 112, 70, 26
COLOURS = {"conv": "#cfe2f3", "conv_7x1_1x7": "#cfe2f3", "pool": "#f6d9c5", "skip": "#d7e8cb", "none": "#e5e5e5"}
STYLE = "font-family='Helvetica, Arial, sans-serif' font-size='12'"
ARROW = (
    "<defs><marker id='tip' viewBox='0 0 8 8' refX='8' refY='4' markerWidth='7' markerHeight='7' orient='auto'>"
    "<path d='M0,0 L8,4 L0,8 z' fill='#666'/></marker></defs>"
)


@dataclass(frozen=True)
class _Box:
    """A labelled box, by its centre."""

    x: float
    y: float
    width: float
    label: str
    fill: str

    def svg(self) -> str:
        corner = f"x='{self.x - self.width / 2:.0f}' y='{self.y - HEIGHT / 2:.0f}'"
        shape = f"<rect {corner} width='{self.width}' height='{HEIGHT}' rx='6' fill='{self.fill}' stroke='#555'/>"
        text = f"<text x='{self.x:.0f}' y='{self.y + 4:.0f}' text-anchor='middle'>{escape(self.label)}</text>"
        return shape + text

    def arrow_to(self, other: "_Box", colour: str = "#666") -> str:
        x0, x1 = self.x + self.width / 2, other.x - other.width / 2
        middle = (x0 + x1) / 2
        path = f"M{x0:.0f},{self.y:.0f} C{middle:.0f},{self.y:.0f} {middle:.0f},{other.y:.0f} {x1:.0f},{other.y:.0f}"
        return f"<path d='{path}' fill='none' stroke='{colour}' stroke-width='1.4' marker-end='url(#tip)'/>"


def draw_genotype(genotype: Genotype) -> str:
    """SVG of the normal cell above the reduction cell.

    Nodes descend from left to right; before each stand the operations of its edges, every one with
    an arrow from the state it starts from. Grey arrows lead to the states the output is made of.
    """
    parts, width, height = [], 0.0, 0.0
    for cell, title in ((genotype.normal, "normal cell"), (genotype.reduction, "reduction cell")):
        parts.append(f"<text x='20' y='{height + 28:.0f}' font-size='15' font-weight='bold'>{title}</text>")
        parts += _cell(cell, height)
        width = max(width, INPUT_X + STEP * (cell.num_nodes + 1))
        height += TOP + LANE * cell.num_nodes
    size = f"width='{width:.0f}' height='{height:.0f}' viewBox='0 0 {width:.0f} {height:.0f}'"
    return "\n".join([f"<svg xmlns='http://www.w3.org/2000/svg' {size} {STYLE}>", ARROW, *parts, "</svg>"])


def operation_label(candidate: Candidate) -> str:
    """The text of a box: type, window, dilation and expansions."""
    if candidate.is_conv:
        dilation = f" d{candidate.dilation}" if candidate.dilation > 1 else ""
        stack = f" [{','.join(map(str, candidate.expansions))}]" if candidate.expansions else ""
        return f"conv {candidate.kernel}x{candidate.kernel}{dilation}{stack}"
    if candidate.op == "pool":
        return f"{candidate.kind} pool {candidate.kernel}x{candidate.kernel}"
    return {"conv_7x1_1x7": "conv 1x7, 7x1"}.get(candidate.op, candidate.op)


def _cell(cell: CellGenotype, top: float) -> Iterator[str]:
    """Arrows first, so that boxes lie on them."""
    states = list(_states(cell, top))
    output = states.pop()
    boxes = [*states, output]
    for node in range(cell.num_nodes):
        edges = [edge for edge in cell.edges if edge.node == node]
        target = states[node + 2]
        for place, edge in enumerate(edges):
            y = target.y + (place - (len(edges) - 1) / 2) * (HEIGHT + 8)
            x = target.x - STATE_WIDTH / 2 - 28 - OPERATION_WIDTH / 2
            label, fill = operation_label(edge.candidate), COLOURS[edge.candidate.op]
            box = _Box(x, y, OPERATION_WIDTH, label, fill)
            yield states[edge.input].arrow_to(box)
            yield box.arrow_to(target)
            boxes.append(box)
    for source in cell.concat:
        yield states[source].arrow_to(output, "#bbb")
    for box in boxes:
        yield box.svg()


def _states(cell: CellGenotype, top: float) -> Iterator[_Box]:
    """Both inputs, the nodes and the output."""
    middle = top + TOP + LANE * (cell.num_nodes - 1) / 2
    for number, name in enumerate(("cell k-2", "cell k-1")):
        yield _Box(INPUT_X, middle + (number - 0.5) * LANE, STATE_WIDTH, name, "#ffffff")
    for node in range(cell.num_nodes):
        yield _Box(INPUT_X + STEP * (node + 1), top + TOP + LANE * node, STATE_WIDTH, f"node {node}", "#ffffff")
    yield _Box(INPUT_X + STEP * (cell.num_nodes + 0.7), middle, STATE_WIDTH, "output", "#ffffff")
