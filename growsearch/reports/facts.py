"""Tables of one run: result, cost, configuration, versions."""

from typing import Any

from growsearch.reports.markup import Html, shown, table, tag
from growsearch.reports.numbers import MISSING, count, number, percent, plain, size, time
from growsearch.reports.record import RunRecord
from growsearch.text import printable

MOST_NOTES = 50
MOST_ROWS = 60

MEASURED = (
    ("training", "train_seconds", time),
    ("inference, ms", "cpu_inference_ms", plain),
    ("CO2, kg (estimate)", "co2_kg", plain),
)
"""What some runs tell of each of their networks."""

REPEAT = (
    "Put a copy of this run's config.yaml alone into a new folder: growsearch resume FOLDER runs it there from the "
    "beginning. On the same versions, device and number of threads it gives the same events and weights."
)

COSTS = (
    ("search (until the architecture was final)", "search_seconds", time),
    ("training after it", "train_seconds", time),
    ("inference on the test images", "inference_seconds", time),
    ("passes over the training images, all networks", "epochs", lambda value: plain(value, 4)),
    ("epochs of the found network", "winner_epochs", lambda value: plain(value, 4)),
    ("training images used", "images", count),
    ("optimizer steps", "steps", count),
    ("MACs spent on training (forward passes)", "macs_spent", size),
    ("networks trained", "networks_trained", count),
    ("structural changes", "edits", count),
    ("parameters (trainable)", "params", count),
    ("parameters as the paper counts them", "params_paper", count),
    ("multiply-accumulates (MACs) of an image", "macs", count),
    ("memory of weights and maps of an image", "memory_bytes", lambda value: _bytes(value)),
    ("most memory in use, of the GPU or of the process", "peak_memory_bytes", lambda value: _bytes(value)),
    ("energy of the device, kWh", "energy_kwh", plain),
    ("CO2, kg", "co2_kg", plain),
)


def key_figures(record: RunRecord) -> list[tuple[str, str]]:
    """What a reader looks for first."""
    result = record.result
    if not result:
        return [("epochs so far", count(len(record.epochs))), ("changes so far", count(len(record.of("edit"))))]
    return [
        ("test accuracy", percent(result.get("test_accuracy"))),
        ("validation accuracy", percent(result.get("val_accuracy"))),
        ("parameters", size(result.get("params"))),
        ("MACs of an image", size(result.get("macs"))),
        ("search time", time(result.get("search_seconds"))),
        ("training after it", time(result.get("train_seconds"))),
    ]


def identity(record: RunRecord) -> Html | None:
    """Schedule, device, fingerprint and what limits the comparison with others, in a line."""
    result = record.result
    if not result:
        return None
    words = [f"schedule {shown(result.get('schedule'), 30)}", shown(result.get("device"), 80)]
    words += [f"{shown(result.get('precision'), 20)}", f"fingerprint {shown(result.get('fingerprint'), 30)}"]
    if result.get("lossy"):
        words.append("images were compressed with loss: not comparable with published numbers")
    return tag("p", " · ".join(words), class_="quiet")


def notes(record: RunRecord) -> Html | None:
    """Remarks that the run made, and those on its data."""
    said = [shown(event.get("text")) for event in record.of("note")]
    about = record.result.get("data_notes")
    said += [shown(text) for text in about] if isinstance(about, list) else []
    if not said:
        return None
    more = [f"… and {len(said) - MOST_NOTES} more"] if len(said) > MOST_NOTES else []
    return tag("ul", *(tag("li", text) for text in [*said[:MOST_NOTES], *more]), class_="notes card")


def networks(record: RunRecord) -> Html | None:
    """The method's list of networks, where its output is a list."""
    rows = record.method.get("networks")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        return None
    measured = [(name, key, form) for name, key, form in MEASURED if any(row.get(key) is not None for row in rows)]
    header: tuple[str, ...] = ("network", "iteration", "depths", "epochs", "parameters", "MACs", "validation", "test")
    body = [
        (
            shown(row.get("role"), 20),
            plain(row.get("iteration")),
            shown(row.get("depths"), 40),
            count(row.get("epochs")),
            size(row.get("params")),
            size(row.get("macs")),
            percent(row.get("val_accuracy")),
            percent(row.get("test_accuracy")),
            *(form(row.get(key)) for _, key, form in measured),
        )
        for row in rows[:MOST_ROWS]
    ]
    header += tuple(name for name, _, _ in measured)
    return tag("div", tag("h3", "Networks that were trained, in order"), table(header, body), class_="card")


def costs(record: RunRecord) -> Html | None:
    """Everything that was spent, counted the same way for every method."""
    result = record.result
    rows: list[tuple[str, str]] = [
        (name, form(result[key])) for name, key, form in COSTS if result.get(key) is not None
    ]
    spent = (number(result.get("search_seconds")) or 0) + (number(result.get("train_seconds")) or 0)
    images = number(result.get("images"))
    if images and spent:
        rows.append(("training images a second, over the whole run", count(images / spent)))
    if isinstance(splits := result.get("splits"), dict):
        rows.append(("images for training, validation, test", " / ".join(count(v) for v in list(splits.values())[:3])))
    return tag("div", table(None, rows), class_="card")


def configuration(record: RunRecord) -> Html:
    """config.yaml as it is, and the versions it ran with."""
    versions = record.result.get("versions")
    rows: list[tuple[str, Any]] = []
    if isinstance(versions, dict):
        rows = [(shown(name, 40), shown(value, 60)) for name, value in list(versions.items())[:MOST_ROWS]]
    rows += [("threads of the CPU", count(record.result.get("threads")))] if record.result else []
    text = printable(record.config) if record.config else MISSING
    return tag(
        "div",
        tag("p", REPEAT, class_="quiet"),
        table(("it ran with", ""), rows) if rows else Html(""),
        tag("details", tag("summary", "config.yaml"), tag("pre", text)),
        class_="card",
    )


def _bytes(value: object) -> str:
    found = number(value)
    if found is None:
        return MISSING
    return f"{found / 2**20:,.2f} MiB" if found >= 2**18 else f"{found / 2**10:,.1f} KiB"
