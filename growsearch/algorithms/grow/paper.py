"""Figures of growth runs."""

from growsearch.reports.figures.resizing import accuracy_path, layer_sizes
from growsearch.reports.paper import Paper
from growsearch.reports.plot import Drawing
from growsearch.run_folder.read import RunRecord

SIZE_CAPTION = "Outputs of every convolution and linear layer before the first step of growth and at the end."
PATH_CAPTION = "Validation accuracy against MACs of one image: the network before each step of growth, and at the end."


def sizes(record: RunRecord) -> Drawing | None:
    """Sizes of all layers before and after."""
    return layer_sizes(record, "grow-sizes", SIZE_CAPTION)


def path(record: RunRecord) -> Drawing | None:
    """Accuracy against MACs along the way."""
    return accuracy_path(record, "grow-path", PATH_CAPTION)


PAPER = Paper(figures={"grow-sizes": sizes, "grow-path": path})
