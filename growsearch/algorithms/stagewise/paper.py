"""The tables of Stage-Wise's paper, our runs beside what it prints."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from growsearch.algorithms.stagewise.figures import by_criterion, depths, models_trained, scores
from growsearch.reports.paper import LiteraturePoint, Paper, published
from growsearch.reports.tables.layout import QUOTED, Column, Published, Row, Table, View
from growsearch.run_folder.plain import lookup
from growsearch.run_folder.read import RunRecord

SEARCH = ("stagewise", "stagewise_original")
ACCURACY = Column("test acc %", "test_accuracy", 100)
COSTS = [
    Column("depths", "depths_text"),
    Column("depth", "depth", digits=0),
    Column("params M", "params_paper", 1e-6),
    Column("MACs M", "macs", 1e-6, 0),
    Column("memory MB", "memory_mib"),
]
CPU = [Column("CPU ms", "cpu_inference_ms"), Column("CO2 kg", "co2_kg")]


def network(iteration: int, depth: str = "depth_conv") -> View:
    """A search's candidate of an iteration; its first network for 0."""
    role = "candidate" if iteration else "initial"

    def view(run: RunRecord) -> list[Mapping[str, Any]]:
        networks = lookup(run.result, "method.networks")
        rows = [row for row in networks if isinstance(row, Mapping)] if isinstance(networks, list) else []
        found = [row for row in rows if row.get("role") == role and row.get("iteration") == iteration]
        return [{**row, "depths_text": _depths(row.get("depths")), "depth": row.get(depth)} for row in found]

    return view


def _depths(found: Any) -> str | None:
    return "-".join(map(str, found)) if isinstance(found, list) else None


def table1() -> Table:
    """Table I: the first candidate for each number of modules at the start."""
    rows = [
        Row(
            f"m0 = {row['m0']}",
            [_depths(row["m"]), *(row[k] for k in ("depth", "params_M", "flops_M", "memory_MB", "acc_200ep"))],
            "stagewise/table1_m0",
            "cifar10",
            {
                **{"algo": SEARCH, "algo.modules": "residual", "algo.criterion": "pls"},
                **{"algo.m0": row["m0"], "algo.iterations": 1},
            },
            view=network(1),
        )
        for row in published(__package__)["table_I"]
    ]
    return Table("Stage-Wise, Table I", [*COSTS, ACCURACY], rows, "200 epochs; the printed depths are derived.")


CONTROLS: dict[str, list[None]] = {"random": [None] * 5, "all": [None] * 5}
"""Criteria that are no scores: stages that grow by chance, and all of them."""


def _some(iterations: Any) -> bool:
    return bool(iterations)


def table2() -> Table:
    """Table II: criteria of importance."""
    rows = [
        Row(
            f"{criterion}, iteration {iteration}",
            [accuracy],
            "stagewise/table2_criteria",
            "cifar10",
            {
                "algo": SEARCH,
                "algo.modules": "residual",
                "algo.criterion": criterion,
                "algo.iterations": _some,
                "algo.extra_epochs": Published(0),
                "algo.donor": ("", None),
            },
            view=network(iteration),
            extra=accuracy is None,
        )
        for criterion, accuracies in (published(__package__)["table_II"] | CONTROLS).items()
        for iteration, accuracy in enumerate(accuracies, start=1)
    ]
    note = "200 epochs. The paper tuned each criterion and prints no settings."
    return Table("Stage-Wise, Table II", [ACCURACY], rows, note)


def table3() -> Table:
    """Table III: residual networks, from scratch and by weight transfer."""
    rows = []
    for row in published(__package__)["table_III"]:
        keys = ("depth", "params_M", "flops_M", "memory_MB", "acc", "time_ms", "co2_kg")
        experiment, match, iteration = _origin(row["name"], row["m"], "residual", "table3")
        view = network(iteration, "depth_he" if row["depth_convention"] == "he" else "depth_conv")
        printed = [_depths(row["m"]), *(row[k] for k in keys)]
        note = "printed in another unit" if "memory_MB_consistent" in row else ""
        note = f"{row['depth_actual']} by its other figures" if "depth_actual" in row else note
        rows.append(_row(row["name"], printed, experiment, match, view, note))
    return Table("Stage-Wise, Table III", [*COSTS, ACCURACY, *CPU], rows, "300 epochs; weight transfer 50.")


def table4() -> Table:
    """Table IV: networks of NASNet cells."""
    columns = [COSTS[0], *COSTS[1:3], Column("FLOPs G", "flops", 1e-9, 1), *COSTS[3:], ACCURACY]
    rows = []
    for row in published(__package__)["table_IV"]:
        experiment, match, iteration = _origin(row["name"], row["m"], "cell", "table4")
        keys = ("depth", "params_M", "flops_B", "true_macs_M", "memory_MB", "acc")
        printed = [_depths(row["m"]), *(row[k] for k in keys)]
        view = network(iteration)
        rows.append(_row(row["name"], printed, experiment, match, view))
    note = "FLOPs as the paper counts them (separable convolutions as dense ones); true MACs are computed, not printed."
    return Table("Stage-Wise, Table IV", columns, rows, note)


