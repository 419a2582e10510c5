"""The figures of Stage-Wise's reports and of its paper, drawn from runs."""

from collections.abc import Sequence
from typing import Any

from growsearch.events import Edit, Measure
from growsearch.reports.numbers import size
from growsearch.reports.paper import published
from growsearch.reports.plot import INK, MUTED, SERIES, Drawing, draw, readable_ticks, whole_ticks
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import RunRecord

MOST_ITERATIONS = 40
MOST_DECISIONS = 12
DEPTH_CAPTION = "Modules in every stage of the first network (iteration 0) and of each iteration's candidate."
SCORE_CAPTION = (
    "Importance of each stage's features in the present network and in the temporary one, which is deeper in every "
    "stage: a stage grows where it scores higher in the temporary one."
)


def depths(record: RunRecord) -> Drawing | None:
    """Depth of the stages by iteration."""
    rows = _depth_vectors(record)
    if not rows:
        return None
    most = max(map(len, rows))

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        width = 0.8 / most
        for stage in range(most):
            kept = [(iteration, row[stage]) for iteration, row in enumerate(rows) if stage < len(row)]
            places = [iteration + (stage - (most - 1) / 2) * width for iteration, _ in kept]
            colour = SERIES[stage % len(SERIES)]
            bars = axes.bar(places, [d for _, d in kept], 0.9 * width, color=colour, label=f"stage {stage + 1}")
            axes.bar_label(bars, fontsize=8, fmt="%g")
        _count_axes(axes, "iteration")

    return draw("stagewise-depths", "Depth vectors", DEPTH_CAPTION, 3.0, paint)


def _count_axes(axes: Any, across: str) -> None:
    """Axes of bars that count modules."""
    axes.set_xlabel(across)
    axes.set_ylabel("modules")
    whole_ticks(axes.xaxis)
    whole_ticks(axes.yaxis)
    axes.margins(y=0.15)
    axes.grid(axis="x", visible=False)
    axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=5)


def _depth_vectors(record: RunRecord) -> list[list[float]]:
    """Modules per stage of the first network and of each candidate."""
    measured = [line.event.values for line in record.of(Measure, "stage importance")]
    first = [values["depths"] for values in measured if values.get("role") == "initial"][:1]
    edits = [line.event for line in record.of(Edit) if line.event.op in ("grow", "no growth")]
    return [*first, *(edit.detail["depths"] for edit in edits)][:MOST_ITERATIONS]


def scores(record: RunRecord) -> Drawing | None:
    """Scores of the stages that each decision to grow is based on."""
    edits = [line.event for line in record.of(Edit)]
    decisions = [edit.detail for edit in edits if edit.detail.get("temporary_scores")][:MOST_DECISIONS]
    if not decisions:
        return None

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(decisions), sharey=True, squeeze=False)[0]
        for place, (panel, detail) in enumerate(zip(panels, decisions, strict=True)):
            _decision(panel, detail)
            panel.set_title(f"iteration {place + 1}")
            panel.set_xlabel("stage")
        panels[0].set_ylabel("importance")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)

    return draw("stagewise-scores", "Stage scores", SCORE_CAPTION, 2.8, paint)


def _decision(panel: Any, detail: dict[str, Any]) -> None:
    """Scores of both networks, stage by stage, and which stages grow."""
    present, temporary = (
        [float("nan") if score is None else score for score in detail[f"{network}_scores"]]
        for network in ("present", "temporary")
    )
    stages = range(1, len(present) + 1)
    for stage, pair in zip(stages, zip(present, temporary, strict=True), strict=True):
        panel.plot([stage, stage], pair, color=MUTED, linewidth=1)
    panel.plot(stages, present, "o", color=SERIES[0], label="present")
    panel.plot(stages, temporary, "^", color=SERIES[1], label="temporary")
    growing = [stage for stage, grows in zip(stages, detail.get("grow") or [], strict=False) if grows]
    heights = [temporary[stage - 1] for stage in growing]
    panel.plot(growing, heights, "o", ms=13, mfc="none", mec=SERIES[2], mew=1.5, label="grows")
    panel.set_xlim(0.5, len(present) + 0.5)
    panel.margins(y=0.15)
    whole_ticks(panel.xaxis, 5)


