"""Figures of growth runs."""

from typing import Any

from growsearch.events import Measure
from growsearch.reports.figures.layer_sizes import layer_sizes
from growsearch.reports.numbers import size
from growsearch.reports.paper import Paper
from growsearch.reports.plot import SERIES, Drawing, draw, plot, readable_ticks
from growsearch.run_folder.plain import number
from growsearch.run_folder.read import RunRecord

SIZE_CAPTION = "Outputs of every convolution and linear layer before the first step of growth and at the end."
PATH_CAPTION = "Validation accuracy against MACs of one image: the network before each step of growth, and at the end."


def sizes(record: RunRecord) -> Drawing | None:
    """Sizes of all layers before and after."""
    return layer_sizes(record, "grow-sizes", SIZE_CAPTION)


def path(record: RunRecord) -> Drawing | None:
    """Accuracy against MACs along the way."""
    points = [line.event.values for line in record.of(Measure, "point")]
    drawn = [(number(each.get("macs")), number(each.get("accuracy"))) for each in points]
    known = [(macs, 100 * accuracy) for macs, accuracy in drawn if macs is not None and accuracy is not None]
    if len(known) < 2:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        plot(axes, known, ".-", color=SERIES[0])
        axes.set_xlabel("MACs of an image")
        axes.set_ylabel("validation accuracy %")
        readable_ticks(axes.xaxis, size)

    return draw("grow-path", "Accuracy against MACs", PATH_CAPTION, 3.2, paint)


PAPER = Paper(figures={"grow-sizes": sizes, "grow-path": path})
