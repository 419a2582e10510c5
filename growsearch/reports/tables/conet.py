"""The tables of CONet's paper."""

from collections.abc import Mapping
from typing import Any

from growsearch.reports.literature import published
from growsearch.reports.tables.layout import QUOTED, Column, Row, Table
from growsearch.reports.tables.tabled_run import TabledRun, lookup

DAY = 86400.0
MODELS: dict[str, dict[str, Any]] = {
    "ResNet34": {"network.family": "resnet_channels"},
    "DARTS7": {"network.cells": 7, "network.genotype": "darts_v2"},
    "DARTS+7": {"network.cells": 7, "network.genotype": "darts_plus"},
    "DARTS14": {"network.cells": 14, "network.genotype": "darts_v2"},
    "DARTS+14": {"network.cells": 14, "network.genotype": "darts_plus"},
}
FILES = {name: name.lower().replace("+", "plus") for name in MODELS}
SEARCH = ("conet", "conet_original")


def table2() -> Table:
    """Table 2: epochs per trial and the factor's scale."""
    table = published("conet")["table2_ablation"]
    columns = [Column("params M", "params_paper", 1e-6), Column("test acc %", "test_accuracy", 100)]
    match = {"algo": SEARCH, "algo.delta": 0.01, **MODELS["DARTS7"]}
    rows = [
        Row(
            f"{row['epochs']} epochs a trial",
            [row["params_M"], row["acc"]],
            "conet/table2_epochs",
            "cifar100",
            {**match, "algo.search.epochs": row["epochs"], "algo.phi": 0.2},
        )
        for row in table["epochs_per_trial"]
    ]
    rows += [
        Row(
            f"factor scale {row['phi']}",
            [row["params_M"], row["acc"]],
            "conet/table2_phi",
            "cifar100",
            {**match, "algo.phi": row["phi"], "algo.search.epochs": 20},
        )
        for row in table["factor_scale"]
    ]
    return Table("CONet, Table 2", columns, rows, "DARTS-7, delta 0.01; the default stands in both halves.")


def table3() -> Table:
    """Table 3: found networks, baselines and compound scaling on CIFAR."""
    published_ = published("conet")
    table = published_["table3_cifar"]
    columns = [
        Column("top-1 %", "accuracy", 100),
        Column("params M", "params_paper", 1e-6),
        Column("search GPU days", "search_seconds", 1 / DAY, 1),
    ]
    rows = []
    for values in table["rows"]:
        row = dict(zip(table["columns"], values, strict=True))
        experiment, match = _variant(row["model"], row["variant"], published_)
        for data, key in (("cifar10", "c10"), ("cifar100", "c100")):
            top1 = None if row[f"{key}_top1"] is None else [row[f"{key}_top1"], row[f"{key}_std"]]
            printed = [top1, row[f"{key}_params_M"], row[f"{key}_cost"]]
            kind = f"{row['model']} {_title(row['variant'], published_)}"
            rows.append(Row(kind, printed, experiment, data, match, view=_trained))
    note = "The paper's accuracies are best test epochs; ours are the last epoch's unless the run is conet_original."
    return Table("CONet, Table 3", columns, rows, note)


def _variant(model: str, variant: str, table: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    if variant in table["deltas"]:
        return f"conet/table3_{FILES[model]}", {"algo": SEARCH, "algo.delta": table["deltas"][variant], **MODELS[model]}
    baseline = {"algo": "conet_baseline", **MODELS[model]}
    if variant == "baseline":
        return f"conet/table3_baseline_{FILES[model]}", {**baseline, "network.scale": (1, None)}
    return "conet/table3_compound", {**baseline, "network.scale": table["compound_factors"][variant]}


def _title(variant: str, table: Mapping[str, Any]) -> str:
    return f"delta {table['deltas'][variant]}" if variant in table["deltas"] else variant


def _trained(run: TabledRun) -> list[Mapping[str, Any]]:
    """A search's result; a baseline has no search, and conet_original picks the best test epoch, as published."""
    values = {**run.result, "accuracy": run.result.get("test_accuracy")}
    if run.result.get("algo") == "conet_baseline":
        values["search_seconds"] = None
    elif run.result.get("algo") == "conet_original":
        values["accuracy"] = lookup(run.result, "method.best_test_accuracy") or values["accuracy"]
    return [values]


def table4() -> Table:
    """Table 4: networks found on CIFAR, trained on ImageNet."""
    table, deltas = published("conet")["table4_imagenet"], published("conet")["deltas"]
    columns = [
        Column("top-1 %", "test_accuracy", 100, 1),
        Column("top-5 %", "test_top5", 100, 1),
        Column("params M", "params_paper", 1e-6, 1),
        Column("search GPU days", "source_seconds", 1 / DAY, 1),
    ]
    rows = [Row(f"{row[0]} (searched on {row[5]})", row[1:5], QUOTED) for row in table["rows"]]
    for row in table["conet_rows"]:
        model, delta = row[0].split()
        experiment = "conet/table4_decay" if "0.97" in row[10] else "conet/table4_step"
        match = {
            "algo": "conet_imagenet",
            "source.algo": SEARCH,
            "source.algo.delta": deltas[delta],
            "source.data": row[5].lower(),
            **{f"source.{name}": value for name, value in MODELS[model].items()},
        }
        kind = f"{model} delta {deltas[delta]} (searched on {row[5]})"
        rows.append(Row(kind, row[1:5], experiment, "imagenet", match, ("network.changes",), _with_source))
    return Table("CONet, Table 4", columns, rows, "The paper also jitters colours and crops at random scales.")


def _with_source(run: TabledRun) -> list[Mapping[str, Any]]:
    return [{**run.result, "source_seconds": run.value("source.search_seconds")}]
