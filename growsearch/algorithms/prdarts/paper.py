"""The tables of PR-DARTS's paper, our runs beside what it prints."""

from collections.abc import Iterator, Mapping
from typing import Any

from growsearch.algorithms.prdarts.cells import cell_graphs, cells
from growsearch.algorithms.prdarts.figures import pools
from growsearch.reports.paper import DAY, LiteraturePoint, Paper, published
from growsearch.reports.tables.layout import QUOTED, Column, Row, Table, View
from growsearch.run_folder.plain import lookup, number
from growsearch.run_folder.read import RunRecord

CELLS = {"DL1": "DL1", "DL2": "DL2", "DR": "DR", "UR": "UR"}
BASELINES = {
    "NASNet-A": "NASNet-A",
    "DARTS 1st order": "DARTS_V1",
    "DARTS 2nd order": "DARTS_V2",
    "P-DARTS C10": "P-DARTS",
}
SETTINGS = ("DL", "DR", "UR")
SEARCH = ("prdarts", "prdarts_original", "prdarts_figure2")
DARTS = {
    "darts": ("DARTS 1st order", "prdarts/search_darts"),
    "darts_second_order": ("DARTS 2nd order", "prdarts/search_darts_second_order"),
}
TRAINED = ("prdarts_cells", "darts_cells", "fixed")
NOTES = {
    "DARTS 1st order": "the published cells have 3.17 M here",
    "NASNet-A": "3.83 M here",
    "MDENAS": "its operations are not certain",
}
"""Where the published cells have other parameters than the table prints, and what is hard to read."""


def table1() -> Table:
    """Table I: the search's cycles, and those that our runs took."""
    tables = published(__package__)["table1_search_cycles"]
    options = {"epochs": "epochs", "grace_epochs": "grace epochs", "morphisms": "morphisms", "candidates": "candidates"}
    columns = [Column(title, key, digits=0) for key, title in options.items()]
    rows = [
        Row(
            f"cycle {cycle}",
            [tables[key][index] for key in options],
            "prdarts/search",
            match={"algo": SEARCH},
            free=("algo.morph_limits", "algo.evaluation."),
            view=_cycle(index),
        )
        for index, cycle in enumerate(tables["cycle"])
    ]
    return Table("PR-DARTS, Table I", columns, rows, "Settings, not results; candidates per edge after the cycle.")


def _cycle(index: int) -> View:
    names = {"epochs": "epochs", "grace_epochs": "grace_epochs", "morphisms": "morphs", "candidates": "keep"}

    def view(run: RunRecord) -> list[Mapping[str, Any]]:
        lists = {key: run.value(f"algo.{name}") for key, name in names.items()}
        return [{key: one[index] for key, one in lists.items() if isinstance(one, list) and index < len(one)}]

    return view


def table2() -> Table:
    """Table II: limits of the morphisms, and how many convolutions they allow."""
    limits = published(__package__)["table2_morph_limits"]
    initial = limits["non_conv_candidates"]
    columns = [
        Column("kernels", "kernel"),
        Column("dilations", "dilation"),
        Column("convolutions, as printed", "with_pointwise", digits=0),
        Column("by the rules", "by_rules", digits=0),
    ]

    def view(run: RunRecord) -> list[Mapping[str, Any]]:
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
            match={"algo": SEARCH, "algo.morph_limits": name},
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
    for row in published(__package__)["table3_results"]:
        name = row["method"].removeprefix("PR-DARTS ")
        for data, key in (("cifar10", "c10"), ("cifar100", "c100")):
            ours, baseline = CELLS.get(name), BASELINES.get(name)
            unprinted = row[key] is None and ours is None
            if unprinted and baseline is None:
                continue
            experiment = "prdarts/table3" if ours else "prdarts/table3_baselines" if baseline else QUOTED
            match = {"algo": TRAINED, "network.genotype": ours or baseline or "none"}
            note = NOTES.get(name, "")
            rows.append(
                Row(
                    row["method"],
                    _printed(row, key),
                    experiment,
                    data,
                    match,
                    (),
                    view=_evaluated,
                    note=note,
                    extra=unprinted,
                )
            )
    note = "Error: mean of the last five epochs, three seeds. Published and found cells are trained with batches of 96."
    return Table("PR-DARTS, Table III", columns, [*rows, *_searches(), *_found_cells()], note)


