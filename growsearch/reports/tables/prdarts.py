"""The tables of PR-DARTS' paper."""

from collections.abc import Mapping
from typing import Any

from growsearch.reports.literature import published
from growsearch.reports.tables.layout import QUOTED, Column, Row, Table, View
from growsearch.reports.tables.tabled_run import TabledRun, lookup

DAY = 86400.0
CELLS = {"DL1": "DL1", "DL2": "DL2", "DR": "DR", "UR": "UR"}
BASELINES = {
    "NASNet-A": "NASNet-A",
    "DARTS 1st order": "DARTS_V1",
    "DARTS 2nd order": "DARTS_V2",
    "P-DARTS C10": "P-DARTS",
}
SETTINGS = ("DL", "DR", "UR")


def table1() -> Table:
    """Table I: the search's cycles, and those that our runs took."""
    tables = published("prdarts")["table1_search_cycles"]
    options = {"epochs": "epochs", "grace_epochs": "grace epochs", "morphisms": "morphisms", "candidates": "candidates"}
    columns = [Column(title, key, digits=0) for key, title in options.items()]
    rows = [
        Row(
            f"cycle {cycle}",
            [tables[key][index] for key in options],
            "prdarts/search",
            match={"algo": ("prdarts", "prdarts_original")},
            free=("algo.morph_limits", "algo.evaluation."),
            view=_cycle(index),
        )
        for index, cycle in enumerate(tables["cycle"])
    ]
    return Table("PR-DARTS, Table I", columns, rows, "Settings, not results; candidates per edge after the cycle.")


def _cycle(index: int) -> View:
    names = {"epochs": "epochs", "grace_epochs": "grace_epochs", "morphisms": "morphs", "candidates": "keep"}

    def view(run: TabledRun) -> list[Mapping[str, Any]]:
        lists = {key: run.value(f"algo.{name}") for key, name in names.items()}
        return [{key: one[index] for key, one in lists.items() if isinstance(one, list) and index < len(one)}]

    return view


def table2() -> Table:
    """Table II: limits of the morphisms, and how many convolutions they allow."""
    limits = published("prdarts")["table2_morph_limits"]
    initial = limits["non_conv_candidates"]
    columns = [
        Column("kernels", "kernel"),
        Column("dilations", "dilation"),
        Column("convolutions, as printed", "with_pointwise", digits=0),
        Column("by the rules", "by_rules", digits=0),
    ]

    def view(run: TabledRun) -> list[Mapping[str, Any]]:
        found = lookup(run.result, "method.operations_discoverable") or {}
        keys = {"by_rules": "by_rules", "with_pointwise": "with_pointwise_dilation"}
        return [{key: found[name] - initial for key, name in keys.items() if name in found}]

    rows = [
        Row(
            name,
            [
                "{} to {}".format(*row["kernel"]),
                "{} to {}".format(*row["dilation"]),
                row["total_conv_paper"],
                row["total_conv_by_rules_measured"],
            ],
            "prdarts/search",
            match={"algo": ("prdarts", "prdarts_original"), "algo.morph_limits": name},
            free=("algo.evaluation.",),
            view=view,
        )
        for name, row in ((name, limits[name]) for name in SETTINGS)
    ]
    note = "The printed totals count 1x1 windows with dilation, which the rules leave out; the last column is computed."
    return Table("PR-DARTS, Table II", columns, rows, note)


def table3() -> Table:
    """Table III: test error of cells trained for 600 epochs, and what the searches cost."""
    columns = [
        Column("error %", "error"),
        Column("params M", "params_paper", 1e-6, 1),
        Column("search GPU days", "search_seconds", 1 / DAY),
        Column("operations", "method.operations_discovered.normal", digits=0),
    ]
    rows: list[Row] = []
    for row in published("prdarts")["table3_results"]:
        name = row["method"].removeprefix("PR-DARTS ")
        for data, key in (("cifar10", "c10"), ("cifar100", "c100")):
            ours, baseline = CELLS.get(name), BASELINES.get(name)
            if row[key] is None and ours is None:
                continue
            error = row[key] if row.get(f"{key}_std") is None else [row[key], row[f"{key}_std"]]
            experiment = "prdarts/table3" if ours else "prdarts/table3_baselines" if baseline else QUOTED
            rows.append(
                Row(
                    row["method"],
                    [error, row["params_M"], row["gpu_days"], row.get("ops_discovered", row.get("ops"))],
                    experiment,
                    data,
                    {
                        "algo": "prdarts_cells" if ours else "darts_cells",
                        "network.genotype": ours or baseline or "none",
                    },
                    view=_evaluated,
                )
            )
    return Table(
        "PR-DARTS, Table III", columns, rows + _searches(), "Error: mean of the last five epochs, three seeds."
    )


def _searches() -> list[Row]:
    """Our own searches, each of whose cells is trained as in the table; the paper prints the best of them."""
    results = {row["method"]: row for row in published("prdarts")["table3_results"]}
    return [
        Row(
            f"search {name}",
            [None, None, row["gpu_days"], row["ops_discovered"]],
            "prdarts/search",
            "cifar10",
            {"algo": ("prdarts", "prdarts_original"), "algo.morph_limits": name},
            view=_evaluated,
        )
        for name, row in ((n, results[f"PR-DARTS {'DL2' if n == 'DL' else n}"]) for n in SETTINGS)
    ]


def _evaluated(run: TabledRun) -> list[Mapping[str, Any]]:
    last = lookup(run.result, "method.last_test_accuracies")
    accuracy = sum(last) / len(last) if isinstance(last, list) and last else run.result.get("test_accuracy")
    values = {**run.result, "error": None if accuracy is None else 100 - 100 * accuracy}
    if not str(run.result.get("algo")).startswith("prdarts") or run.result.get("algo") == "prdarts_cells":
        values["search_seconds"] = None  # the cells are published ones; nothing was searched
    return [values]
