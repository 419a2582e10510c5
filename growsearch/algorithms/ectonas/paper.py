"""The figures and tables of ECToNAS' reports, and the results that its paper prints."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from growsearch.events import Measure
from growsearch.reports.numbers import size
from growsearch.reports.paper import LiteraturePoint, Paper, published
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, Drawing, draw, plot, readable_ticks, whole_ticks
from growsearch.reports.tables.layout import Column, Row, Table, View
from growsearch.run_folder.plain import lookup
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
    "The winner and its ancestors over the epochs they were trained: accuracy (Figure 5) and parameters with the "
    "operations that made each descendant (Figure 6)."
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
        for id, individual in individuals.items():
            parent = individual["parent"]
            if parent in places:
                bold = id in line and parent in line
                xs, ys = zip(places[parent], places[id], strict=True)
                style = {"color": SERIES[4], "linewidth": 2.0} if bold else {"color": GRID, "linewidth": 0.8}
                axes.plot(xs, ys, zorder=2 if bold else 1, **style)
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


def lineage(record: RunRecord) -> Drawing | None:
    """Accuracy and size of the winner's line of ancestors (Figures 5 and 6 of the paper)."""
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
        sizes = [(0.0, record.method["start_params"]), *((edit["epochs"], edit["params"]) for edit in edits)]
        sizes.append((max(history["epochs"]), sizes[-1][1]))
        below.step([x for x, _ in sizes], [y for _, y in sizes], where="post", color=INK)
        _operations(below, [edit for edit in edits if edit["op"] != "identity"][:MOST_LABELS])
        below.set_ylabel("parameters")
        below.set_xlabel("epochs of the winner and its ancestors")
        below.margins(y=0.35)
        readable_ticks(below.yaxis, size)

    return draw("ectonas-lineage", "The winner's way (Figures 5 and 6)", LINEAGE_CAPTION, 4.6, paint)


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
    columns = [
        Column("val acc %, at once", "retrain_none", 100, 1),
        Column("after an epoch", "retrained", 100, 1),
    ]
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
    tables={f"ectonas-{n}": table for n, table in enumerate((table1, table2, table3, table4, table5, table6), start=1)},
    points=points,
)
