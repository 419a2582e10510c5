"""The figures of ECToNAS's reports and of its paper, drawn from runs."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from growsearch.events import Edit, Measure
from growsearch.reports.graph import Graph, Node
from growsearch.reports.numbers import percent, size
from growsearch.reports.plot import (
    GRID,
    INK,
    MUTED,
    SERIES,
    Drawing,
    broken_line,
    draw,
    finite,
    plot,
    readable_ticks,
    whole_ticks,
)  # fmt: skip
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import RunRecord

MOST_NETWORKS = 1500
MOST_READ = 50_000
"""Networks up to which the best are chosen of all; of more, of a sample that ends with the winner."""

TREE_CAPTION = (
    "Every network that was trained, at the generation that made it (spread sideways within it to be told apart) and "
    "the validation accuracy with which it left the search; its mark is the operation that made it. Lines lead from "
    "parent to child, the winner's line of ancestors in bold. Networks rejected before training are left out."
)
MOST_LABELS = 24
LINEAGE_CAPTION = (
    "The winner and its ancestors over the epochs they were trained: accuracy, and parameters with the operations "
    "that made each descendant."
)
OPERATIONS = (
    ("add_cell", SERIES[0], "^"),
    ("remove_cell", SERIES[0], "v"),
    ("add_channels", SERIES[1], "^"),
    ("remove_channels", SERIES[1], "v"),
    ("add_dense", SERIES[2], "^"),
    ("remove_dense", SERIES[2], "v"),
    ("add_units", SERIES[3], "^"),
    ("remove_units", SERIES[3], "v"),
    ("identity", MUTED, "o"),
    ("start", INK, "s"),
)

Individual = dict[str, Any]


def family_tree(record: RunRecord) -> Drawing | None:
    """Family tree of the networks, with the accuracy of each."""
    individuals = _individuals(record)
    if not individuals:
        return None
    winner = next((id for id, individual in individuals.items() if individual["fate"] == "won"), None)
    line = ancestors(individuals, winner)
    places = {id: _place(id, individual) for id, individual in individuals.items()}

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for bold, style in ((False, {"color": GRID, "linewidth": 0.8}), (True, {"color": SERIES[4], "linewidth": 2.0})):
            links = [
                ([places[parent][0], places[id][0]], [places[parent][1], places[id][1]])
                for id, individual in individuals.items()
                if (parent := individual["parent"]) in places and (id in line and parent in line) == bold
            ]
            axes.plot(*broken_line(links), zorder=2 if bold else 1, **style)
        for op, colour, marker in OPERATIONS:
            kept = [places[id] for id, individual in individuals.items() if individual["op"] == op]
            if kept:
                axes.plot(*zip(*kept, strict=True), marker, color=colour, ms=5, zorder=3, label=op.replace("_", " "))
        if winner is not None:
            axes.plot(*places[winner], "o", ms=12, mfc="none", mec=SERIES[4], mew=1.6, zorder=4, label="winner")
        axes.set_xlabel("generation")
        axes.set_ylabel("validation accuracy, %")
        whole_ticks(axes.xaxis)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))

    return draw("ectonas-family-tree", "Family tree", TREE_CAPTION, 4.2, paint)


def _individuals(record: RunRecord) -> dict[int, Individual]:
    """Networks by id, as they left; of very many those with the best accuracy, and all the winner descends from."""
    count = record.story.counts["measure", "fate"]
    lines = record.every(Measure) if 0 < count <= MOST_READ else record.of(Measure, "fate")
    fates = {line.event.network: line.event.values for line in lines if _is_fate(line.event)}
    if len(fates) <= MOST_NETWORKS:
        return fates
    best = sorted(fates, key=lambda id: (fates[id]["fate"] != "won", -fates[id]["accuracy"]))[:MOST_NETWORKS]
    kept = ancestors(fates, best[0]) | set(best)
    return {id: fate for id, fate in fates.items() if id in kept}


def _is_fate(event: Measure) -> bool:
    return event.name == "fate" and event.values.get("accuracy") is not None


def _place(id: int, individual: Individual) -> tuple[float, float]:
    """Generation, spread a little so that networks of equal accuracy stay apart, and accuracy."""
    spread = (id * 0.37) % 1 - 0.5
    generation = individual["generation"]
    return generation + (0.5 * spread if generation else 0.0), 100 * individual["accuracy"]


def ancestors(individuals: Mapping[int, Individual], id: int | None) -> set[int]:
    """A network and all it descends from."""
    line: set[int] = set()
    while id is not None and id in individuals and id not in line:
        line.add(id)
        id = individuals[id]["parent"]
    return line


SYMBOLS = {"^": "triangle-up", "v": "triangle-down", "o": "circle", "s": "square"}


def family_graph(record: RunRecord) -> list[Graph]:
    """The family tree as far as it has grown, with the networks that are still in the search."""
    individuals = _alive(record) | _individuals(record)
    if not individuals:
        return []
    winner = next((id for id, individual in individuals.items() if individual["fate"] == "won"), None)
    line = ancestors(individuals, winner)
    kinds = {op.replace("_", " "): (colour, SYMBOLS[marker]) for op, colour, marker in OPERATIONS}
    graph = Graph("Family tree", TREE_CAPTION, kinds, axes=("generation", "validation accuracy, %"))
    for id, one in individuals.items():
        kind = str(one["op"]).replace("_", " ")
        told = f"network {id}: {kind}, {percent(one['accuracy'])}, {size(one.get('params'))} parameters, {one['fate']}"
        graph.nodes[str(id)] = Node(*_place(id, one), kind, told)
    graph.links.extend(
        (str(one["parent"]), str(id), id in line and one["parent"] in line)
        for id, one in individuals.items()
        if one["parent"] in individuals
    )
    return [graph]


def _alive(record: RunRecord) -> dict[int, Individual]:
    """The networks that were made, by id, as they were last validated; those that left tell more in their fate."""
    accuracies = {line.event.network: line.event.val_accuracy for line in record.epochs}
    made = {0: {"parent": None, "op": "start", "generation": 0}} | {
        line.event.network: {**line.event.detail, "op": line.event.op, "params": line.event.params}
        for line in record.of(Edit)[-MOST_NETWORKS:]
        if "generation" in line.event.detail
    }
    return {
        id: {"parent": None, **one, "accuracy": accuracies[id], "fate": "in the search"}
        for id, one in made.items()
        if accuracies.get(id) is not None
    }


def lineage(record: RunRecord) -> Drawing | None:
    """Accuracy and size of the winner's line of ancestors (as in Figure 6 of the paper)."""
    history, edits = record.method.get("history"), record.method.get("modifications")
    if not history or edits is None or not history["epochs"]:
        return None

    def paint(figure: Any) -> None:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(1.2, 1))
        for key, colour, label in (("accuracy", SERIES[1], "training"), ("val_accuracy", SERIES[0], "validation")):
            pairs = zip(history["epochs"], history[key], strict=True)
            plot(above, [(x, 100 * y) for x, y in pairs if y is not None], ".-", ms=4, color=colour, label=label)
        above.set_ylabel("accuracy, %")
        above.legend()
        sizes = _sizes(record, edits, max(history["epochs"]))
        below.step([x for x, _ in sizes], [y for _, y in sizes], where="post", color=INK)
        _operations(below, [edit for edit in edits if edit["op"] != "identity"][:MOST_LABELS])
        below.set_ylabel("parameters")
        below.set_xlabel("epochs of the winner and its ancestors")
        below.margins(y=0.35)
        readable_ticks(below.yaxis, size)

    return draw("ectonas-lineage", "The winner's line of descent", LINEAGE_CAPTION, 4.6, paint)


