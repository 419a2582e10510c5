"""The figure of a network's layers before and after it was pruned or grown."""

from typing import Any

from growsearch.reports.plot import SERIES, Drawing, draw
from growsearch.run_folder.plain import short
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
