"""From the last cycle's probabilities to a genotype (PR-DARTS III-B, DARTS 2.3)."""

from collections.abc import Mapping, Sequence

from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.genotype import CellGenotype, Genotype, GenotypeEdge
from growsearch.networks.darts.search_cell import edge_ends

INPUTS_PER_NODE = 2


def kept_edges(scores: Sequence[float], num_nodes: int = 4) -> list[int]:
    """Numbers of the two best-scored edges into each node, ascending; of equals the earlier edge wins.

    The first node has only two.
    """
    into: dict[int, list[int]] = {}
    for number, (node, _) in enumerate(edge_ends(num_nodes)):
        into.setdefault(node, []).append(number)
    best = (sorted(edges, key=lambda e: (-scores[e], e))[:INPUTS_PER_NODE] for edges in into.values())
    return sorted(number for edges in best for number in edges)


def cell_genotype(candidates: Sequence[Candidate], scores: Sequence[float], num_nodes: int = 4) -> CellGenotype:
    """The cell of the kept edges; its output joins all nodes.

    Args:
        candidates: the one candidate left on each edge.
        scores: the largest softmax value of each edge in the last cycle.
        num_nodes: computed nodes of the cell.
    """
    ends = list(edge_ends(num_nodes))
    edges = [GenotypeEdge(*ends[number], candidates[number]) for number in kept_edges(scores, num_nodes)]
    return CellGenotype(tuple(edges), tuple(range(2, num_nodes + 2)))


def genotype(
    candidates: Mapping[str, Sequence[Candidate]], scores: Mapping[str, Sequence[float]], num_nodes: int = 4
) -> Genotype:
    """Both cells; keys are ``normal`` and ``reduction``."""
    cells = {kind: cell_genotype(candidates[kind], scores[kind], num_nodes) for kind in ("normal", "reduction")}
    return Genotype(cells["normal"], cells["reduction"])