def _operations(axes: Any, edits: list[dict[str, Any]]) -> None:
    for index, edit in enumerate(edits):
        place = (edit["epochs"], edit["params"])
        axes.plot(*place, "o", ms=4, color=SERIES[4])
        axes.annotate(
            edit["op"].replace("_", " "),
            place,
            (0, 12 if index % 2 == 0 else -14),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=7.5,
            color=MUTED,
        )


MODES = (("greedy", "greedy ECToNAS", SERIES[0]), ("baseline", "baseline", MUTED), ("random", "random mode", SERIES[1]))
MOST_PANELS = 6
SMOOTHED = 3
"""Epochs of the running mean (authors' notebook)."""

CURVES_CAPTION = (
    "Mean validation accuracy over all runs and start topologies (running mean of three epochs). As in the paper, "
    "curves of the baseline and of random mode end, for each start topology, after the epochs that greedy winners got"
    " there on average; so a mean jumps where the runs of one topology end."
)
COMPRESSION_CAPTION = (
    "One run that is not greedy: the winner's line of ancestors against the start network trained alone (mean of the "
    "baselines of its topology, as far as the winner was trained), its parameters, and the operations that made it."
)


def mean_curves(records: Sequence[RunRecord]) -> Drawing | None:
    """Validation accuracy of greedy search, baseline and random mode over epochs, by data set (Figure 5)."""
    sets: dict[str, dict[str, list[RunRecord]]] = {}
    for record in records:
        if mode := _mode(record):
            sets.setdefault(record.result.get("data", ""), {}).setdefault(mode, []).append(record)
    shown = [(data, modes) for data, modes in sets.items() if len(modes) > 1][:MOST_PANELS]
    if not shown:
        return None

    def paint(figure: Any) -> None:
        columns = min(3, len(shown))
        panels = figure.subplots(-(-len(shown) // columns), columns, squeeze=False).flat
        for panel, (data, modes) in zip(panels, shown, strict=False):
            limits = _winner_epochs(modes.get("greedy", []))
            for mode, label, colour in MODES:
                runs = modes.get(mode, [])
                curves = [_curve(run, None if mode == "greedy" else limits.get(topology(run))) for run in runs]
                _plot_mean(panel, curves, color=colour, label=f"{label} (n = {len(runs)})")
            panel.set_title(short(data, 30))
            panel.set_xlabel("epochs of the winner and its ancestors")
            panel.legend()
            whole_ticks(panel.xaxis, 5)
        for panel in list(panels):
            panel.axis("off")
        figure.axes[0].set_ylabel("validation accuracy, %")

    height = 1.0 + 2.4 * -(-len(shown) // 3)
    return draw("ectonas-figure5", "Accuracy over epochs (Figure 5)", CURVES_CAPTION, height, paint)


def _mode(record: RunRecord) -> str | None:
    algo = record.result.get("algo")
    if algo == "ectonas_baseline":
        return "baseline"
    if record.value("algo.name") != "ectonas":
        return None
    if record.value("algo.random_mode"):
        return "random"
    return "greedy" if number(record.value("algo.alpha")) == 1.0 else None


def topology(record: RunRecord) -> str:
    """The start network's name."""
    return str(record.value("algo.topology") or record.value("network.topology"))


def _winner_epochs(runs: Sequence[RunRecord]) -> dict[str, float]:
    """Mean epochs of winners by start topology."""
    found: dict[str, list[float]] = {}
    for run in runs:
        if (epochs := number(run.result.get("winner_epochs"))) is not None:
            found.setdefault(topology(run), []).append(epochs)
    return {name: sum(epochs) / len(epochs) for name, epochs in found.items()}


def _curve(record: RunRecord, limit: float | None = None) -> dict[int, float]:
    """Validation accuracy in percent at each whole epoch up to a limit: the last one measured before its end."""
    history = record.method.get("history")
    if isinstance(history, dict):
        points = list(zip(history["epochs"], history["val_accuracy"], strict=True))
    else:
        points = [(line.event.epoch + 1, line.event.val_accuracy) for line in record.epochs]
    kept = finite((at, value) for at, value in points if limit is None or at <= limit)
    if not kept:
        return {}
    last = math.ceil(max(at for at, _ in kept))
    curve, values = dict[int, float](), sorted(kept)
    for epoch in range(1, min(last, MOST_EPOCHS) + 1):
        before = [value for at, value in values if at <= epoch]
        if before:
            curve[epoch] = 100 * before[-1]
    return curve


MOST_EPOCHS = 2000


def _mean(curves: Sequence[Mapping[int, float]]) -> list[tuple[float, float]]:
    """Mean at each epoch over the curves that come so far, smoothed."""
    epochs = sorted({epoch for curve in curves for epoch in curve})
    means = []
    for epoch in epochs:
        values = [curve[epoch] for curve in curves if epoch in curve]
        means.append(sum(values) / len(values))
    windows = [means[max(0, i + 1 - SMOOTHED) : i + 1] for i in range(len(means))]
    return [(float(epoch), sum(window) / len(window)) for epoch, window in zip(epochs, windows, strict=True)]


def _plot_mean(axes: Any, curves: Sequence[Mapping[int, float]], **style: Any) -> None:
    """The mean of curves; a dot where it is of one epoch."""
    points = _mean(curves)
    plot(axes, points, "." if len(points) == 1 else "-", **style)


def compression(records: Sequence[RunRecord]) -> Drawing | None:
    """One run that is not greedy against its baseline, with its parameters and modifications (Figure 6)."""
    searches = [run for run in records if run.value("algo.name") == "ectonas" and run.method.get("history")]
    chosen = [run for run in searches if (number(run.value("algo.alpha")) or 0.0) < 1 and not _mode(run)]
    if not chosen:
        return None
    run = chosen[0]
    history, edits = run.method["history"], run.method.get("modifications") or []
    if not history["epochs"]:
        return None
    alike = [one for one in records if _mode(one) == "baseline" and topology(one) == topology(run)]
    baselines = [one for one in alike if one.result.get("data") == run.result.get("data")]
    if not baselines:
        return None

    def paint(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1, 1.2))
        curve = [(at, 100 * y) for at, y in finite(zip(history["epochs"], history["val_accuracy"], strict=True))]
        plot(left, curve, ".-", ms=4, color=SERIES[0], label="ECToNAS")
        limit = max(history["epochs"])
        naive = [_curve(one, limit) for one in baselines]
        _plot_mean(left, naive, color=MUTED, label=f"baseline (n = {len(baselines)})")
        left.set_ylabel("validation accuracy, %")
        left.legend(loc="lower right")
        sizes = _sizes(run, edits, limit)
        right.step([x for x, _ in sizes], [y for _, y in sizes], where="post", color=INK)
        _operations(right, [edit for edit in edits if edit["op"] != "identity"][:MOST_LABELS])
        right.set_ylabel("parameters")
        right.margins(y=0.35)
        readable_ticks(right.yaxis, size)
        for panel in (left, right):
            panel.set_xlabel("epochs of the winner and its ancestors")

    title = f"A run at alpha {run.value('algo.alpha')} from {short(topology(run), 30)} (Figure 6)"
    return draw("ectonas-figure6", title, COMPRESSION_CAPTION, 3.6, paint)


def _sizes(run: RunRecord, edits: Sequence[Mapping[str, Any]], end: float) -> list[tuple[float, float]]:
    """Parameters of the winner's line of ancestors from epoch to epoch."""
    sizes = [(0.0, run.method["start_params"]), *((edit["epochs"], edit["params"]) for edit in edits)]
    return [*sizes, (end, sizes[-1][1])]
