"""Published cells by name, in a notation one can read: ``input label; ... | next node``."""

import torch

from growsearch.errors import UserError
from growsearch.networks.darts.candidate import parse
from growsearch.networks.darts.genotype import CellGenotype, Genotype, GenotypeEdge
from growsearch.networks.darts.pools import INITIAL_POOLS, initial_pool

FOUR_NODES = (2, 3, 4, 5)


def cell_from_text(text: str, concat: tuple[int, ...] = FOUR_NODES) -> CellGenotype:
    """Read a cell: nodes are separated by ``|``, edges of a node by ``;``, an edge is input and label."""
    edges = []
    for node, part in enumerate(text.split("|")):
        for edge in part.split(";"):
            source, label = edge.split()
            edges.append(GenotypeEdge(node, int(source), parse(label)))
    return CellGenotype(tuple(edges), concat)


def _published(
    normal: str, reduction: str, concat: tuple[int, ...] = FOUR_NODES, reduction_concat: tuple[int, ...] = FOUR_NODES
) -> Genotype:
    return Genotype(cell_from_text(normal, concat), cell_from_text(reduction, reduction_concat))


PUBLISHED: dict[str, Genotype] = {
    "DL1": _published(
        "0 conv5[1]; 1 conv3[1] | 1 conv3[1]; 2 skip | 1 conv3[1]; 2 skip | 0 skip; 2 skip",
        "0 conv3[1]; 1 skip | 0 max3; 2 conv5[1] | 0 conv3[1]; 1 conv3[1] | 1 max3; 4 conv3[1]",
    ),
    "DL2": _published(
        "0 conv3[1]; 1 conv3[] | 1 conv3[]; 2 conv7[1] | 0 skip; 1 conv5[1] | 1 conv3[1]; 4 conv7[1]",
        "0 conv3[]; 1 conv3[1] | 1 conv3[1]; 2 skip | 0 max3; 3 conv3[] | 0 conv3[]; 3 skip",
    ),
    "DR": _published(
        "0 conv3[]; 1 conv3[3] | 1 conv7[1]; 2 conv5[2] | 1 skip; 3 skip | 0 skip; 2 skip",
        "0 conv5[2]; 1 max3 | 1 max3; 2 conv3[1] | 0 max3; 2 conv3[3] | 0 max3; 3 conv1[1]",
    ),
    "UR": _published(
        "0 conv3[2]; 1 conv1[] | 1 conv3[1,1,1]; 2 conv5[] | 1 conv1[1]; 2 conv3[1,1] | 3 conv1[1]; 4 conv5[1,1]",
        "0 conv7[1]; 1 conv3[] | 0 conv3[1,1]; 2 conv3[1] | 0 skip; 2 skip | 1 conv7[1,1]; 2 skip",
    ),
    "DARTS_V1": _published(
        "1 conv3[1]; 0 conv3[1] | 0 skip; 1 conv3[1] | 0 skip; 1 conv3[1] | 0 conv3[1]; 2 skip",
        "0 max3; 1 max3 | 2 skip; 0 max3 | 0 max3; 2 skip | 2 skip; 0 avg3",
    ),
    "DARTS_V2": _published(
        "0 conv3[1]; 1 conv3[1] | 0 conv3[1]; 1 conv3[1] | 1 conv3[1]; 0 skip | 0 skip; 2 conv3d2[]",
        "0 max3; 1 max3 | 2 skip; 1 max3 | 0 max3; 2 skip | 2 skip; 1 max3",
    ),
    "P-DARTS": _published(
        "0 skip; 1 conv3d2[] | 0 skip; 1 conv3[1] | 1 conv3[1]; 3 conv3[1] | 0 conv3[1]; 4 conv5d2[]",
        "0 avg3; 1 conv5[1] | 0 conv3[1]; 2 conv5d2[] | 0 max3; 1 conv3d2[] | 1 conv3d2[]; 3 conv5d2[]",
    ),
    "NASNet-A": _published(
        "1 conv5[1]; 0 conv3[1] | 0 conv5[1]; 0 conv3[1] | 1 avg3; 0 skip | 0 avg3; 0 avg3 | 1 conv3[1]; 1 skip",
        "1 conv5[1]; 0 conv7[1] | 1 max3; 0 conv7[1] | 1 avg3; 0 conv5[1] | 3 skip; 2 avg3 | 2 conv3[1]; 1 max3",
        (2, 3, 4, 5, 6),
        (4, 5, 6),
    ),
    "AmoebaNet-A": _published(
        "0 avg3; 1 max3 | 0 conv3[1]; 2 conv5[1] | 0 conv3[1]; 3 avg3 | 1 conv3[1]; 1 skip | 0 skip; 1 avg3",
        "0 avg3; 1 conv3[1] | 0 max3; 2 conv7[1] | 0 conv7[1]; 1 avg3 | 0 max3; 1 max3 | 0 conv_7x1_1x7; 5 conv3[1]",
        (4, 5, 6),
        (3, 4, 6),
    ),
}
"""PR-DARTS Figures 3 to 6 (DL1, DL2, DR, UR) and the cells it compares with in Table III."""


def random_genotype(generator: torch.Generator) -> Genotype:
    """Cells drawn uniformly from DARTS' space: two different inputs for each node, any operation but none for each."""
    operations = initial_pool([label for label in INITIAL_POOLS["darts"] if label != "none"])

    def cell() -> CellGenotype:
        edges = []
        for node in range(len(FOUR_NODES)):
            for source in torch.randperm(node + 2, generator=generator)[:2].sort().values.tolist():
                operation = operations[int(torch.randint(len(operations), (), generator=generator))]
                edges.append(GenotypeEdge(node, source, operation))
        return CellGenotype(tuple(edges), FOUR_NODES)

    return Genotype(cell(), cell())


def published(name: str) -> Genotype:
    """The published genotype of that name.

    Raises:
        UserError: if there is none.
    """
    if name not in PUBLISHED:
        raise UserError(f"network.genotype: {name!r} is not accepted; use one of {', '.join(PUBLISHED)} or a JSON file")
    return PUBLISHED[name]
