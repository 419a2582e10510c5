"""The tables of CONet's paper, our runs beside what it prints."""

from collections.abc import Iterator, Mapping
from typing import Any

from growsearch.algorithms.conet.figures import (
    accuracy_by_size,
    channels,
    evolution,
    rank_and_accuracy,
    ranks,
    slopes_by_width,
    spectra,
)
from growsearch.reports.paper import DAY, LiteraturePoint, Paper, published
from growsearch.reports.tables.layout import QUOTED, Column, Published, Row, Table
from growsearch.run_folder.plain import lookup, number
from growsearch.run_folder.read import RunRecord

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
    figures={
        "conet-channels": channels,
        "conet-ranks": ranks,
        "conet-figure1b": rank_and_accuracy,
        "conet-figure2": spectra,
        "conet-figure5": evolution,
    },
    comparisons={"conet-figure3": slopes_by_width, "conet-figure6": accuracy_by_size},
    tables={"conet-2": table2, "conet-3": table3, "conet-4": table4},
    points=points,
)
