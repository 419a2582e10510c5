"""What the found network gets wrong on the test images: the section of a run's page."""

import base64
from typing import Any

from markupsafe import Markup

from growsearch.reports.numbers import MISSING, count, percent
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, draw
from growsearch.run_folder.plain import number
from growsearch.run_folder.read import RunRecord

MOST_CLASSES, MOST_ROWS, MOST_MISTAKES = 20, 100, 12
RELIABILITY = (
    "Bars: accuracy on the test images to whose class the network gave about this probability, and how many they are. "
    "Line: what it would be if the probabilities were right. Expected calibration error (15 bins of one width): {}."
)


def judgement(record: RunRecord) -> dict[str, Any]:
    """Tables and pictures of the section; empty for a run that kept nothing of the kind."""
    found = record.result.get("judgement", {})
    if not found:
        return {}
    by_class = [
        (str(one.get("class")), count(one.get("images")), percent(one.get("accuracy")))
        for one in _dicts(found, "by_class")[:MOST_ROWS]
    ]
    confused = [
        (str(one.get("class")), str(one.get("predicted")), count(one.get("images")))
        for one in _dicts(found, "confused")
    ]
    return {
        "by_class": (("class", "images", "accuracy"), by_class) if by_class else None,
        "confusion": _matrix(found, [name for name, _, _ in by_class]),
        "confused": (("is", "was taken for", "images"), confused[:MOST_CLASSES]) if confused else None,
        "mistakes": [_mistake(record, one) for one in _dicts(found, "mistakes")[:MOST_MISTAKES]],
    }


def reliability(record: RunRecord) -> Drawing | None:
    """Calibration of the network's probabilities."""
    calibration = record.result.get("judgement", {}).get("calibration")
    bins = _dicts(calibration, "bins") if isinstance(calibration, dict) else []
    points = [
        (probability, accuracy, number(one.get("images")) or 0.0)
        for one in bins[:100]
        if (probability := number(one.get("probability"))) is not None
        and (accuracy := number(one.get("accuracy"))) is not None
    ]
    if not points or not isinstance(calibration, dict):
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1.0)
        axes.bar([p for p, _, _ in points], [a for _, a, _ in points], width=0.05, color=SERIES[0], alpha=0.8)
        for probability, accuracy, images in points:
            axes.annotate(f"{images:,.0f}", (probability, accuracy), ha="center", va="bottom", fontsize=7, color=INK)
        axes.set_xlim(0, 1.03)
        axes.set_ylim(0, 1.08)
        axes.set_xlabel("probability that the network gave")
        axes.set_ylabel("accuracy")

    told = RELIABILITY.format(percent(calibration.get("error")))
    return draw("reliability", "Calibration: are its probabilities right?", told, 3.2, paint)


def _dicts(found: Any, key: str) -> list[dict[str, Any]]:
    values = found.get(key)
    return [one for one in values if isinstance(one, dict)] if isinstance(values, list) else []


def _matrix(found: dict[str, Any], names: list[str]) -> tuple[Any, ...] | None:
    rows = found.get("confusion")
    if not isinstance(rows, list) or len(rows) > MOST_CLASSES or len(rows) != len(names):
        return None
    body = [(name, *map(count, row)) for name, row in zip(names, rows, strict=True) if isinstance(row, list)]
    if any(len(row) != 1 + len(names) for row in body):
        return None
    return ("true class", *names), body


def _mistake(record: RunRecord, one: dict[str, Any]) -> dict[str, Any]:
    content = record.mistake(one.get("picture"))
    source = Markup("data:image/png;base64,") + base64.b64encode(content).decode() if content else ""
    return {
        "source": source,
        "said": f"{one.get('predicted', MISSING)} ({percent(one.get('probability'), 1)})",
        "is": str(one.get("class", MISSING)),
        "image": count(one.get("image")),
    }
