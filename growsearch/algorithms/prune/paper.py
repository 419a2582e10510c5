"""Figures of pruning runs, and the results that DepGraph's authors print."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from growsearch.reports.figures.resizing import accuracy_path, layer_sizes
from growsearch.reports.paper import LiteraturePoint, Paper, published
from growsearch.reports.plot import Drawing
from growsearch.reports.tables.layout import Column, Published, Row, Table
from growsearch.run_folder.plain import number
from growsearch.run_folder.read import RunRecord

SIZE_CAPTION = "Outputs of every convolution and linear layer before the first and after the last cut."
PATH_CAPTION = (
    "Validation accuracy against MACs of one image: the network before pruning, and after each cut before and after its"
    " fine-tuning."
)
EXPERIMENTS = {
    "L1 magnitude": {"algo.importance": "l1", "algo.sparsity_epochs": 0},
    "norm scale": {"algo.importance": "bn", "algo.sparsity_epochs": 0},
    "group norm": {"algo.importance": "l2", "algo.sparsity_epochs": 0},
    "group norm and sparse learning": {"algo.importance": "l2", "algo.sparsity_epochs": Published(100, never=(0,))},
}
"""Options that make a run one of a printed row."""


def sizes(record: RunRecord) -> Drawing | None:
    """Sizes of all layers before and after."""
    return layer_sizes(record, "prune-sizes", SIZE_CAPTION)


def path(record: RunRecord) -> Drawing | None:
    """Accuracy against MACs along the way."""
    return accuracy_path(record, "prune-path", PATH_CAPTION)


def table1() -> Table:
    """ResNet-56 on CIFAR-10, as the authors' code prints it."""
    columns = [
        Column("before %", "before", 100),
        Column("pruned %", "test_accuracy", 100),
        Column("speed-up", "speed_up"),
    ]
    rows = []
    for (kind, base, pruned, speed_up), asked in zip(*_rows(), strict=True):
        match = {"algo": "prune", "algo.ranking": "global", **EXPERIMENTS[kind], "algo.target": _near(1 / asked)}
        label = f"{kind}, {asked}x"
        rows.append(Row(label, [base, pruned, speed_up], "prune/resnet56", "cifar10", match, view=_before_and_after))
    note = "The printed network has other shortcuts; our accuracy before is on validation images, where there are any."
    return Table("DepGraph, ResNet-56 on CIFAR-10", columns, rows, note)


def _rows() -> tuple[Sequence[Any], Sequence[float]]:
    table = published(__package__)["resnet56_cifar10"]
    return table["rows"], table["asked"]


def _near(share: float) -> Any:
    return lambda value: isinstance(value, int | float) and abs(value - share) < 2e-3


def _before_and_after(run: RunRecord) -> list[Mapping[str, Any]]:
    way = run.method.get("path") or [{}]
    macs, now = number(way[0].get("macs")), number(run.result.get("macs"))
    speed_up = macs / now if macs and now else None
    return [{**run.result, "before": way[0].get("accuracy"), "speed_up": speed_up}]


def points(data: str) -> Iterator[LiteraturePoint]:
    """The printed networks; their sizes are not printed."""
    for kind, _, pruned, speed_up in _rows()[0] if data == "cifar10" else []:
        yield LiteraturePoint("DepGraph", f"ResNet-56, {kind}, {speed_up}x", pruned / 100, None, None, None)


PAPER = Paper(figures={"prune-sizes": sizes, "prune-path": path}, tables={"prune-1": table1}, points=points)
