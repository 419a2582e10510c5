from xml.etree import ElementTree

import pytest

from growsearch.networks.darts.draw import draw_genotype, operation_label
from growsearch.networks.darts.genotypes import PUBLISHED


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_edge_is_drawn_with_its_label(name):
    genotype = PUBLISHED[name]
    root = ElementTree.fromstring(draw_genotype(genotype))
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    edges = [*genotype.normal.edges, *genotype.reduction.edges]
    labels = [operation_label(edge.candidate) for edge in edges]
    assert sorted(t for t in texts if t in set(labels)) == sorted(labels)
    nodes = genotype.normal.num_nodes + genotype.reduction.num_nodes
    assert len(texts) == 2 + len(labels) + nodes + 2 * 3
    arrows = [e for e in root.iter("{http://www.w3.org/2000/svg}path") if e.get("marker-end")]
    assert len(arrows) == 2 * len(edges) + len(genotype.normal.concat) + len(genotype.reduction.concat)


def test_nothing_lies_outside_the_picture():
    root = ElementTree.fromstring(draw_genotype(PUBLISHED["AmoebaNet-A"]))
    width, height = float(root.get("width")), float(root.get("height"))
    for box in root.iter("{http://www.w3.org/2000/svg}rect"):
        assert 0 <= float(box.get("x")) <= width - float(box.get("width"))
        assert 0 <= float(box.get("y")) <= height - float(box.get("height"))
