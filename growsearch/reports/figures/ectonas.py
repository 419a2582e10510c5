"""ECToNAS: the winner's training with every operation of its lineage (Figures 5 and 6 of the paper)."""

from typing import Any

from growsearch.reports.markup import shown
from growsearch.reports.numbers import number, size
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, draw, readable_ticks, thin
from growsearch.reports.record import RunRecord

MOST_LABELS = 24
CAPTION = (
    "The winner and its ancestors over the epochs they were trained: accuracy (Figure 5) and parameters with the "
    "operations that made each descendant (Figure 6)."
)


def lineage(record: RunRecord) -> Drawing | None:
    """Accuracy and size of the winner's line of ancestors."""
    history, edits = record.method.get("history"), record.method.get("modifications")
    if not isinstance(history, dict) or not isinstance(edits, list) or not history.get("epochs"):
        return None

    def paint(figure: Any) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.2, 1))
        for key, colour, label in (("accuracy", SERIES[1], "training"), ("val_accuracy", SERIES[0], "validation")):
            points = _points(history, key, 100.0)
            above.plot([x for x, _ in points], [y for _, y in points], ".-", ms=4, color=colour, label=label)
        above.set_ylabel("accuracy, %")
        above.legend()
        sizes = _sizes(history, record.method.get("start_params"), edits)
        below.step([x for x, _ in sizes], [y for _, y in sizes], where="post", color=INK)
        _operations(below, edits)
        below.set_ylabel("parameters")
        below.set_xlabel("epochs of the winner and its ancestors")
        below.margins(y=0.35)
        readable_ticks(below.yaxis, size)

    return draw("ectonas-lineage", "The winner's way (Figures 5 and 6)", CAPTION, 4.6, paint)


def _points(history: dict[str, Any], key: str, scale: float) -> list[tuple[float, float]]:
    pairs = zip(history["epochs"], history[key], strict=True)
    return thin([(x, scale * y) for x, y in pairs if number(x) is not None and number(y) is not None])


def _sizes(history: dict[str, Any], start: Any, edits: list[Any]) -> list[tuple[float, float]]:
    """Parameters after each operation, from the start network's on."""
    last = max(number(x) or 0.0 for x in history["epochs"])
    changes = [(number(edit["epochs"]) or 0.0, float(edit["params"])) for edit in edits]
    steps = [*([(0.0, float(start))] if number(start) else []), *changes]
    return [*steps, (last, steps[-1][1])] if steps else _points(history, "params", 1.0)


def _operations(axes: Any, edits: list[Any]) -> None:
    told = [edit for edit in edits if edit.get("op") != "identity"]
    for index, edit in enumerate(told[:MOST_LABELS]):
        place = (float(edit["epochs"]), float(edit["params"]))
        axes.plot(*place, "o", ms=4, color=SERIES[4])
        axes.annotate(
            shown(edit.get("op"), 24).replace("_", " "),
            place,
            (0, 12 if index % 2 == 0 else -14),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7.5,
            color=MUTED,
        )
