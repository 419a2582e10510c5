"""Stage-Wise: depth vectors (Figure 4 of the paper) and the scores that they follow."""

from typing import Any

from growsearch.reports.numbers import number, numbers
from growsearch.reports.plot import MUTED, SERIES, Drawing, draw, whole_ticks
from growsearch.reports.record import RunRecord

DEPTH_CAPTION = "Modules in every stage of the first network (iteration 0) and of each iteration's candidate."
SCORE_CAPTION = (
    "Importance of each stage's features in the present network and in the temporary one, which is deeper in every "
    "stage: a stage grows where it scores higher in the temporary one."
)


def depths(record: RunRecord) -> Drawing | None:
    """Figure 4: depth of the stages by iteration."""
    rows = _depth_vectors(record)
    if not rows:
        return None
    most = max(len(row) for _, row in rows)

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        width = 0.8 / most
        for stage in range(most):
            kept = [(place, row[stage]) for place, row in rows if stage < len(row)]
            places = [place + (stage - (most - 1) / 2) * width for place, _ in kept]
            bars = axes.bar(
                places, [d for _, d in kept], 0.9 * width, color=SERIES[stage % len(SERIES)], label=f"stage {stage + 1}"
            )
            axes.bar_label(bars, fontsize=8, fmt="%g")
        axes.set_xlabel("iteration")
        axes.set_ylabel("modules")
        whole_ticks(axes.xaxis)
        whole_ticks(axes.yaxis)
        axes.margins(y=0.12)
        axes.grid(axis="x", visible=False)
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=6)

    return draw("stagewise-depths", "Depth vectors (Figure 4)", DEPTH_CAPTION, 3.0, paint)


def scores(record: RunRecord) -> Drawing | None:
    """Scores of A and T for each decision."""
    decisions = [e for e in record.of("edit") if numbers((e.get("detail") or {}).get("temporary_scores"))][:12]
    if not decisions:
        return None

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(decisions), sharey=True, squeeze=False)[0]
        for place, (panel, event) in enumerate(zip(panels, decisions, strict=True)):
            _decision(panel, event["detail"])
            panel.set_title(f"iteration {place + 1}")
            panel.set_xlabel("stage")
        panels[0].set_ylabel("importance")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper left", ncols=3)

    return draw("stagewise-scores", "Stage scores", SCORE_CAPTION, 2.8, paint)


def _decision(panel: Any, detail: dict[str, Any]) -> None:
    """Scores of both networks, stage by stage, and which stages grow."""
    pairs = list(zip(detail["present_scores"], detail["temporary_scores"], strict=True))
    stages = range(1, len(pairs) + 1)
    for stage, pair in zip(stages, pairs, strict=True):
        panel.plot([stage, stage], [_score(value) for value in pair], color=MUTED, linewidth=1)
    panel.plot(stages, [_score(a) for a, _ in pairs], "o", color=SERIES[0], label="present")
    panel.plot(stages, [_score(t) for _, t in pairs], "^", color=SERIES[1], label="temporary")
    growing = [stage for stage, more in zip(stages, detail.get("grow") or [], strict=False) if more]
    heights = [_score(pairs[stage - 1][1]) for stage in growing]
    panel.plot(growing, heights, "o", ms=13, mfc="none", mec=SERIES[2], mew=1.5, label="grows")
    panel.set_xlim(0.5, len(pairs) + 0.5)
    panel.margins(y=0.15)
    whole_ticks(panel.xaxis, 5)


def _score(value: Any) -> float:
    found = number(value)
    return float("nan") if found is None else found


def _depth_vectors(record: RunRecord) -> list[tuple[int, list[float]]]:
    """(iteration, modules per stage) of the first network and each candidate."""
    first = [
        e["values"]
        for e in record.of("measure", "stage importance")
        if isinstance(e.get("values"), dict) and e["values"].get("role") == "initial"
    ]
    rows = [(0, numbers(first[0].get("depths")))] if first else []
    for event in record.of("edit"):
        detail = event.get("detail") or {}
        if event.get("op") in ("grow", "no growth"):
            rows.append((len(rows), numbers(detail.get("depths"))))
    return [row for row in rows if row[1]][:40]
