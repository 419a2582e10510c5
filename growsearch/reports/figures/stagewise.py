"""Stage-Wise: depth vectors (Figure 4 of the paper) and the scores that they follow."""

from typing import Any

from growsearch.reports.numbers import number, numbers
from growsearch.reports.plot import SERIES, Drawing, draw, whole_ticks
from growsearch.reports.record import RunRecord

DEPTH_CAPTION = "Modules in every stage of the first network (iteration 0) and of each iteration's candidate."
SCORE_CAPTION = (
    "Importance of each stage's features in the present network (left bar) and in the temporary one, deeper in every "
    "stage (right bar): a stage grows where the right bar is higher (marked +)."
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
                places, [d for _, d in kept], 0.9 * width, color=SERIES[stage % len(SERIES)], label=f"stage {stage}"
            )
            axes.bar_label(bars, fontsize=8, fmt="%g")
        axes.set_xlabel("iteration")
        axes.set_ylabel("modules")
        whole_ticks(axes.xaxis)
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
            detail = event["detail"]
            present, temporary = detail["present_scores"], detail["temporary_scores"]
            stages = range(min(len(present), len(temporary)))
            for offset, values, colour, name in (
                (-0.2, present, SERIES[0], "present"),
                (0.2, temporary, SERIES[1], "temporary"),
            ):
                heights = [number(values[stage]) or 0.0 for stage in stages]
                panel.bar([stage + offset for stage in stages], heights, 0.36, color=colour, label=name)
            for stage in stages:
                if detail.get("grow") and detail["grow"][stage]:
                    top = max(number(present[stage]) or 0.0, number(temporary[stage]) or 0.0)
                    panel.text(stage, top, "+", ha="center", va="bottom", fontsize=11)
            panel.set_title(f"iteration {place + 1}")
            panel.set_xlabel("stage")
            panel.margins(y=0.15)
            whole_ticks(panel.xaxis, 5)
            panel.grid(axis="x", visible=False)
        panels[0].set_ylabel("importance")
        panels[0].legend(loc="upper left")

    return draw("stagewise-scores", "Stage scores", SCORE_CAPTION, 2.8, paint)


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
