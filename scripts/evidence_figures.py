"""Figures of the archives, in the look of the reports."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from growsearch.reports.figures.tradeoff import MARKERS, legend_columns
from growsearch.reports.numbers import size
from growsearch.reports.plot import MUTED, SERIES, Drawing, draw, readable_ticks, time_ticks

Run = dict[str, Any]

COSTS = (
    ("params", "parameters"),
    ("macs", "MACs of an image"),
    ("macs_spent", "MACs spent"),
    ("cpu_seconds", "time of the processor"),
)
TOGETHER = (
    "Each method (filled; mean and standard deviation of test accuracy over seeds) and a plain network of about as "
    "many parameters, trained until it has spent as many MACs (hollow). Costs of pruning include the network's "
    "first training."
)
COMPRESSION = (
    "Mean test accuracy and parameters of what is found from each start network, for three weights of accuracy."
)
MODES = ("greedy", "half", "zero")


def together(runs: Sequence[Run]) -> Drawing:
    """Accuracy of ``GROUP/method`` beside ``GROUP/plain`` against each cost."""
    groups = list(dict.fromkeys(run["cell"].rpartition("/")[0] for run in runs if run["cell"].endswith("/plain")))

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(COSTS), sharey=True)
        for panel, (key, label) in zip(panels, COSTS, strict=True):
            panel.set_xscale("log")
            for index, group in enumerate(groups):
                _pair(panel, runs, group, key, SERIES[index], MARKERS[index])
            panel.set_xlabel(label)
            panel.margins(0.12)
            time_ticks(panel.xaxis, 3) if key == "cpu_seconds" else readable_ticks(panel.xaxis, size)
        panels[0].set_ylabel("test accuracy, %")
        _legend(figure, panels[0])

    return draw("together", "Each method beside a plain network", TOGETHER, 4.0, paint)


def _pair(panel: Any, runs: Sequence[Run], group: str, key: str, colour: str, marker: str) -> None:
    """A method's mean, its plain network's, and a line from one to the other."""
    places = []
    for name, face, label in (("method", colour, group), ("plain", "none", None)):
        found = [run for run in runs if run["cell"] == f"{group}/{name}"]
        accuracies = [100 * run["test_accuracy"] for run in found]
        places.append((np.mean([cost(run, runs, key) for run in found]), np.mean(accuracies)))
        bar = np.std(accuracies, ddof=1) if len(found) > 1 else None
        shape = {"fmt": marker, "ms": 7, "mfc": face, "mec": colour, "capsize": 2, "elinewidth": 0.9}
        panel.errorbar(*places[-1], yerr=bar, color=colour, label=label, **shape)
    panel.plot(*zip(*places, strict=True), color=colour, linewidth=0.8, alpha=0.6)


def cost(run: Run, runs: Sequence[Run], key: str) -> float:
    """What a run cost; a pruned network's costs of training include those of the network that it was cut from."""
    before = {"macs_spent", "cpu_seconds"} & {key} and run["cell"] == "prune/method"
    start = [one[key] for one in runs if before and one["cell"] == "start/method" and one["seed"] == run["seed"]]
    return float(run[key] + sum(start))


def compression(runs: Sequence[Run]) -> Drawing:
    """Accuracy of ECToNAS' searches against the parameters that they keep, by start network."""
    starts = list(dict.fromkeys(run["cell"].rpartition("/")[0] for run in runs))

    def paint(figure: Any) -> None:
        panel = figure.subplots()
        panel.set_xscale("log")
        for index, start in enumerate(starts):
            colour, marker = SERIES[index], MARKERS[index]
            means = [_means([run for run in runs if run["cell"] == f"{start}/{mode}"]) for mode in MODES]
            panel.plot(*zip(*means, strict=True), marker=marker, color=colour, label=start)
            baseline = _means([run for run in runs if run["cell"] == f"{start}/baseline"])
            panel.plot(*baseline, marker, mfc="none", mec=MUTED)
        readable_ticks(panel.xaxis, size)
        panel.set_xlabel("parameters")
        panel.set_ylabel("test accuracy, %")
        _legend(figure, panel)

    told = " From right to left alpha 1, 0.5 and 0; hollow: the start network trained as long as the winner of alpha 1."
    return draw("compression", "What compression costs", COMPRESSION + told, 4.0, paint)


def _means(runs: Sequence[Run]) -> tuple[float, float]:
    """Mean parameters and mean test accuracy in percent."""
    return float(np.mean([run["params"] for run in runs])), float(100 * np.mean([run["test_accuracy"] for run in runs]))


def _legend(figure: Any, panel: Any) -> None:
    handles, labels = panel.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=legend_columns(labels))


FIGURES: dict[str, Callable[[Sequence[Run]], Drawing]] = {"together": together, "compression": compression}
