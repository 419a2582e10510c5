"""What a comparison rests on: what each method spent, and how its numbers came about."""

from collections.abc import Sequence

from growsearch.reports.groups import RunGroup
from growsearch.reports.markup import Html, shown, table, tag
from growsearch.reports.numbers import MISSING, count, decimal, grouped, number, size, time
from growsearch.reports.settings import Settings, settings_of

SPENT = (
    ("networks trained", "networks_trained", decimal),
    ("mini-batches", "steps", count),
    ("images", "images", size),
    ("passes", "epochs", decimal),
    ("MACs spent", "macs_spent", size),
    ("search time", "search_seconds", time),
    ("training after it", "train_seconds", time),
)
LEDGER = (
    "Means over runs, counted the same way for every method and over all its networks. A pass is as many images as the "
    "training split has. MACs (multiply-accumulates) are those of forward passes on training images; backward passes "
    "take about twice as many again, and validation is not counted. A network found in another run brings nothing of "
    "that run's cost with it."
)
PROTOCOL = ("method", "seeds", "train / val / test images", "decides on", "caps", "threads", "versions", "device")
CAPS = ("max_epochs", "max_seconds", "max_params", "max_layers", "max_filters")


def budgets(groups: Sequence[RunGroup]) -> Html:
    """The ledger of every group."""
    header = ("method", *(name for name, _, _ in SPENT))
    rows = [(group.label, *(form(group.mean(key)) for _, key, form in SPENT)) for group in groups]
    return tag("div", tag("h3", "What was spent"), table(header, rows), tag("p", LEDGER, class_="quiet"), class_="card")


def protocol(groups: Sequence[RunGroup]) -> Html:
    """Seeds, images, what decisions looked at, caps, versions and devices of every group."""
    rows = [_protocol(group) for group in groups]
    return tag("div", tag("h3", "How it was measured"), table(PROTOCOL, rows, len(PROTOCOL)), class_="card")


def _protocol(group: RunGroup) -> tuple[str, ...]:
    settings = [settings_of(run.config) for run in group.runs]
    results = [run.result for run in group.runs]
    return (
        group.label,
        _all(shown(result.get("seed"), 12) for result in results),
        _all(_splits(result.get("splits")) for result in results),
        _all(_decides_on(each, result.get("splits")) for each, result in zip(settings, results, strict=True)),
        _all(_caps(each) for each in settings),
        _all(count(result.get("threads")) for result in results),
        _all(_versions(result.get("versions")) for result in results),
        _all(shown(result.get("device"), 40) for result in results),
    )


def _all(words: object) -> str:
    """The different ones, in the order of their first appearance."""
    found = list(dict.fromkeys(words))  # type: ignore[call-overload]
    return ", ".join(found[:6]) + (", …" if len(found) > 6 else "")


def _splits(splits: object) -> str:
    return " / ".join(count(value) for value in list(splits.values())[:3]) if isinstance(splits, dict) else MISSING


def _decides_on(settings: Settings, splits: object) -> str:
    if settings.get("data.val_from") == "test":
        return "TEST images"
    val = number(splits.get("val")) if isinstance(splits, dict) else None
    return MISSING if val is None else "validation images" if val else "training images"


def _caps(settings: Settings) -> str:
    values = {name: settings.get(f"algo.{name}", "0") for name in CAPS}
    kept = {name: value for name, value in values.items() if value not in ("0", "0.0")}
    return ", ".join(f"{name} {grouped(value)}" for name, value in kept.items()) or "none"


def _versions(versions: object) -> str:
    if not isinstance(versions, dict):
        return MISSING
    return ", ".join(f"{name} {shown(versions[name], 30)}" for name in ("growsearch", "torch") if name in versions)
