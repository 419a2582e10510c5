"""Several runs: accuracy against size, work and search time."""

from collections.abc import Iterable
from typing import Any

from growsearch.reports.groups import RunGroup, latency_key
from growsearch.reports.numbers import NO_SEARCH, milliseconds, size
from growsearch.reports.paper import LiteraturePoint
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, draw, readable_ticks, time_ticks
from growsearch.run_folder.plain import number

AXES = (("params", "parameters"), ("macs", "MACs of an image"), ("search_seconds", "search time"))
LOWEST = {"search_seconds": NO_SEARCH}
"""What a cost must exceed to be drawn: a network that was not searched has no search time, and no place on its axis."""

MOST_COLUMNS = 4
LEGEND_LETTERS = 140
"""Letters of a legend's line, with some eight for each entry's mark."""
MARKERS = "osD^vPX*"
QUIET_MARKERS = "x+*p1."

CAPTION = (
    "Test accuracy of every run (small) and the mean of each method (large, with the standard deviation over seeds), "
    "against parameters, multiply-accumulates (MACs) of one image and the seconds until the architecture was final. "
    "Line: the Pareto front, runs to which no other is better on one axis and at least as good on the other."
)
NO_SEARCH_CAPTION = " Methods without a search are left out of the panel of search time and of its front."
LITERATURE_CAPTION = (
    " Grey: published numbers, measured elsewhere with other budgets and hardware: a background, no ranking; "
    "those below the runs' range are left out."
)


def pareto_front(points: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Of (cost, accuracy) points, those that no other matches at less or equal cost; cheapest first."""
    front: list[tuple[float, float]] = []
    for cost, accuracy in sorted(set(points), key=lambda point: (point[0], -point[1])):
        if not front or accuracy > front[-1][1]:
            front.append((cost, accuracy))
    return front


def tradeoff(data: str, groups: list[RunGroup], literature: list[LiteraturePoint]) -> Drawing | None:
    """The panels of one data set, of latency too where it was measured; None without any accuracy."""
    if not any(_pairs(group, "params") for group in groups):
        return None

    measured = latency_key(groups)
    axes = (*AXES, *([(measured, measured.partition(" (")[0])] if measured is not None else []))

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(axes), sharey=True)
        figure.get_layout_engine().set(wspace=0.05)
        for panel, (key, label) in zip(panels, axes, strict=True):
            panel.set_xscale("log")
            _background(panel, literature, key)
            for index, group in enumerate(groups):
                _group(panel, group, key, SERIES[index % len(SERIES)], _marker(index))
            _front(panel, groups, key)
            panel.set_xlabel(label)
            panel.margins(0.12)
            if key == "search_seconds":
                time_ticks(panel.xaxis)
            elif key == measured:
                readable_ticks(panel.xaxis, milliseconds)
            else:
                readable_ticks(panel.xaxis, size)
        panels[0].set_ylim(*_range(groups, literature))
        panels[0].set_ylabel("test accuracy, %")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels))

    skipped = any(seconds < NO_SEARCH for group in groups for seconds in group.values("search_seconds"))
    told = f" Latency as measured on {measured.partition(' (')[2].rstrip(')')}." if measured else ""
    caption = CAPTION + told + (NO_SEARCH_CAPTION if skipped else "") + (LITERATURE_CAPTION if literature else "")
    return draw(
        f"tradeoff-{data}",
        "Accuracy against cost",
        caption,
        4.2 + 0.07 * len(groups) + (0.4 if literature else 0.0),
        paint,
    )


def legend_columns(labels: list[str]) -> int:
    """The number of columns that fit the width and fill the lines evenly."""
    most = max(1, min(MOST_COLUMNS, LEGEND_LETTERS // (8 + max(map(len, labels)))))
    lines = -(-len(labels) // most)
    return -(-len(labels) // lines)


def spread(data: str, groups: list[RunGroup]) -> Drawing | None:
    """Accuracies of all seeds, method by method."""
    kept = [group for group in groups if group.values("test_accuracy")]
    if not kept:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for row, group in enumerate(kept):
            colour = SERIES[groups.index(group) % len(SERIES)]
            values = [100 * value for value in group.values("test_accuracy")]
            axes.plot(values, [row] * len(values), "o", color=colour, ms=5, alpha=0.55, mew=0)
            mean, sd = group.mean("test_accuracy"), group.deviation("test_accuracy")
            if mean is not None:
                bar = 100 * sd if sd is not None else None
                axes.errorbar(100 * mean, row, xerr=bar, fmt="|", ms=14, mew=2, color=colour, capsize=4)
        axes.set_yticks(range(len(kept)), [group.label for group in kept])
        axes.set_ylim(len(kept) - 0.5, -0.5)
        axes.set_xlabel("test accuracy, %")

    caption = "Dots: runs, one for each seed. Stroke: mean; bar: sample standard deviation over seeds."
    return draw(f"spread-{data}", "Means and spreads", caption, 1.0 + 0.38 * len(kept), paint)


def _marker(index: int) -> str:
    """Shapes go round by one with every round of colours, so that no two of the first 64 look the same."""
    return MARKERS[(index + index // len(SERIES)) % len(MARKERS)]


def _pairs(group: RunGroup, key: str) -> list[tuple[float, float]]:
    """(cost, accuracy in percent) of the runs that have both."""
    both = ((number(run.result.get(key)), run.result.get("test_accuracy")) for run in group.runs)
    lowest = LOWEST.get(key, 0.0)
    return [
        (cost, 100 * accuracy) for cost, accuracy in both if cost is not None and accuracy is not None and cost > lowest
    ]


def _group(panel: Any, group: RunGroup, key: str, colour: str, marker: str) -> None:
    pairs = _pairs(group, key)
    if not pairs:
        return
    xs, ys = zip(*pairs, strict=True)
    panel.plot(xs, ys, marker, ms=4, color=colour, alpha=0.5, mew=0)
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    sd = group.deviation("test_accuracy")
    bar = 100 * sd if sd is not None else None
    panel.errorbar([x], [y], yerr=bar, fmt=marker, ms=9, mew=0, color=colour, capsize=3, label=group.label)


def _front(panel: Any, groups: list[RunGroup], key: str) -> None:
    front = pareto_front(pair for group in groups for pair in _pairs(group, key))
    if len(front) > 1:
        xs, ys = zip(*front, strict=True)
        panel.plot(xs, ys, color=INK, linewidth=1.0, drawstyle="steps-post", zorder=1, alpha=0.7)


def _background(panel: Any, literature: list[LiteraturePoint], key: str) -> None:
    for source, marker in zip(sorted({point.source for point in literature}), QUIET_MARKERS, strict=False):
        kept = [p for p in literature if p.source == source and getattr(p, key, None) is not None]
        places = [getattr(point, key) for point in kept]
        values = [100 * point.accuracy for point in kept]
        panel.plot(
            places, values, marker, ms=5, mfc="none", color=MUTED, alpha=0.7, zorder=1, label=f"published: {source}"
        )


def _range(groups: list[RunGroup], literature: list[LiteraturePoint]) -> tuple[float, float]:
    """Accuracies to show, in percent: those of the runs with some room, and whatever is published above them."""
    own = [100 * value for group in groups for value in group.values("test_accuracy")]
    highest = max([*own, *(100 * point.accuracy for point in literature)])
    room = max(1.0, 0.15 * (highest - min(own)))
    return min(own) - room, min(highest + room, 101.0)
