"""The tables of ECToNAS's paper, our runs beside what it prints."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from growsearch.algorithms.ectonas.figures import compression, family_graph, family_tree, lineage, mean_curves
from growsearch.reports.paper import LiteraturePoint, Paper, published
from growsearch.reports.tables.layout import Column, Row, Table, View
from growsearch.run_folder.plain import lookup
from growsearch.run_folder.read import RunRecord

SETS = {
    "CIFAR-10": "cifar10",
    "CIFAR-100": "cifar100",
    "EuroSAT": "eurosat",
    "Fashion-MNIST": "fashion_mnist",
    "MNIST": "mnist",
    "SVHN": "svhn",
}
TOPOLOGIES = ("algo.topology", "network.")
MODES = {"E": "greedy ECToNAS", "B": "baseline", "R": "random mode"}
POOLING = "ectonas/table4"
RESULTS = [Column("test acc %", "test_accuracy", 100, 1), Column("params k", "params_paper", 1e-3, 1)]


SEARCH = ("ectonas", "ectonas_original")


def _ectonas(alpha: float) -> dict[str, Any]:
    return {"algo": SEARCH, "algo.random_mode": False, "algo.alpha": alpha}


MATCH: dict[str, dict[str, Any]] = {
    "E": _ectonas(1),
    "B": {"algo": "ectonas_baseline"},
    "R": {"algo": ("ectonas_random", *SEARCH), "algo.random_mode": True},
}


def _set(name: str, match: dict[str, Any]) -> dict[str, Any]:
    """A data set, or all six of them."""
    if name in SETS:
        return {"data": SETS[name], "match": match}
    return {"match": {**match, "data": tuple(SETS.values())}}


def table1() -> Table:
    """Table 1: greedy ECToNAS against training alone and random choice."""
    experiments = {"E": "ectonas/table1", "B": "ectonas/table1_baseline", "R": "ectonas/table1_random"}
    rows = [
        Row(
            MODES[mode] if name in SETS else f"{name}: {MODES[mode]}",
            [row["acc"][mode], row["params_k"][mode]],
            experiments[mode],
            free=TOPOLOGIES,
            **_set(name, MATCH[mode]),
        )
        for name, row in published(__package__)["table1"]["rows"].items()
        for mode in MODES
    ]
    return Table("ECToNAS, Table 1", RESULTS, rows, "Six start topologies, ten runs each.")


def table2() -> Table:
    """Table 2: levels of greediness."""
    rows = [
        Row(
            f"alpha {alpha}" if name in SETS else f"{name}: alpha {alpha}",
            [row["acc"][alpha], row["params_k"][alpha]],
            "ectonas/table1" if alpha == "1" else "ectonas/table2",
            free=TOPOLOGIES,
            **_set(name, _ectonas(float(alpha))),
        )
        for name, row in published(__package__)["table2"]["rows"].items()
        for alpha in row["acc"]
    ]
    return Table("ECToNAS, Table 2", RESULTS, rows, "Six start topologies, ten runs each.")


def table3() -> Table:
    """Table 3: which class of topology runs on Adult end in."""
    columns = [
        Column("end in cnn", "cnn", digits=0, reduce="sum"),
        Column("end in ffnn", "ffnn", digits=0, reduce="sum"),
        Column("crossing %", "crossing", digits=1),
    ]

    def view(run: RunRecord) -> list[Mapping[str, Any]]:
        end, crossed = lookup(run.result, "method.end_class"), lookup(run.result, "method.crossed")
        return [{"cnn": end == "cnn", "ffnn": end == "ffnn", "crossing": [100.0 * bool(crossed)]}]

    rows = [
        Row(
            f"from {start}, alpha {alpha}",
            [row["final_cnn"], row["final_ffnn"], row["crossing_percent"]],
            "ectonas/table3",
            "adult",
            {**_ectonas(float(alpha)), "method.start_class": start},
            TOPOLOGIES,
            view,
        )
        for start in ("cnn", "ffnn")
        for alpha, row in published(__package__)["table3"][f"start_{start}"].items()
    ]
    return Table("ECToNAS, Table 3", columns, rows, "Three topologies, 25 runs each: 75 runs a row.")


def table4() -> Table:
    """Table 4: what inserting a pooling layer costs."""
    table = published(__package__)["table4"]
    columns = [Column("val acc %, at once", "retrain_none", 100, 1), Column("after an epoch", "retrained", 100, 1)]
    match = {"algo": "ectonas_pooling"}
    rows = [Row("before", [table["baseline"], None], POOLING, "mnist", match, view=_before)]
    for pool, row in table["rows"].items():
        for rewrite, values in row.items():
            printed = [values["retrain_none"], values["retrain_1_epoch"]]
            kind = f"{pool}, {rewrite.replace('_', ' ')}"
            rows.append(Row(kind, printed, POOLING, "mnist", match, view=_trial(pool, rewrite)))
            if (pool, rewrite) == ("max", "structured"):
                rows[-1] = replace(rows[-1], note="by the paper's text: largest absolute weight")
                note = "by the authors' code: largest weight; the paper prints one structured max pooling"
                view = _trial(pool, "signed")
                rows.append(Row("max, structured (signed)", printed, POOLING, "mnist", match, view=view, note=note))
    return Table("ECToNAS, Table 4", columns, rows, "Mean of 100 splits; a network of two convolutions and two layers.")


def _before(run: RunRecord) -> list[Mapping[str, Any]]:
    return [{"retrain_none": lookup(run.result, "method.baseline")}]


REWRITES = {
    ("average", "structured"): ("avg", "avg"),
    ("average", "random_cut"): ("avg", "random"),
    ("max", "structured"): ("max", "max_abs"),
    ("max", "signed"): ("max", "max_signed"),
    ("max", "random_cut"): ("max", "random"),
}
"""Pooling and rewrite of the first dense layer: in the paper's words and in a trial's."""


def _trial(pool: str, rewrite: str) -> View:
    def view(run: RunRecord) -> list[Mapping[str, Any]]:
        rows = lookup(run.result, "method.rows")
        trials = [row for row in rows if isinstance(row, Mapping)] if isinstance(rows, list) else []
        return [row for row in trials if (row.get("pool"), row.get("rewrite")) == REWRITES[pool, rewrite]]

    return view


def table5() -> Table:
    """Table 5: accuracy and size on Adult."""
    table = published(__package__)["table5"]["rows"]
    settings: dict[str, tuple[str, dict[str, Any]]] = {
        "baseline": ("ectonas/table5_baseline", MATCH["B"]),
        "ectonas_alpha_1": ("ectonas/table3", _ectonas(1)),
        "ectonas_alpha_0.5": ("ectonas/table3", _ectonas(0.5)),
        "ectonas_alpha_0": ("ectonas/table3", _ectonas(0)),
        "random": ("ectonas/table5_random", MATCH["R"]),
    }
    rows = [
        Row(
            name.replace("_", " "),
            [row["acc"], row["params_k"]],
            settings[name][0],
            "adult",
            settings[name][1],
            (*TOPOLOGIES, "algo.alpha"),
        )
        for name, row in table.items()
    ]
    return Table("ECToNAS, Table 5", RESULTS, rows, "Six start topologies, 25 runs each.")


def table6() -> Table:
    """Table 6: the start topologies, and those of our baselines."""
    columns = [Column("convolutions", "conv"), Column("dense layers", "dense")]
    rows = [
        Row(
            name,
            [_list(row["conv"]), _list(row["dense"])],
            "ectonas/table1_baseline",
            match={"algo": "ectonas_baseline", "network.topology": name},
            free=("data.",),
            view=_topology,
        )
        for name, row in published(__package__)["table6"]["rows"].items()
    ]
    return Table("ECToNAS, Table 6", columns, rows, "Settings, not results; the layer of logits comes after them.")


def _topology(run: RunRecord) -> list[Mapping[str, Any]]:
    spec = run.architecture
    cells, hidden = spec.get("cells"), spec.get("hidden")
    if not isinstance(cells, list) or not isinstance(hidden, list):
        return []
    channels = [cell.get("channels") if isinstance(cell, Mapping) else cell for cell in cells]
    return [{"conv": _list(channels), "dense": _list(hidden)}]


def _list(sizes: list[Any]) -> str:
    return "-".join(map(str, sizes)) or "none"


def points(data: str) -> Iterator[LiteraturePoint]:
    """The paper's networks."""
    name = next((name for name, key in SETS.items() if key == data), None)
    row = published(__package__)["table2"]["rows"].get(name, {})
    for alpha, accuracy in row.get("acc", {}).items():
        yield LiteraturePoint("ECToNAS", f"alpha {alpha}", accuracy[0] / 100, 1e3 * row["params_k"][alpha])


PAPER = Paper(
    figures={"ectonas-family-tree": family_tree, "ectonas-lineage": lineage},
    comparisons={"ectonas-figure5": mean_curves, "ectonas-figure6": compression},
    tables={f"ectonas-{n}": table for n, table in enumerate((table1, table2, table3, table4, table5, table6), start=1)},
    points=points,
    graphs={"ectonas-family-tree": family_graph},
)
