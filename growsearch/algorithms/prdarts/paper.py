"""The figures and tables of PR-DARTS' reports, and the results that its paper prints."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from growsearch.events import Measure
from growsearch.reports.numbers import plain
from growsearch.reports.paper import DAY, LiteraturePoint, Paper, published
from growsearch.reports.plot import GRID, INK, MUTED, SERIES, SURFACE, Drawing, draw, plot, readable_ticks, whole_ticks
from growsearch.reports.tables.layout import QUOTED, Column, Row, Table, View
from growsearch.run_folder.plain import lookup, number
from growsearch.run_folder.read import RunRecord

TYPES = (("conv", SERIES[0]), ("skip", SERIES[2]), ("pool", SERIES[1]), ("none", SERIES[6]))
KINDS = ("normal", "reduction")
POOLS_CAPTION = (
    "Shares of operation types over all candidates of a cell, mean pairwise similarity of the candidates on an edge, "
    "number of candidates, batch size and seconds of an epoch; measured when a cycle begins and for the found cells."
)
MOST_NODES = 12
MOST_EDGES = 80
COLOURS = {"conv": SERIES[0], "skip": SERIES[2], "pool": SERIES[1]}
CELLS_CAPTION = (
    "Each column is a state of the cell: the outputs of the two cells before it, then its nodes. Each arrow is an edge "
    "with its operation; a node sums what arrives; the output joins the marked states. stack: further "
    "depthwise-separable layers, with the factor by which each widens."
)

Edge = dict[str, Any]
CellPools = dict[str, Any]


def pools(record: RunRecord) -> Drawing | None:
    """The candidate pools cycle by cycle (Figure 2 of the paper)."""
    measures = record.of(Measure, "pools")
    if not measures:
        return None

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 3, sharex=True)
        pools = {kind: [(line.at, line.event.values[kind]) for line in measures] for kind in KINDS}
        for panel, kind in zip(panels[0], KINDS, strict=False):
            for name, colour in TYPES:
                shares = [(at, 100 * (number(cell["types"].get(name)) or 0.0)) for at, cell in pools[kind]]
                if any(share for _, share in shares):
                    plot(panel, shares, ".-", color=colour, label=name)
            panel.set_title(f"types, {kind} cell, %")
            panel.set_ylim(-3, 103)
        panels[0][0].legend()
        _both(panels[0][2], pools, lambda cell: number(cell.get("similarity")), "similarity on an edge")
        _both(panels[1][0], pools, _mean_pool, "candidates on an edge")
        epochs = [line for line in record.epochs if line.event.phase == "search"]
        plot(panels[1][1], [(line.at, line.event.batch_size) for line in epochs], color=SERIES[3])
        panels[1][1].set_title("batch size")
        plot(panels[1][2], [(line.at, line.seconds) for line in epochs], color=SERIES[3])
        panels[1][2].set_title("seconds an epoch")
        readable_ticks(panels[1][2].yaxis, plain)
        for panel in panels[1]:
            panel.set_xlabel("epoch")
            whole_ticks(panel.xaxis, 5)
        for panel in panels[1][1:]:
            panel.set_ylim(bottom=0)

    return draw("prdarts-pools", "The pools of candidates (Figure 2)", POOLS_CAPTION, 4.2, paint)


def _mean_pool(cell: CellPools) -> float | None:
    sizes = [len(pool) for pool in cell["operations"]]
    return sum(sizes) / len(sizes) if sizes else None


def _both(panel: Any, pools: Mapping[str, list[Any]], value: Callable[[CellPools], float | None], title: str) -> None:
    for kind, colour in zip(KINDS, SERIES, strict=False):
        plot(panel, [(at, value(cell)) for at, cell in pools[kind]], ".-", color=colour, label=kind)
    panel.set_title(title)
    panel.legend()


def cells(record: RunRecord) -> Drawing | None:
    """Normal and reduction cell that a search over edges has found."""
    genotype = record.architecture.get("genotype")
    if not isinstance(genotype, dict):
        return None
    heights = [min(len(genotype[kind]), MOST_EDGES) + 3 for kind in KINDS]

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 1, height_ratios=heights)
        for axes, kind in zip(panels, KINDS, strict=True):
            edges = sorted(genotype[kind], key=lambda edge: (edge["node"], edge["input"]))
            _cell(axes, edges, genotype.get(f"{kind}_concat", []))
            axes.set_title(f"{kind} cell")

    return draw("prdarts-cells", "The found cells", CELLS_CAPTION, 0.31 * sum(heights), paint)


def _cell(axes: Any, edges: list[Edge], concat: list[int]) -> None:
    num_nodes = max(int(edge["node"]) for edge in edges) + 1
    if num_nodes > MOST_NODES:
        raise ValueError(f"{num_nodes} nodes are too many to draw; the most is {MOST_NODES}")
    if len(edges) > MOST_EDGES:
        raise ValueError(f"{len(edges)} edges are too many to draw; the most is {MOST_EDGES}")
    output, bottom = num_nodes + 2, len(edges) + 1
    for column, name in enumerate(["cell k-2", "cell k-1", *(f"node {i}" for i in range(num_nodes)), "output"]):
        axes.plot([column, column], [0, bottom], color=GRID, linewidth=1.2, zorder=1)
        box = {"boxstyle": "round,pad=0.4", "facecolor": SURFACE, "edgecolor": INK, "linewidth": 1.0}
        axes.text(column, -0.2, name, ha="center", va="center", bbox=box, zorder=5, fontsize=8.5)
    for row, edge in enumerate(edges, start=1):
        colour = COLOURS.get(edge.get("op", ""), MUTED)
        _arrow(axes, int(edge["input"]), int(edge["node"]) + 2, row, operation_label(edge), colour)
    states = sorted({int(state) for state in concat})
    if states:
        axes.plot([states[0], output], [bottom, bottom], color=INK, linewidth=1.3, zorder=2)
        axes.plot(states, [bottom] * len(states), "o", color=INK, ms=5, zorder=3)
        axes.plot([output], [bottom], ">", color=INK, ms=6, zorder=3)
    axes.set_xlim(-0.5, output + 0.5)
    axes.set_ylim(bottom + 0.4, -0.8)
    axes.axis("off")


def _arrow(axes: Any, begin: int, end: int, row: int, text: str, colour: str) -> None:
    axes.plot([begin, end], [row, row], color=colour, linewidth=1.4, zorder=2)
    axes.plot([begin], [row], "o", color=colour, ms=4, zorder=3)
    axes.plot([end], [row], ">" if end > begin else "<", color=colour, ms=6, zorder=3)
    ground = {"facecolor": SURFACE, "edgecolor": "none", "pad": 0.6}
    place = ((begin + end) / 2, row - 0.13)
    axes.text(*place, text, ha="center", va="bottom", fontsize=7.5, color=colour, bbox=ground, zorder=4)


def operation_label(edge: Edge) -> str:
    """An operation in a few words: "conv 5x5, dilation 2, stack 1"."""
    op, kernel = str(edge.get("op")), plain(edge.get("kernel"))
    if op == "pool":
        return f"{edge.get('kind')} pool {kernel}"
    if op != "conv":
        return op
    words = [f"conv {kernel}x{kernel}"]
    words += [f"dilation {plain(edge['dilation'])}"] if edge.get("dilation", 1) > 1 else []
    words += ["stack " + "·".join(map(plain, edge["expansions"][:5]))] if edge.get("expansions") else []
    return ", ".join(words)


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
OTHER_SIZES = {"DARTS 1st order": "the published cells have 3.17 M here", "NASNet-A": "3.83 M here"}
"""Where the published cells' network has another number of parameters than the table prints."""


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
            if row[key] is None and ours is None:
                continue
            experiment = "prdarts/table3" if ours else "prdarts/table3_baselines" if baseline else QUOTED
            match = {"algo": TRAINED, "network.genotype": ours or baseline or "none"}
            note = OTHER_SIZES.get(name, "")
            rows.append(Row(row["method"], _printed(row, key), experiment, data, match, (), view=_evaluated, note=note))
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
    return [
        Row(
            f"cells {kind}" if kind.startswith("found") else kind,
            [None] * 4,
            "prdarts/table3",
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
)
