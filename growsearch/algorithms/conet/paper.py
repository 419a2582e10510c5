"""The figures and tables of CONet's reports, and the results that its paper prints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from growsearch.events import Measure
from growsearch.reports.numbers import size
from growsearch.reports.paper import DAY, LiteraturePoint, Paper, published
from growsearch.reports.plot import SERIES, Drawing, draw, plot, readable_ticks, whole_ticks
from growsearch.reports.tables.layout import QUOTED, Column, Published, Row, Table
from growsearch.run_folder.plain import lookup, number, short
from growsearch.run_folder.read import RunRecord

MOST_NAMED = 48
"""Variables whose rows all bear their names; of more, every n-th row does."""

CHANNEL_CAPTION = (
    "Channel count of every variable (a row, named after the first of the layers that must agree in width) in every "
    "trial (a column) and in the network found, and the parameters of each trial's network."
)
RANK_CAPTION = (
    "What decides whether a variable (a row) widens or narrows after a trial (a column): how steeply the rank of its "
    "weights rose over the trial's epochs, and how badly its weights are conditioned. Right: rank divided by channels, "
    "averaged over all convolutions (knowledge gain), after each epoch of the search."
)

Trial = dict[str, dict[str, Any]]
"""What was measured of each variable after a trial."""


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
        for key, colour, label in (("gain_in", SERIES[0], "input side"), ("gain_out", SERIES[1], "output side")):
            gains = [(line.at, line.event.values[key]) for line in record.of(Measure, "layers")]
            means = [(at, sum(gain) / len(gain)) for at, gain in gains if gain]
            plot(panels[2], means, ".-" if len(means) < 30 else "-", color=colour, label=label)
        panels[2].set_title("mean knowledge gain")
        panels[2].set_xlabel("epoch")
        panels[2].legend()
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


MODELS: dict[str, dict[str, Any]] = {
    "ResNet34": {"network.family": "resnet_channels"},
    "DARTS7": {"network.cells": 7, "network.genotype": "darts_v2"},
    "DARTS+7": {"network.cells": 7, "network.genotype": "darts_plus"},
    "DARTS14": {"network.cells": 14, "network.genotype": "darts_v2"},
    "DARTS+14": {"network.cells": 14, "network.genotype": "darts_plus"},
}
FILES = {name: name.lower().replace("+", "plus") for name in MODELS}
SEARCH = ("conet", "conet_original")
RETRAINED = ("conet_retrained", "fixed")
UNSIZED = {"DARTS-7": "DARTS7", "DARTS-14": "DARTS14"}
"""Baselines of Table 4 that are networks of ours."""

CIFAR = ("cifar10", "cifar100")


def table2() -> Table:
    """Table 2: epochs per trial and the factor's scale."""
    table = published(__package__)["table2_ablation"]
    columns = [Column("params M", "params_paper", 1e-6), Column("test acc %", "test_accuracy", 100)]
    match = {"algo": SEARCH, "algo.delta": 0.01, **MODELS["DARTS7"]}
    usual = Published(20, never=tuple(row["epochs"] for row in table["epochs_per_trial"] if not row.get("default")))
    rows = [
        Row(
            f"{row['epochs']} epochs a trial",
            [row["params_M"], row["acc"]],
            "conet/table2_epochs",
            "cifar100",
            {**match, "algo.search.epochs": usual if row.get("default") else row["epochs"], "algo.phi": 0.2},
        )
        for row in table["epochs_per_trial"]
    ]
    rows += [
        Row(
            f"factor scale {row['phi']}",
            [row["params_M"], row["acc"]],
            "conet/table2_phi",
            "cifar100",
            {**match, "algo.phi": row["phi"], "algo.search.epochs": usual},
        )
        for row in table["factor_scale"]
    ]
    return Table("CONet, Table 2", columns, rows, "DARTS-7, delta 0.01; the default stands in both halves.")


def table3() -> Table:
    """Table 3: found networks, baselines and compound scaling on CIFAR."""
    published_ = published(__package__)
    table = published_["table3_cifar"]
    columns = [
        Column("top-1 %, best test epoch", "best", 100),
        Column("top-1 %, last", "test_accuracy", 100),
        Column("params M", "params_paper", 1e-6),
        Column("search GPU days", "search_seconds", 1 / DAY, 1),
    ]
    rows, retrained = list[Row](), list[Row]()
    for values in table["rows"]:
        row = dict(zip(table["columns"], values, strict=True))
        experiment, match = _variant(row["model"], row["variant"], published_)
        kind = f"{row['model']} {_title(row['variant'], published_)}"
        note = "0.223 and 0.246 M here" if kind == "DARTS7 baseline" else ""
        for data, key in (("cifar10", "c10"), ("cifar100", "c100")):
            top1 = None if row[f"{key}_top1"] is None else [row[f"{key}_top1"], row[f"{key}_std"]]
            printed = [top1, None, row[f"{key}_params_M"], row[f"{key}_cost"]]
            rows.append(Row(kind, printed, experiment, data, match, view=_trained, note=note))
            if row["variant"] in published_["deltas"]:
                own = "_resnet34" if row["model"] == "ResNet34" else ""
                found = {"algo": RETRAINED, **{f"source.{key}": value for key, value in match.items()}}
                free, title = ("network.changes",), f"{kind}, found here and retrained"
                retrained.append(
                    Row(title, [None] * 4, f"conet/retrained{own}", data, found, free, _trained, extra=True)
                )
    note = "The paper prints best test epochs: chosen on the test images, so above what a network reaches on new ones."
    return Table("CONet, Table 3", columns, rows + retrained, note)


