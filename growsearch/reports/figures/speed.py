"""Where the time went."""

from typing import Any

from growsearch.reports.figures.prdarts import epoch_seconds
from growsearch.reports.numbers import size
from growsearch.reports.plot import SERIES, Drawing, draw, readable_ticks, thin, whole_ticks
from growsearch.reports.record import RunRecord

CAPTION = (
    "Training images by the seconds between one report and the next: validation, decisions and surgery are in it, so "
    "this is what the run as a whole achieved. Time spent on several networks in turn falls to the one reported."
)


def speed(record: RunRecord) -> Drawing | None:
    """Images a second, epoch by epoch; None without a clock."""
    pairs = zip(record.epochs, epoch_seconds(record), strict=True)
    points = [(i, e["images"] / seconds) for i, (e, seconds) in enumerate(pairs, start=1) if seconds > 0]
    if not points:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        kept = thin(points)
        axes.plot([x for x, _ in kept], [y for _, y in kept], ".", ms=4, color=SERIES[0])
        axes.set_ylabel("images a second")
        axes.set_xlabel("epochs reported")
        axes.set_ylim(bottom=0)
        readable_ticks(axes.yaxis, size)
        whole_ticks(axes.xaxis)

    return draw("speed", "Speed", CAPTION, 2.0, paint)