SEARCH = ("stagewise", "stagewise_original")
MODELS_CAPTION = (
    "Test accuracy against the number of networks that a search trains: published searches (grey, Table V), and "
    "searches here, one mark a run. Published accuracies are on CIFAR-10."
)
CRITERIA_CAPTION = (
    "Modules in every stage of the last iteration's candidate for each criterion of importance, mean over runs (bars)"
    " and each run (marks); runs on one data set that start, grow and end alike."
)
ALIKE = ("modules", "m0", "iterations", "delta", "grow", "donor")
"""Options in which the runs of one figure of criteria agree."""

MARKERS = {"residual": "o", "cell": "s", "bottleneck": "D"}


def models_trained(records: Sequence[RunRecord]) -> Drawing | None:
    """Accuracy against the number of networks that a search trains (Figure 1)."""
    found = [(run, number(run.method.get("evaluated_models"))) for run in records if run.result.get("algo") in SEARCH]
    searches = [(run, models, run.result["test_accuracy"]) for run, models in found if _searched(run, models)]
    if not searches:
        return None
    quoted = [row for row in published(__package__)["table_V"] if row["evaluated_models"]]

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        axes.set_xscale("log")
        for index, row in enumerate(quoted):
            place = (row["evaluated_models"], row["acc"])
            axes.plot(*place, "x", color=MUTED, ms=5)
            text, own = row["ref"].replace("ours_", "Stage-Wise, "), row["ref"].startswith("ours_")
            side = (-12, 9 if index % 2 else -1) if own else (4, -10 if index % 2 else 5)
            words = {"textcoords": "offset points", "fontsize": 7.5, "color": MUTED, "ha": "right" if own else "left"}
            axes.annotate(text, place, side, **words)
        labels = set[str]()
        for run, models, accuracy in searches:
            modules = str(run.value("algo.modules"))
            label = f"{modules} modules on {run.result.get('data')} ({run.result.get('schedule')})"
            colour = SERIES[list(MARKERS).index(modules) if modules in MARKERS else -1]
            mark = MARKERS.get(modules, "^")
            axes.plot(models, 100 * accuracy, mark, color=colour, ms=6, label="" if label in labels else label)
            labels.add(label)
        axes.set_xlabel("networks trained")
        readable_ticks(axes.xaxis, size)
        axes.set_ylabel("test accuracy, %")
        axes.legend(loc="lower right")
        axes.margins(x=0.12)
        axes.set_xlim(left=axes.get_xlim()[0] / 3)  # names of Stage-Wise's own results stand left of them

    return draw("stagewise-figure1", "Accuracy against networks trained (Figure 1)", MODELS_CAPTION, 3.6, paint)


def _searched(run: RunRecord, models: float | None) -> bool:
    return bool(models and models > 1) and run.result.get("test_accuracy") is not None


def by_criterion(records: Sequence[RunRecord]) -> Drawing | None:
    """Modules per stage after the last iteration, by criterion of importance (Figure 4)."""
    kinds: dict[tuple[Any, ...], dict[str, list[list[float]]]] = {}
    for run in records:
        rows = _depth_vectors(run) if run.result.get("algo") in SEARCH else []
        if len(rows) > 1:
            kind = (run.result.get("data"), *(str(run.value(f"algo.{name}")) for name in ALIKE))
            kinds.setdefault(kind, {}).setdefault(str(run.value("algo.criterion")), []).append(rows[-1])
    groups = max(kinds.values(), key=lambda found: (len(found), sum(map(len, found.values()))), default={})
    if len(groups) < 2:
        return None
    stages = max(len(row) for rows in groups.values() for row in rows)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        width = 0.8 / len(groups)
        for index, (criterion, rows) in enumerate(groups.items()):
            for stage in range(stages):
                depths = [row[stage] for row in rows if stage < len(row)]
                place = stage + 1 + (index - (len(groups) - 1) / 2) * width
                colour, label = SERIES[index % len(SERIES)], f"{short(criterion, 20)} (n = {len(rows)})"
                mean = sum(depths) / max(len(depths), 1)
                bars = axes.bar(place, mean, 0.9 * width, color=colour, label=label if not stage else "")
                axes.bar_label(bars, fontsize=8, fmt="%.3g", padding=3)
                axes.plot([place] * len(depths), depths, "_", color=INK, ms=6)
        _count_axes(axes, "stage")

    return draw("stagewise-figure4", "Depths by criterion (Figure 4)", CRITERIA_CAPTION, 3.0, paint)