def _variant(model: str, variant: str, table: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if variant in table["deltas"]:
        return f"conet/table3_{FILES[model]}", {"algo": SEARCH, "algo.delta": table["deltas"][variant], **MODELS[model]}
    baseline = {"algo": "conet_baseline", **MODELS[model]}
    if variant == "baseline":
        return f"conet/table3_baseline_{FILES[model]}", {**baseline, "network.scale": (1, None)}
    return "conet/table3_compound", {**baseline, "network.scale": table["compound_factors"][variant]}


def _title(variant: str, table: Mapping[str, Any]) -> str:
    return f"delta {table['deltas'][variant]}" if variant in table["deltas"] else variant


def _trained(run: RunRecord) -> list[Mapping[str, Any]]:
    """A result with its best test epoch, where every epoch was tested; without a search it has no search time."""
    values: dict[str, Any] = {**run.result, "best": _best_test_epoch(run)}
    if run.result.get("algo") not in SEARCH:
        values["search_seconds"] = None
    return [values]


def _best_test_epoch(run: RunRecord) -> Any:
    """The highest test accuracy of all epochs of the last training; with ``data.val_from=test`` the kept one's."""
    if run.value("data.val_from") == "test":
        return run.result.get("test_accuracy")
    searched = run.result.get("algo") in SEARCH
    training, key = ("algo.final", "test_accuracies") if searched else ("algo.training", "last_test_accuracies")
    tested, epochs = lookup(run.method, key), number(run.value(f"{training}.epochs"))
    whole = isinstance(tested, list) and 0 < len(tested) == epochs
    return max((one for value in tested if (one := number(value)) is not None), default=None) if whole else None


def table4() -> Table:
    """Table 4: networks found on CIFAR, trained on ImageNet."""
    table, deltas = published(__package__)["table4_imagenet"], published(__package__)["deltas"]
    columns = [
        Column("top-1 %", "test_accuracy", 100, 1),
        Column("top-5 %", "test_top5", 100, 1),
        Column("params M", "params_paper", 1e-6, 1),
        Column("search GPU days", "source_seconds", 1 / DAY, 1),
    ]
    rows = []
    for row in table["rows"]:
        if row[0] not in UNSIZED:
            rows.append(Row(f"{row[0]} (searched on {row[5]})", row[1:5], QUOTED))
            continue
        model = UNSIZED[row[0]]
        match = {"algo": "conet_imagenet_baseline", **MODELS[model]}
        experiment = f"conet/table4_baseline_{FILES[model]}"
        rows.append(Row(f"{row[0]}, as published", row[1:5], experiment, "imagenet", match, view=_unsearched))
    for row in table["conet_rows"]:
        model, delta = row[0].split()
        experiment = "conet/table4_decay" if "0.97" in row[10] else "conet/table4_step"
        match = {
            "algo": "conet_imagenet",
            "source.algo": SEARCH,
            "source.algo.delta": deltas[delta],
            "source.data": Published(row[5].lower(), never=tuple(name for name in CIFAR if name != row[5].lower())),
            **{f"source.{name}": value for name, value in MODELS[model].items()},
        }
        kind = f"{model} delta {deltas[delta]} (searched on {row[5]})"
        rows.append(Row(kind, row[1:5], experiment, "imagenet", match, ("network.changes",), _with_source))
    note = "Images are cropped at random scales and their colours jittered, as in the paper."
    return Table("CONet, Table 4", columns, rows, note)


def _unsearched(run: RunRecord) -> list[Mapping[str, Any]]:
    return [{**run.result, "source_seconds": None}]


def _with_source(run: RunRecord) -> list[Mapping[str, Any]]:
    return [{**run.result, "source_seconds": run.value("source.search_seconds")}]


def points(data: str) -> Iterator[LiteraturePoint]:
    """The paper's networks."""
    prefix = {"cifar10": "c10", "cifar100": "c100"}.get(data)
    table = published(__package__)["table3_cifar"]
    for values in table["rows"] if prefix else []:
        row = dict(zip(table["columns"], values, strict=True))
        accuracy, params, days = (number(row[f"{prefix}_{key}"]) for key in ("top1", "params_M", "cost"))
        if accuracy is not None and row["variant"] != "baseline":
            yield LiteraturePoint(
                "CONet",
                f"{row['model']} {row['variant']}",
                accuracy / 100,
                None if params is None else 1e6 * params,
                None,
                None if days is None else DAY * days,
            )


PAPER = Paper(
    figures={"conet-channels": channels, "conet-ranks": ranks},
    tables={"conet-2": table2, "conet-3": table3, "conet-4": table4},
    points=points,
)
