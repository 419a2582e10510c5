"""Published results as points to stand behind one's own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml

from growsearch.reports.numbers import number

DAY = 86400.0
Row = dict[str, Any]


@dataclass(frozen=True)
class LiteraturePoint:
    """A published network; None where its paper gives no number.

    Attributes:
        source: the method, or ``others`` for what its paper quotes.
        label: which of the paper's networks.
        accuracy: on test images, a fraction.
        params: their number.
        macs: for one image.
        search_seconds: of GPU time.
    """

    source: str
    label: str
    accuracy: float
    params: float | None = None
    macs: float | None = None
    search_seconds: float | None = None


def literature(data: str) -> list[LiteraturePoint]:
    """Points of a data set, as far as the five papers' tables give them; none for data of one's own.

    Values that the tables mark as garbled (``trust: low``) are left out.
    """
    return [point for name, read in READERS.items() for point in read(published(name), data)]


@cache
def published(method: str) -> Row:
    """The numbers that a method's paper prints; empty if the package holds none."""
    path = files("growsearch.reports").joinpath("published", f"{method}_tables.yaml")
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _densemann(tables: Row, data: str) -> Iterator[LiteraturePoint]:
    for row in tables.get("table1", {}).get("rows", []):
        if row["dataset"] == data and row["trust"] != "low" and row["experiment"] != "best_network_retrained":
            label = row["experiment"].replace("_", " ")
            size, hours = _mean(row["params_k"]), _mean(row["exec_time"])
            yield LiteraturePoint("DensEMANN", label, _mean(row["test_acc"]) / 100, 1e3 * size, None, 3600 * hours)
    for row in tables.get("table2", {}).get("rows", []) if data == "cifar10" else []:
        if row["trust"] != "low" and row["category"] != "ours" and number(row["error"]) is not None:
            params, seconds = _times(row["params"], 1e6), _times(row["gpu_days"], DAY)
            yield LiteraturePoint("others", row["name"], 1 - row["error"] / 100, params, None, seconds)


def _prdarts(tables: Row, data: str) -> Iterator[LiteraturePoint]:
    column = {"cifar10": "c10", "cifar100": "c100"}.get(data)
    for row in tables.get("table3_results", []) if column else []:
        if row["method"].startswith("PR-DARTS") and (error := number(row[column])) is not None:
            params, seconds = row["params_M"] * 1e6, row["gpu_days"] * DAY
            yield LiteraturePoint("PR-DARTS", row["method"], 1 - error / 100, params, None, seconds)


def _ectonas(tables: Row, data: str) -> Iterator[LiteraturePoint]:
    name = {
        "cifar10": "CIFAR-10",
        "cifar100": "CIFAR-100",
        "eurosat": "EuroSAT",
        "fashion_mnist": "Fashion-MNIST",
        "mnist": "MNIST",
        "svhn": "SVHN",
    }.get(data)
    row = tables.get("table2", {}).get("rows", {}).get(name, {})
    for alpha, accuracy in row.get("acc", {}).items():
        yield LiteraturePoint("ECToNAS", f"alpha {alpha}", accuracy[0] / 100, 1e3 * row["params_k"][alpha])


def _conet(tables: Row, data: str) -> Iterator[LiteraturePoint]:
    prefix = {"cifar10": "c10", "cifar100": "c100"}.get(data)
    table = tables.get("table3_cifar", {})
    for values in table.get("rows", []) if prefix else []:
        row = dict(zip(table["columns"], values, strict=True))
        accuracy = number(row[f"{prefix}_top1"])
        if accuracy is not None and row["variant"] != "baseline":
            params, seconds = _times(row[f"{prefix}_params_M"], 1e6), _times(row[f"{prefix}_cost"], DAY)
            yield LiteraturePoint("CONet", f"{row['model']} {row['variant']}", accuracy / 100, params, None, seconds)


def _stagewise(tables: Row, data: str) -> Iterator[LiteraturePoint]:
    for table in ("table_III", "table_IV") if data == "cifar10" else ():
        for row in tables.get(table, []):
            macs = _times(row.get("flops_M") or row.get("true_macs_M"), 1e6)
            source = "Stage-Wise" if row["name"].startswith("ours_") else "others"
            label = row["name"].replace("ours_", "").replace("_", " ")
            yield LiteraturePoint(source, label, row["acc"] / 100, row["params_M"] * 1e6, macs)


READERS: dict[str, Callable[[Row, str], Iterator[LiteraturePoint]]] = {
    "densemann": _densemann,
    "prdarts": _prdarts,
    "ectonas": _ectonas,
    "conet": _conet,
    "stagewise": _stagewise,
}
"""How the tables of each method's paper are read."""


def _mean(value: Any) -> float:
    """A printed number, or the mean of one with its spread."""
    return float(value["mean"] if isinstance(value, dict) else value)


def _times(value: Any, unit: float) -> float | None:
    """A printed number in the unit wanted; None for a range, a word or nothing."""
    found = number(value)
    return None if found is None else found * unit
