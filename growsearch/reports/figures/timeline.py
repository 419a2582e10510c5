"""The timeline of a run: accuracy, loss, size, rate, batch and speed by epoch, with structural changes marked."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from growsearch.events import Edit, Phase
from growsearch.reports.numbers import count, plain, size
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, Drawing, draw, finite, plot, readable_ticks, whole_ticks
from growsearch.run_folder.lines import Line
from growsearch.run_folder.plain import short
from growsearch.run_folder.read import RunRecord

MOST_LINES = 8
"""Stretches of one network's epochs that are drawn as lines however short they are."""

SHORT = 5
"""Epochs that such a stretch must have on average, or points are drawn."""

MOST_DOTS = 1200
"""Dots of a series, each of which takes ten times the room of a line's point."""

MOST_OPERATIONS = 9
MOST_PHASES = 8

WIDE = 20.0
"""A loss so many times the median makes the axis logarithmic, or it would flatten all others."""

FURTHER = (("params", "parameters", 1.1), ("lr", "learning rate", 0.9), ("batch_size", "batch size", 0.9))
"""Quantities with a panel of their own where they change: name, label, height."""

CAPTION = (
    "One step on the horizontal axis is one reported epoch (or part of one) of any network of the search; where a line "
    "is broken another network begins. Dashed lines: phases, named where they begin."
)
SPEED_CAPTION = (
    "Training images by the seconds between one report and the next: validation, decisions and surgery are included, "
    "so this is what the run as a whole achieved. Time spent on several networks in turn counts for the one reported."
)


def story(record: RunRecord) -> Drawing | None:
    """Accuracy, loss, size and structural changes over the epochs of a run."""
    if not record.epochs:
        return None
    changing, constant = [], []
    for key, label, height in FURTHER:
        values = {getattr(line.event, key) for line in record.epochs}
        changing += [(key, label, height)] if len(values) > 1 else []
        constant += [f"{label} {plain(values.pop(), 6)}"] if len(values) == 1 else []
    operations = _operations(record)
    heights = [
        2.2,
        1.3,
        *(height for _, _, height in changing),
        *([0.2 + 0.17 * len(operations)] if operations else []),
    ]

    def paint(figure: Any) -> None:
        panels = list(figure.subplots(len(heights), 1, sharex=True, height_ratios=heights))
        _quality(panels[0], record, "accuracy", 100.0)
        panels[0].set_ylabel("accuracy, %")
        _quality(panels[1], record, "loss", 1.0)
        panels[1].set_ylabel("loss")
        for panel, (key, label, _) in zip(panels[2:], changing, strict=False):
            _lines(panel, record, key, INK, "", 1.0)
            panel.set_ylabel(label)
            readable_ticks(panel.yaxis, plain if key == "lr" else size)
        if wide([loss for line in record.epochs for loss in (line.event.train_loss, line.event.val_loss)]):
            panels[1].set_yscale("log")
            readable_ticks(panels[1].yaxis, plain)
        for panel in panels[1 : 2 + len(changing)]:
            if panel.get_yscale() == "linear":
                panel.set_ylim(0, 1.06 * panel.get_ylim()[1])
        if operations:
            _marks(panels[-1], record, operations)
        _phases(panels, record)
        panels[0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.16), borderaxespad=0, ncols=3)
        panels[-1].set_xlabel("epochs reported")
        whole_ticks(panels[-1].xaxis)
        readable_ticks(panels[-1].xaxis, count)
        figure.align_ylabels(panels)

    caption = CAPTION + (" Marks in the lowest panel: structural changes, with their number." if operations else "")
    caption += f" Constant, and without a panel: {', '.join(constant)}." if constant else ""
    return draw("story", "The story of the run", caption, sum(heights) + 0.9, paint)


def speed(record: RunRecord) -> Drawing | None:
    """Training images a second, epoch by epoch."""
    points = [(line.at, line.event.images / line.seconds) for line in record.epochs if line.seconds]
    if not points:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        plot(axes, points, ".", ms=4, color=SERIES[0], most=MOST_DOTS)
        axes.set_ylabel("images a second")
        axes.set_xlabel("epochs reported")
        axes.set_ylim(bottom=0)
        readable_ticks(axes.yaxis, size)
        whole_ticks(axes.xaxis)

    return draw("speed", "Speed", SPEED_CAPTION, 2.0, paint)


