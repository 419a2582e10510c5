"""The figures of a network that was pruned or grown: its layers before and after, and its accuracy along the way."""

from typing import Any

from growsearch.events import Measure
from growsearch.reports.numbers import size
from growsearch.reports.plot import SERIES, Drawing, draw, plot, readable_ticks
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import RunRecord

MOST_LAYERS = 64
"""Layers whose sizes are drawn; of more, every n-th."""


def layer_sizes(record: RunRecord, name: str, caption: str) -> Drawing | None:
    """Sizes of all layers before and after, from ``method.sizes`` of a result; a layer that is new has none before.

    Args:
        record: the run.
        name: of the figure.
        caption: of the figure.
    """
    found = record.method.get("sizes") or {}
    before, after = found.get("before") or {}, found.get("after") or {}
    names = list(after)[:: -(-len(after) // MOST_LAYERS) or 1]
    if not names:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        places = range(len(names))
        wide = [before.get(layer, 0) for layer in names], [after[layer] for layer in names]
        back, front = (0, 1) if sum(wide[0]) >= sum(wide[1]) else (1, 0)
        for each, width, alpha in ((back, 0.8, 0.35), (front, 0.5, 1.0)):
            axes.bar(places, wide[each], width, color=SERIES[0], alpha=alpha, label=("before", "after")[each])
        axes.set_xticks(places, [short(layer, 24) for layer in names], rotation=90, fontsize=6.5)
        axes.set_ylabel("outputs")
        axes.grid(axis="x", visible=False)
        axes.legend()

    return draw(name, "Layers before and after", caption, 3.6, paint)


def accuracy_path(record: RunRecord, name: str, caption: str) -> Drawing | None:
    """Validation accuracy against MACs of each network along the way, and where it was cut, right after the cut.

    Args:
        record: the run.
        name: of the figure.
        caption: of the figure.
    """
    points = [line.event.values for line in record.of(Measure, "point")]
    curves = {}
    for key in ("accuracy", "cut_accuracy"):
        found = [(number(point.get("macs")), number(point.get(key))) for point in points]
        curves[key] = [(macs, 100 * accuracy) for macs, accuracy in found if macs and accuracy is not None]
    if len(curves["accuracy"]) < 2:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        plot(axes, curves["accuracy"], ".-", color=SERIES[0], label="after fine-tuning")
        if curves["cut_accuracy"]:
            plot(axes, curves["cut_accuracy"], "x", color=SERIES[1], label="right after the cut")
            axes.legend()
        axes.set_xlabel("MACs of an image")
        axes.set_ylabel("validation accuracy %")
        readable_ticks(axes.xaxis, size)

    return draw(name, "Accuracy against MACs", caption, 3.2, paint)
