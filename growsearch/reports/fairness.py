"""The basis of a comparison: what each method spent, and the conditions of its numbers."""

from collections.abc import Iterable, Sequence

from growsearch.reports.groups import RunGroup
from growsearch.reports.numbers import MISSING, count, decimal, grouped, search_time, size, time
from growsearch.run_folder.plain import short
from growsearch.run_folder.read import RunRecord

Rows = tuple[Sequence[str], list[tuple[str, ...]]]
"""A table's header and rows."""

SPENT = (
    ("networks trained", "networks_trained", decimal),
    ("mini-batches", "steps", count),
    ("images", "images", size),
    ("passes", "epochs", decimal),
    ("MACs spent", "macs_spent", size),
    ("search time", "search_seconds", search_time),
    ("training after it", "train_seconds", time),
)
LEDGER = (
    "Means over runs, counted the same way for every method and over all its networks. A pass is as many images as the "
    "training split has. MACs (multiply-accumulates) are those of forward passes on training images; backward passes "
    "take about twice as many again, and validation is not counted. The cost of a run whose network was taken over is "
    "not included."
)
PROTOCOL = ("method", "seeds", "train / val / test images", "decides on", "caps", "threads", "versions", "device")
CAPS = ("max_epochs", "max_seconds", "max_params", "max_macs", "max_layers", "max_filters")


def budgets(groups: Sequence[RunGroup]) -> Rows:
    """The ledger of every group."""
    rows = [(group.label, *(form(group.mean(key)) for _, key, form in SPENT)) for group in groups]
    return ("method", *(name for name, _, _ in SPENT)), rows


def protocol(groups: Sequence[RunGroup]) -> Rows:
    """Seeds, images, what decisions looked at, caps, versions and devices of every group."""
    return PROTOCOL, [_protocol(group) for group in groups]


def _protocol(group: RunGroup) -> tuple[str, ...]:
    results = [run.result for run in group.runs]
    return (
        group.label,
        _all(str(result.get("seed", MISSING)) for result in results),
        _all(" / ".join(map(count, result.get("splits", {}).values())) or MISSING for result in results),
        _all(map(_decides_on, group.runs)),
        _all(map(_caps, group.runs)),
        _all(count(result.get("threads")) for result in results),
        _all(map(_versions, group.runs)),
        _all(short(result.get("device", MISSING), 40) for result in results),
    )


def _all(words: Iterable[str]) -> str:
    """The different ones, in the order of their first appearance."""
    found = list(dict.fromkeys(words))
    return ", ".join(found[:6]) + (", …" if len(found) > 6 else "")


def _decides_on(run: RunRecord) -> str:
    if run.options.get("data.val_from") == "test":
        return "TEST images"
    val = run.result.get("splits", {}).get("val")
    return MISSING if val is None else "validation images" if val else "training images"


def _caps(run: RunRecord) -> str:
    found = {name: run.options.get(f"algo.{name}") for name in CAPS}
    return ", ".join(f"{name} {grouped(str(value))}" for name, value in found.items() if value) or "none"


def _versions(run: RunRecord) -> str:
    found = run.result.get("versions", {})
    return ", ".join(f"{name} {found[name]}" for name in ("growsearch", "torch") if name in found) or MISSING