def _quality(panel: Any, record: RunRecord, what: str, scale: float) -> None:
    _lines(panel, record, f"train_{what}", SERIES[1], "training", scale)
    _lines(panel, record, f"val_{what}", SERIES[0], "validation", scale)
    if interleaved(record):
        best = [(line.at, getattr(line, f"best_{what}")) for line in record.epochs]
        kept = [(x, scale * y) for x, y in finite(best)]
        plot(panel, kept, color=SERIES[2], drawstyle="steps-post", label="best so far")


def _lines(panel: Any, record: RunRecord, key: str, colour: str, label: str, scale: float) -> None:
    """One line for each stretch of one network's epochs, or points where networks take turns."""
    if interleaved(record):
        points = [(x, scale * y) for x, y in finite((line.at, getattr(line.event, key)) for line in record.epochs)]
        plot(panel, points, ".", color=colour, ms=2.5, alpha=0.55, label=label, most=MOST_DOTS)
        return
    for _, stretch in groupby(record.epochs, key=lambda line: line.event.network):
        points = [(x, scale * y) for x, y in finite((line.at, getattr(line.event, key)) for line in stretch)]
        plot(panel, points, marker="." if len(points) < 30 else "", ms=4, color=colour, label=label)
        label = ""


def wide(losses: Sequence[float | None]) -> bool:
    """Whether some losses are so much larger than most that a linear axis would show nothing else."""
    found = sorted(loss for _, loss in finite((0, loss) for loss in losses) if loss > 0)
    return bool(found) and found[-1] > WIDE * found[len(found) // 2]


def interleaved(record: RunRecord) -> bool:
    """Whether networks take turns so often that lines would be fragments."""
    found = record.story
    return found.num_turns > MOST_LINES and found.num_epochs < SHORT * found.num_turns


def _operations(record: RunRecord) -> list[tuple[str, int]]:
    """Structural changes by name, the most frequent first, with their numbers; the rarest go by "other"."""
    found = [(name, times) for (kind, name), times in record.story.counts.most_common() if kind == "edit"]
    if len(found) <= MOST_OPERATIONS:
        return found
    kept, rest = found[: MOST_OPERATIONS - 1], found[MOST_OPERATIONS - 1 :]
    return [*kept, ("other", sum(times for _, times in rest))]


def _marks(panel: Any, record: RunRecord, operations: list[tuple[str, int]]) -> None:
    rows: dict[str, list[tuple[float, float | None]]] = {name: [] for name, _ in operations}
    for line in record.of(Edit):
        name = line.event.op if line.event.op in rows else "other"
        rows.setdefault(name, []).append((line.at + 0.5, list(rows).index(name)))
    for row, marks in enumerate(rows.values()):
        plot(panel, marks, "|", ms=8, mew=1.3, color=SERIES[row % len(SERIES)], most=MOST_DOTS // 2)
    labels = [f"{short(name, 24).replace('_', ' ')} ({times:,})" for name, times in operations]
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(rows) - 0.4, -0.6)
    panel.grid(axis="y", visible=False)


def _phases(panels: Sequence[Any], record: RunRecord) -> None:
    phases, num_epochs = record.of(Phase), record.story.num_epochs
    labelled = phases if len(phases) <= MOST_PHASES else []
    for line in phases[:200]:
        for panel in panels:
            panel.axvline(line.at + 0.5, color=MUTED if labelled else GRID, linewidth=0.8, linestyle=(0, (4, 3)))
    end, raised = float("-inf"), False
    for line in labelled:
        last = line.at > 0.85 * num_epochs
        raised = line.at - end < 0.2 * num_epochs and not raised
        end = line.at
        panels[0].annotate(
            _phase_name(line),
            (line.at + 0.5, 1.0 + 0.085 * raised),
            xycoords=("data", "axes fraction"),
            ha="right" if last else "left",
            va="bottom",
            fontsize=8,
            color=MUTED,
        )


def _phase_name(line: Line[Phase]) -> str:
    """Its name; of one that tells what it leaves behind, that it ends, as a method's own figures tell the rest."""
    name, leaves, _ = line.event.name.partition(" leaves ")
    return short(f"end of {name}" if leaves else name, 28)