def _row(
    name: str, printed: Sequence[Any], experiment: str, match: Mapping[str, Any], view: View, note: str = ""
) -> Row:
    """A network of CIFAR-10; baselines bring the override that names them."""
    words = _network(name)
    return Row(name.replace("_", " "), printed, experiment, "cifar10", match, (), view, note=note, words=words)


def _network(name: str) -> tuple[str, ...]:
    """The override that gives a baseline its network."""
    return () if name.startswith("ours") else (f"network={name.lower()}",)


def _origin(name: str, depths: list[int], modules: str, table: str) -> tuple[str, dict[str, Any], int]:
    """Experiment, options and iteration of a printed network."""
    match: dict[str, Any] = {"algo": SEARCH, "algo.modules": modules}
    if not name.startswith("ours"):
        return f"stagewise/{table}_baselines", {**match, "algo.iterations": 0, "network.depths": depths}, 0
    match["algo.criterion"] = "pls"
    iteration = int(name.split("_")[1].removeprefix("it"))
    if name.endswith("transfer"):
        return "stagewise/table3_transfer", {**match, "algo.donor": bool}, iteration
    match |= {
        "algo.donor": ("", None),
        "network.family": ("none", None),
        "algo.iterations": _some,
        "algo.extra_epochs": Published(100),
        "algo.grow": "scratch",
    }
    return f"stagewise/{table}_{'scratch' if modules == 'residual' else 'cells'}", match, iteration


def table5() -> Table:
    """Table V: how many networks a search trains."""
    columns = [
        Column("evaluated models", "method.evaluated_models", digits=0),
        Column("params M", "params_paper", 1e-6),
        ACCURACY,
    ]
    searches = {"ours_residual": ("residual", "table3_scratch"), "ours_cell": ("cell", "table4_cells")}
    rows = []
    for row in published(__package__)["table_V"]:
        printed = [row["evaluated_models"], row["params_M"], row["acc"]]
        modules, file = searches.get(row["ref"], ("", ""))
        match = {
            "algo": SEARCH,
            "algo.modules": modules,
            "algo.criterion": "pls",
            "algo.iterations": Published(5, never=(0,)),
            "algo.extra_epochs": Published(100),
            "algo.donor": ("", None),
        }
        note = f"{row['params_M_per_table_III']} M in Table III" if "params_M_per_table_III" in row else ""
        experiment = f"stagewise/{file}" if file else QUOTED
        name = row["ref"].replace("_", " ")
        if row["ref"] == "ours_ensemble":
            experiment, match, note = "stagewise/table5_ensemble", {"algo": "stagewise_ensemble"}, "7.44 M exactly"
        data = None if experiment == QUOTED else "cifar10"
        rows.append(Row(name, printed, experiment, data, match, (), _whole, note=note))
    note = "The ensemble is that of candidates 1, 3 and 5 of both searches; it trains nothing of its own."
    return Table("Stage-Wise, Table V", columns, rows, note)


def _whole(run: RunRecord) -> list[Mapping[str, Any]]:
    return [run.result]


def table6() -> Table:
    """Table VI: architectures found on CIFAR-10, trained on harder sets."""
    baselines = {"ResNet110": ("residual", [18, 18, 18]), "NASNet241": ("cell", [6, 6, 6])}
    rows = []
    for row in published(__package__)["table_VI"]:
        modules, depths = baselines.get(row["name"], (row["name"].removeprefix("ours_"), None))
        match: dict[str, Any] = {"algo": SEARCH, "algo.modules": modules, "algo.iterations": 0}
        match |= {"network.family": "found"} if depths is None else {"network.depths": depths}
        experiment = "transfer" if depths is None else row["name"].lower()
        rows += [
            Row(
                row["name"].replace("_", " "),
                [row[data]],
                f"stagewise/table6_{experiment}",
                data,
                match,
                ("algo.modules",),
                network(0),
            )
            for data in ("tiny_imagenet", "imagenet32")
        ]
    columns = [Column("top-5 %", "test_top5", 100)]
    return Table("Stage-Wise, Table VI", columns, rows, "Trained from scratch with the architecture found on CIFAR-10.")


def points(data: str) -> Iterator[LiteraturePoint]:
    """The paper's networks, and those it compares with."""
    for table in ("table_III", "table_IV") if data == "cifar10" else ():
        for row in published(__package__)[table]:
            macs = row.get("flops_M") or row.get("true_macs_M")
            source = "Stage-Wise" if row["name"].startswith("ours_") else "others"
            label = row["name"].replace("ours_", "").replace("_", " ")
            macs = None if macs is None else 1e6 * macs
            yield LiteraturePoint(source, label, row["acc"] / 100, row["params_M"] * 1e6, macs)


PAPER = Paper(
    figures={"stagewise-depths": depths, "stagewise-scores": scores},
    comparisons={"stagewise-figure1": models_trained, "stagewise-figure4": by_criterion},
    tables={
        f"stagewise-{n}": table for n, table in enumerate((table1, table2, table3, table4, table5, table6), start=1)
    },
    points=points,
)
