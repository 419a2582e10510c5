"""What happened over the epochs: accuracy, loss, size, rate and batch, with every structural change marked."""

from collections import Counter
from itertools import groupby
from typing import Any

from growsearch.reports.markup import shown
from growsearch.reports.numbers import number, plain, size
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, Drawing, draw, readable_ticks, thin, whole_ticks
from growsearch.reports.record import RunRecord

MOST_LINES = 8
"""Stretches of one network's epochs that are drawn as lines however short they are."""

SHORT = 5
"""Epochs that such a stretch must have on average, or points are drawn."""

MOST_OPERATIONS = 9
MOST_PHASES = 8

WIDE = 20.0
"""A loss so many times the median makes the axis logarithmic, or it would flatten all others."""

CAPTION = (
    "One step on the horizontal axis is one reported epoch (or part of one) of any network of the search; where a line "
    "is broken another network begins. Dashed lines: phases, named where they begin. Marks in the lowest panel: "
    "structural changes."
)


def story(record: RunRecord) -> Drawing | None:
    """The panels; None without epochs."""
    if not record.epochs:
        return None
    operations = _operations(record)
    heights = [2.2, 1.3, 1.1, 0.9, 0.9, 0.2 + 0.17 * len(operations)]

    def paint(figure: Any) -> None:
        panels = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
        _quality(panels[0], record, "accuracy", 100.0)
        panels[0].set_ylabel("accuracy, %")
        _quality(panels[1], record, "loss", 1.0)
        panels[1].set_ylabel("loss")
        for panel, key, label in ((panels[2], "params", "parameters"), (panels[3], "lr", "learning rate")):
            _lines(panel, record, key, INK, "", 1.0)
            panel.set_ylabel(label)
        _lines(panels[4], record, "batch_size", INK, "", 1.0)
        panels[4].set_ylabel("batch size")
        if _wide([number(e.get(key)) for e in record.epochs for key in ("train_loss", "val_loss")]):
            panels[1].set_yscale("log")
            readable_ticks(panels[1].yaxis, plain)
        for panel in panels[1:5]:
            if panel.get_yscale() == "linear":
                panel.set_ylim(0, 1.06 * panel.get_ylim()[1])
        readable_ticks(panels[2].yaxis, size)
        whole_ticks(panels[4].yaxis, 4)
        _marks(panels[5], record, operations)
        _phases(panels, record)
        panels[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.16), borderaxespad=0, ncols=3)
        panels[5].set_xlabel("epochs reported")
        whole_ticks(panels[5].xaxis)
        figure.align_ylabels(list(panels))

    return draw("story", "The story of the run", CAPTION, sum(heights) + 0.9, paint)


def _quality(panel: Any, record: RunRecord, what: str, scale: float) -> None:
    _lines(panel, record, f"train_{what}", SERIES[1], "training", scale)
    _lines(panel, record, f"val_{what}", SERIES[0], "validation", scale)
    if _interleaved(record):
        _best_so_far(panel, record, what, scale)


def _lines(panel: Any, record: RunRecord, key: str, colour: str, label: str, scale: float) -> None:
    """One line for each stretch of one network's epochs, or points where networks take turns."""
    points = [(i, e["network"], number(e.get(key))) for i, e in enumerate(record.epochs, start=1)]
    if _interleaved(record):
        kept = thin([(x, y) for x, _, y in points if y is not None])
        panel.plot(
            [x for x, _ in kept], [scale * y for _, y in kept], ".", color=colour, ms=2.5, alpha=0.55, label=label
        )
        return
    for _, stretch in groupby(points, key=lambda point: point[1]):
        kept = thin([(x, y) for x, _, y in stretch if y is not None])
        marker = "." if len(kept) < 30 else ""
        values = [scale * y for _, y in kept]
        panel.plot([x for x, _ in kept], values, marker=marker, ms=4, color=colour, label=label)
        label = ""


def _wide(losses: list[float | None]) -> bool:
    """Whether some losses are so much larger than most that a linear axis would show nothing else."""
    found = sorted(loss for loss in losses if loss is not None and loss > 0)
    return bool(found) and found[-1] > WIDE * found[len(found) // 2]


def _interleaved(record: RunRecord) -> bool:
    """Whether networks take turns so often that lines would be fragments."""
    stretches = sum(1 for _ in groupby(record.epochs, key=lambda e: e["network"]))
    return stretches > MOST_LINES and len(record.epochs) < SHORT * stretches


def _best_so_far(panel: Any, record: RunRecord, what: str, scale: float) -> None:
    better = max if what == "accuracy" else min
    best: float | None = None
    line = []
    for x, epoch in enumerate(record.epochs, start=1):
        value = number(epoch.get(f"val_{what}"))
        if value is not None:
            best = value if best is None else better(best, value)
            line.append((x, scale * best))
    line = thin(line)
    panel.plot([x for x, _ in line], [y for _, y in line], color=SERIES[2], drawstyle="steps-post", label="best so far")


def _operations(record: RunRecord) -> list[str]:
    """Names of the structural changes, the most frequent first; the rarest go by "other"."""
    counts = Counter(shown(e.get("op"), 24) for e in record.of("edit"))
    names = [name for name, _ in counts.most_common()]
    return names if len(names) <= MOST_OPERATIONS else [*names[: MOST_OPERATIONS - 1], "other"]


def _marks(panel: Any, record: RunRecord, operations: list[str]) -> None:
    rows: dict[str, list[int]] = {name: [] for name in operations}
    for event in record.of("edit"):
        name = shown(event.get("op"), 24)
        rows[name if name in rows else "other"].append(event["at"] + 0.5)
    for row, places in enumerate(rows.values()):
        panel.plot(thin(places), [row] * len(thin(places)), "|", ms=8, mew=1.3, color=SERIES[row % len(SERIES)])
    panel.set_yticks(range(len(rows)), [name.replace("_", " ") for name in rows])
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.grid(axis="y", visible=False)


def _phases(panels: Any, record: RunRecord) -> None:
    phases = record.of("phase")
    labelled = phases if len(phases) <= MOST_PHASES else []
    for event in phases[:200]:
        for panel in panels:
            panel.axvline(event["at"] + 0.5, color=MUTED if labelled else GRID, linewidth=0.8, linestyle=(0, (4, 3)))
    end, raised = float("-inf"), False
    for event in labelled:
        last = event["at"] > 0.85 * len(record.epochs)
        raised = event["at"] - end < 0.2 * len(record.epochs) and not raised
        end = event["at"]
        panels[0].annotate(
            _phase_name(event),
            (event["at"] + 0.5, 1.0 + 0.085 * raised),
            xycoords=("data", "axes fraction"),
            ha="right" if last else "left",
            va="bottom",
            fontsize=8,
            color=MUTED,
        )


def _phase_name(event: dict[str, Any]) -> str:
    """Its name; of one that tells what it leaves behind, that it ends, as a method's own figures tell the rest."""
    name, leaves, _ = shown(event.get("name")).partition(" leaves ")
    return shown(f"end of {name}" if leaves else name, 28)
