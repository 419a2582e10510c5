"""The figures of CONet's reports and of its paper, drawn from runs."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from growsearch.events import Measure
from growsearch.reports.numbers import size
from growsearch.reports.paper import published
from growsearch.reports.plot import GRID, MUTED, SERIES, Drawing, draw, plot, readable_ticks, whole_ticks
from growsearch.run_folder.plain import number, short
from growsearch.run_folder.read import RunRecord

MOST_NAMED = 48
"""Variables whose rows are all named; of more, every n-th row does."""

CHANNEL_CAPTION = (
    "Channel count of every variable (a row, named after the first of the layers that must agree in width) in every "
    "trial (a column) and in the network found, and the parameters of each trial's network."
)
RANK_CAPTION = (
    "What decides whether a variable (a row) widens or narrows after a trial (a column): how steeply the rank of its "
    "weights rose over the trial's epochs, and how badly its weights are conditioned. Right, averaged over all "
    "convolutions after each epoch of the search: rank over channels (solid), and AdaS's knowledge gain (dashed), the"
    " sum of the kept singular values over the largest and the channels."
)

Trial = dict[str, dict[str, Any]]
"""Measurements of each variable after a trial."""


def channels(record: RunRecord) -> Drawing | None:
    """Channel counts of every layer over the trials."""
    trials = _trials(record)
    if not trials:
        return None
    names = list(trials[0])
    rows = [[*(_of(trial, name, "size") for trial in trials), _of(trials[-1], name, "next")] for name in names]

    def paint(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(2.2, 1))
        _heat_map(figure, left, rows, "channels", "viridis")
        _name_rows(left, names)
        columns = range(0, len(trials), 1 + len(trials) // 16)
        left.set_xticks([*columns, len(trials)], [*map(str, columns), "found"])
        left.set_xlabel("trial")
        sizes = {line.event.network: line.event.params for line in record.epochs if line.event.phase == "search"}
        plot(right, enumerate(sizes.values()), ".-", color=SERIES[0])
        right.set_title("parameters")
        right.set_xlabel("trial")
        whole_ticks(right.xaxis, 5)
        readable_ticks(right.yaxis, size)

    return draw("conet-channels", "Channel evolution", CHANNEL_CAPTION, _height(names), paint)


def ranks(record: RunRecord) -> Drawing | None:
    """Rank slope and condition of every layer over the trials, and the knowledge gain."""
    trials = _trials(record)
    if not trials:
        return None
    names = list(trials[0])

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, 3)
        for panel, key, title in ((panels[0], "slope", "rank slope"), (panels[1], "condition", "condition")):
            _heat_map(figure, panel, [[_of(trial, name, key) for trial in trials] for name in names], "", "cividis")
            panel.set_title(title)
            panel.set_xlabel("trial")
        _name_rows(panels[0], names)
        panels[1].set_yticks([])
        for key, style, colour, label in (
            ("rank_in", "-", SERIES[0], "rank, input side"),
            ("rank_out", "-", SERIES[1], "rank, output side"),
            ("gain_in", "--", SERIES[0], "gain, input side"),
            ("gain_out", "--", SERIES[1], "gain, output side"),
        ):
            found = [(line.at, line.event.values.get(key)) for line in record.of(Measure, "layers")]
            means = [(at, sum(values) / len(values)) for at, values in found if values]
            plot(panels[2], means, style, color=colour, label=label)
        panels[2].set_title("mean rank, gain")
        panels[2].set_xlabel("epoch")
        panels[2].set_ylim(0, 1.5 * panels[2].get_ylim()[1])
        panels[2].legend(fontsize=7, loc="upper left")
        whole_ticks(panels[2].xaxis, 5)

    return draw("conet-ranks", "Ranks", RANK_CAPTION, _height(names), paint)


def _trials(record: RunRecord) -> list[Trial]:
    return [line.event.values for line in record.of(Measure, "variables") if line.event.values]


def _of(trial: Trial, name: str, key: str) -> float:
    found = number(trial[name].get(key))
    return float("nan") if found is None else found


def _height(names: Sequence[str]) -> float:
    """Inches that give every named row its line."""
    return max(3.4, 1.0 + 0.13 * min(len(names), MOST_NAMED))


def _name_rows(axes: Any, names: Sequence[str]) -> None:
    rows = range(0, len(names), -(-len(names) // MOST_NAMED))
    axes.set_yticks(rows, [short(names[row], 40) for row in rows], fontsize=6.5)


def _heat_map(figure: Any, axes: Any, rows: list[list[float]], label: str, colours: str) -> None:
    image = axes.imshow(rows, aspect="auto", interpolation="none", cmap=colours)
    axes.grid(visible=False)
    whole_ticks(axes.xaxis)
    figure.colorbar(image, ax=axes, label=label, shrink=0.9)


LAYER = 11
"""The convolution that Figure 1b looks at, the twelfth; the last one of smaller networks."""

CLOSE_UP = 60
"""Epochs of the close-up in Figure 1b."""

RANK_ACCURACY_CAPTION = (
    "Rank of one convolution's weights (mean of both sides, rank over channels) and the accuracy of its network, "
    "after each epoch of the first trial; thin: all other convolutions. Accuracy is on validation images where there "
    "are any (data.val_from=test makes the test images such), else on training images. Right: the first 60 epochs. "
    "The paper trains 250 epochs: algo.trials=1 algo.search.epochs=250."
)
SPECTRA_CAPTION = (
    "Singular values of one convolution's weights, output side, after the first and the last epoch of the first "
    "trial: as they are, and of the low-rank part that EVBMF leaves."
)
EVOLUTION_CAPTION = (
    "Channel counts of the last cell's (or stage's) variables over the trials, and in the network found."
)
SLOPES_CAPTION = (
    "Rank average of one channel variable over the epochs of the first trial, by the width that its network starts "
    "with, and the mean rank slope of all variables against that width; means over runs of a width. "
    "To vary it: algo.start_channels=..., algo.trials=1."
)
SIZE_CAPTION = (
    "Test accuracy against parameters by network: runs here in colour (lines through deltas, diamonds: baselines, "
    "dashed: compound scaling), published results likewise in grey. Published accuracies are best test epochs; ours "
    "are the last."
)


def rank_and_accuracy(record: RunRecord) -> Drawing | None:
    """Rank of one convolution and test accuracy over the epochs (Figure 1b)."""
    layers = [line.event.values for line in record.of(Measure, "layers") if line.event.network == 0]
    ranks = [_mean_sides(values) for values in layers]
    if len(ranks) < 2 or not ranks[0]:
        return None
    chosen = min(LAYER, len(ranks[0]) - 1)
    epochs = [line.event for line in record.epochs if line.event.network == 0 and line.event.phase == "search"]
    validated = any(event.val_accuracy is not None for event in epochs)
    accuracies = [event.val_accuracy if validated else event.train_accuracy for event in epochs]

    def paint(figure: Any) -> None:
        whole, close = figure.subplots(1, 2, width_ratios=(1.6, 1))
        for panel, end in ((whole, len(ranks)), (close, min(CLOSE_UP, len(ranks)))):
            for layer in range(len(ranks[0])):
                curve = [(epoch + 1, rank[layer]) for epoch, rank in enumerate(ranks[:end]) if layer < len(rank)]
                if layer != chosen:
                    plot(panel, curve, color=GRID, linewidth=0.6, zorder=0)
            curve = [(epoch + 1, rank[chosen]) for epoch, rank in enumerate(ranks[:end])]
            plot(panel, curve, color=SERIES[0], label=f"rank of convolution {chosen + 1}")
            shown = [(epoch + 1, accuracy) for epoch, accuracy in enumerate(accuracies[:end])]
            plot(panel, shown, color=SERIES[1], label=f"{'validation' if validated else 'training'} accuracy")
            panel.set_xlabel("epoch")
            panel.set_ylim(-0.02, 1.02)
            whole_ticks(panel.xaxis, 6)
        whole.set_ylabel("rank over channels; accuracy")
        whole.legend(loc="upper left")
        close.set_title(f"the first {min(CLOSE_UP, len(ranks))}")

    return draw("conet-figure1b", "Rank and accuracy (Figure 1b)", RANK_ACCURACY_CAPTION, 3.2, paint)


def _mean_sides(values: Mapping[str, Any]) -> list[float]:
    """Rank of every convolution, mean of input and output side."""
    pairs = zip(values.get("rank_in") or [], values.get("rank_out") or [], strict=True)
    return [(one + other) / 2 for one, other in pairs]


def spectra(record: RunRecord) -> Drawing | None:
    """Singular values of a convolution after the first and the last epoch of a trial (Figure 2)."""
    measured = [line.event for line in record.of(Measure, "spectrum") if line.event.network == 0]
    if not measured:
        return None

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(measured), sharey=True, squeeze=False)[0]
        for panel, event in zip(panels, measured, strict=True):
            for key, colour, mark, label in (
                ("observed", MUTED, ".-", "weights"),
                ("low_rank", SERIES[0], "o-", f"low-rank part, rank {event.values['rank']}"),
            ):
                points = [(index + 1, value) for index, value in enumerate(event.values[key])]
                plot(panel, points, mark, ms=3.5, color=colour, label=label)
            panel.set_title(f"{short(event.values['layer'], 60)}, epoch {event.epoch + 1}")
            panel.set_xlabel("singular value")
            panel.legend()
            whole_ticks(panel.xaxis, 6)

    return draw("conet-figure2", "Spectra of a convolution (Figure 2)", SPECTRA_CAPTION, 3.0, paint)


def evolution(record: RunRecord) -> Drawing | None:
    """Channel counts of the last cell over the trials (Figure 5)."""
    trials = _trials(record)
    names = _last_cell(list(trials[0])) if trials else []
    if not names:
        return None

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for index, name in enumerate(names):
            sizes = [*(_of(trial, name, "size") for trial in trials), _of(trials[-1], name, "next")]
            style = ("-", "--", ":")[index // len(SERIES) % 3]
            plot(axes, enumerate(sizes), style, color=SERIES[index % len(SERIES)], label=short(name, 40))
        axes.set_xlabel("trial")
        axes.set_ylabel("channels")
        whole_ticks(axes.xaxis)
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), fontsize=7)

    return draw("conet-figure5", "Sizes of the last cell over the trials (Figure 5)", EVOLUTION_CAPTION, 3.4, paint)


def _last_cell(names: Sequence[str]) -> list[str]:
    """Variables of the last numbered part of the network that has several (cells.6, say); at most MOST_NAMED."""
    parts: dict[tuple[str, int], list[str]] = {}
    for name in names:
        if match := re.match(r"(\w+)\.(\d+)\.", name):
            parts.setdefault((match[1], int(match[2])), []).append(name)
    heads = Counter(head for head, _ in parts)
    several = [(heads[head], place, found) for (head, place), found in parts.items() if len(found) > 1]
    return (max(several)[2] if several else list(names))[:MOST_NAMED]


def slopes_by_width(records: Sequence[RunRecord]) -> Drawing | None:
    """Rank averages of a variable for several starting widths, and how slopes fall with width (Figure 3)."""
    firsts = [trials[0] for record in records if record.value("algo.name") == "conet" and (trials := _trials(record))]
    networks: dict[tuple[str, ...], list[Trial]] = {}
    for trial in firsts:
        networks.setdefault(tuple(trial), []).append(trial)
    names, alike = max(networks.items(), key=lambda item: len(_by_width(item[1], item[0])), default=((), []))
    widths = _by_width(alike, names)
    if len(widths) < 2:
        return None
    steepest = max(names, key=lambda name: max(_of(trial, name, "slope") for trial in alike))

    def paint(figure: Any) -> None:
        left, right = figure.subplots(1, 2, width_ratios=(1.5, 1))
        for index, trials in enumerate(widths.values()):
            curves = [trial[steepest].get("curve") or [] for trial in trials]
            means = map(fmean, zip(*curves, strict=False))
            label = f"{_of(trials[0], steepest, 'size'):g} channels (n = {len(trials)})"
            plot(left, enumerate(means, start=1), ".-", color=SERIES[index % len(SERIES)], label=label)
        left.set_title(short(steepest, 60))
        left.set_xlabel("epoch")
        left.set_ylabel("rank average")
        left.legend()
        whole_ticks(left.xaxis, 6)
        slopes = [(at, fmean(_mean_of(one, names, "slope") for one in trials)) for at, trials in widths.items()]
        plot(right, slopes, "o-", color=SERIES[0])
        right.set_title("mean rank slope of all variables")
        right.set_xlabel("mean channels")

    return draw("conet-figure3", "Rank slopes by starting width (Figure 3)", SLOPES_CAPTION, 3.2, paint)


def _by_width(trials: Sequence[Trial], names: Sequence[str]) -> dict[float, list[Trial]]:
    """Trials of one network by the mean of its sizes, which rises."""
    widths: dict[float, list[Trial]] = {}
    for trial in sorted(trials, key=lambda trial: _mean_of(trial, names, "size")):
        widths.setdefault(_mean_of(trial, names, "size"), []).append(trial)
    return widths


def _mean_of(trial: Trial, names: Sequence[str], key: str) -> float:
    values = [value for name in names if not math.isnan(value := _of(trial, name, key))]
    return sum(values) / len(values) if values else float("nan")


RESNET = "resnet_channels"
"""The family of ResNet34."""

KINDS = {"delta": ("o", "-"), "baseline": ("D", ""), "scaled": ("v", "--")}
"""Mark and line of searches by delta, baselines and compound scaling."""

Sized = dict[tuple[str, str], list[tuple[float, float]]]
"""By model and one of :data:`KINDS`: (parameters, accuracy in percent)."""


def accuracy_by_size(records: Sequence[RunRecord]) -> Drawing | None:
    """Test accuracy against parameters: searches by delta, baselines and compound scaling (Figure 6)."""
    sets: dict[str, Sized] = {}
    for (data, model, kind, _), points in _repeated(records).items():
        means = tuple(sum(values) / len(values) for values in zip(*points, strict=True))
        sets.setdefault(data, {}).setdefault((model, kind), []).append((means[0], means[1]))
    shown = sorted(data for data, points in sets.items() if sum(map(len, points.values())) > 1)[:3]
    if not shown:
        return None

    def paint(figure: Any) -> None:
        panels = figure.subplots(1, len(shown), squeeze=False)[0]
        for panel, data in zip(panels, shown, strict=True):
            panel.set_xscale("log")
            for (_, kind), points in _published_sizes(data).items():
                mark, line = KINDS[kind]
                plot(panel, sorted(points), mark + line, color=GRID, mec=MUTED, mfc="none", ms=4, linewidth=0.8)
            models = sorted({model for model, _ in sets[data]})
            for (model, kind), points in sorted(sets[data].items()):
                mark, line = KINDS[kind]
                colour = SERIES[models.index(model) % len(SERIES)]
                plot(panel, sorted(points), mark + line, color=colour, ms=6, label=f"{model}, {kind}")
            panel.set_title(short(data, 40))
            panel.set_xlabel("parameters")
            readable_ticks(panel.xaxis, size)
            panel.legend()
        panels[0].set_ylabel("test accuracy, %")

    return draw("conet-figure6", "Accuracy against parameters (Figure 6)", SIZE_CAPTION, 3.8, paint)


def _repeated(records: Sequence[RunRecord]) -> dict[tuple[str, str, str, str], list[tuple[float, float]]]:
    """Points of trained networks by data set, model, kind and delta or scale, so that seeds are taken together."""
    found: dict[tuple[str, str, str, str], list[tuple[float, float]]] = {}
    for record in records:
        if number(record.value("algo.final.epochs")) != 0 and (place := _sized(record)) is not None:
            model, kind, point = place
            step = str(record.value("algo.delta" if kind == "delta" else "network.scale"))
            found.setdefault((record.result.get("data", ""), model, kind, step), []).append(point)
    return found


def _sized(record: RunRecord) -> tuple[str, str, tuple[float, float]] | None:
    """Model, kind and (parameters, accuracy in percent) of a search or a baseline of CONet."""
    params, accuracy = number(record.result.get("params_paper")), number(record.result.get("test_accuracy"))
    if params is None:
        params = number(record.result.get("params"))
    if params is None or accuracy is None:
        return None
    family, cells = record.value("network.family"), record.value("network.cells")
    plus = "+" if record.value("network.genotype") == "darts_plus" else ""
    model = f"DARTS{plus}{cells}" if family == "channel_darts" else "ResNet34" if family == RESNET else str(family)
    if record.value("algo.name") == "conet":
        kind = "delta"
    elif record.result.get("algo") == "conet_baseline":
        kind = "baseline" if number(record.value("network.scale")) in (None, 1.0) else "scaled"
    else:
        return None
    return short(model, 30), kind, (params, 100 * accuracy)


def _published_sizes(data: str) -> Sized:
    prefix = {"cifar10": "c10", "cifar100": "c100"}.get(data)
    table, found = published(__package__)["table3_cifar"], Sized()
    for values in table["rows"] if prefix else []:
        row = dict(zip(table["columns"], values, strict=True))
        accuracy, params = number(row[f"{prefix}_top1"]), number(row[f"{prefix}_params_M"])
        if accuracy is not None and params is not None:
            variant = row["variant"]
            kind = "baseline" if variant == "baseline" else "scaled" if variant.startswith("phi") else "delta"
            found.setdefault((row["model"], kind), []).append((1e6 * params, accuracy))
    return found