def _printed(row: Mapping[str, Any], key: str) -> list[Any]:
    error = row[key] if row.get(f"{key}_std") is None else [row[key], row[f"{key}_std"]]
    return [error, row["params_M"], row["gpu_days"], row.get("ops_discovered", row.get("ops"))]


def _searches() -> list[Row]:
    """Our own searches, each of whose cells is trained as in the table; the paper prints the best of them."""
    results = {row["method"]: row for row in published(__package__)["table3_results"]}
    rows = [
        Row(
            f"search {name}",
            [None, None, row["gpu_days"], row["ops_discovered"]],
            "prdarts/search",
            "cifar10",
            {"algo": SEARCH, "algo.morph_limits": name},
            view=_evaluated,
        )
        for name, row in ((n, results[f"PR-DARTS {'DL2' if n == 'DL' else n}"]) for n in SETTINGS)
    ]
    for algo, (method, experiment) in DARTS.items():
        printed = _printed(results[method], "c10")
        rows.append(Row(f"search {method}", printed, experiment, "cifar10", {"algo": algo}, view=_evaluated))
    return rows


def _found_cells() -> list[Row]:
    """Cells that a search here has found, and random ones, trained as the published cells."""
    kinds = {f"found by search {name}": {"source.algo": SEARCH, "source.algo.morph_limits": name} for name in SETTINGS}
    kinds |= {f"found by search {method}": {"source.algo": algo} for algo, (method, _) in DARTS.items()}
    kinds["random cells"] = {"network.genotype": "random"}
    kinds["AmoebaNet-A"] = {"network.genotype": "AmoebaNet-A"}
    return [
        Row(
            f"cells {kind}" if kind.startswith("found") else kind,
            [None] * 4,
            "prdarts/table3_baselines" if kind == "AmoebaNet-A" else "prdarts/table3",
            data,
            {"algo": TRAINED, **match},
            ("network.genotype",),
            _with_source,
            extra=True,
        )
        for kind, match in kinds.items()
        for data in ("cifar10", "cifar100")
    ]


def _with_source(run: RunRecord) -> list[Mapping[str, Any]]:
    """Of cells that were searched, what the search took and discovered."""
    discovered = run.value("source.method.operations_discovered")
    about = {"search_seconds": run.value("source.search_seconds"), "method": {"operations_discovered": discovered}}
    return [{**values, **about} for values in _evaluated(run)]


def _evaluated(run: RunRecord) -> list[Mapping[str, Any]]:
    last = lookup(run.result, "method.last_test_accuracies")
    accuracy = sum(last) / len(last) if isinstance(last, list) and last else run.result.get("test_accuracy")
    values = {**run.result, "error": None if accuracy is None else 100 - 100 * accuracy}
    if run.result.get("algo") in TRAINED:
        values["search_seconds"] = None  # the cells are given; nothing was searched
    return [values]


def points(data: str) -> Iterator[LiteraturePoint]:
    """The paper's networks."""
    column = {"cifar10": "c10", "cifar100": "c100"}.get(data)
    for row in published(__package__)["table3_results"] if column else []:
        if row["method"].startswith("PR-DARTS") and (error := number(row[column])) is not None:
            params, seconds = row["params_M"] * 1e6, row["gpu_days"] * DAY
            yield LiteraturePoint("PR-DARTS", row["method"], 1 - error / 100, params, None, seconds)


PAPER = Paper(
    figures={"prdarts-pools": pools, "prdarts-cells": cells},
    tables={"prdarts-1": table1, "prdarts-2": table2, "prdarts-3": table3},
    points=points,
    graphs={"prdarts-cells": cell_graphs},
)
