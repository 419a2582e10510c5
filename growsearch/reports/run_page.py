"""The page of one run."""

import shlex
from typing import Any

from growsearch.events import Note
from growsearch.reports.figures.architecture import architecture
from growsearch.reports.figures.timeline import speed, story
from growsearch.reports.judgement import judgement, reliability
from growsearch.reports.numbers import MISSING, count, milliseconds, percent, plain, search_time, size, time
from growsearch.reports.page import Page
from growsearch.reports.paper import papers_of
from growsearch.run_folder.read import LATENCY, RunRecord

MOST_NOTES = 50
MOST_ROWS = 60
LONGEST_CONFIG = 100_000

MEASURED = (
    ("training", "train_seconds", time),
    ("inference, ms", "cpu_inference_ms", plain),
    ("CO2, kg (estimate)", "co2_kg", plain),
)
"""What some methods tell of each of their networks."""


def _bytes(value: float) -> str:
    return f"{value / 2**20:,.2f} MiB" if value >= 2**18 else f"{value / 2**10:,.1f} KiB"


COSTS = (
    ("search (until the architecture was final)", "search_seconds", search_time),
    ("training after it", "train_seconds", time),
    ("inference on the test images", "inference_seconds", time),
    ("passes over the training images, all networks", "epochs", lambda value: plain(value, 4)),
    ("CPU time of all processes of the run", "cpu_seconds", time),
    ("epochs of the found network", "winner_epochs", lambda value: plain(value, 4)),
    ("training images used", "images", count),
    ("optimizer steps", "steps", count),
    ("MACs spent on training (forward passes)", "macs_spent", size),
    ("networks trained", "networks_trained", count),
    ("structural changes", "edits", count),
    ("parameters (trainable)", "params", count),
    ("parameters as the paper counts them", "params_paper", count),
    ("multiply-accumulates (MACs) of an image", "macs", count),
    ("memory of weights and maps of an image", "memory_bytes", _bytes),
    ("most memory in use, of the GPU or of the process", "peak_memory_bytes", _bytes),
    ("energy of the device, kWh", "energy_kwh", plain),
    ("CO2, kg", "co2_kg", plain),
)


def run_page(record: RunRecord) -> Page:
    """Story, network, the method's own figures, cost, configuration."""
    page = Page("run.html", title(record))
    own = {name: make for paper in papers_of(record) for name, make in paper.figures.items()}
    page.values = {
        "path": str(record.path),
        "identity": _identity(record),
        "key_figures": key_figures(record),
        "notes": _notes(record),
        "sampled": _sampled(record),
        "story": page.draw("story", story, record),
        "network": page.draw("architecture", architecture, record),
        "networks": _networks(record),
        "judged": judgement(record),
        "reliability": page.draw("reliability", reliability, record),
        "own": [drawing for name, make in own.items() for drawing in page.draw(name, make, record)],
        "costs": _costs(record),
        "speed": page.draw("speed", speed, record),
        "command": command(record),
        "versions": _versions(record),
        "config": record.config_text[:LONGEST_CONFIG] or MISSING,
    }
    page.remarks = [*record.remarks, *page.remarks]
    return page


def title(record: RunRecord) -> str:
    """Method, data and seed; the folder's place where there is no result."""
    result = record.result
    if not result:
        return f"{'/'.join(record.path.parts[-3:])} (not finished)"
    return f"{result.get('algo', MISSING)} on {result.get('data', MISSING)}, seed {result.get('seed', MISSING)}"


def command(record: RunRecord) -> str:
    """The command that made the run; without a record of it, its presets and seed as config.yaml has them."""
    if isinstance(said := record.result.get("command"), str):
        return said
    names = {"algo": ("algo.label", "algo.name"), "data": ("data.name",), "schedule": ("schedule.name",)}
    found = {key: next((record.options[n] for n in each if record.options.get(n)), None) for key, each in names.items()}
    found["seed"] = record.options.get("seed")
    words = [f"{key}={value}" for key, value in found.items() if value is not None]
    return shlex.join(["growsearch", "run", *words]) + "  # and what config.yaml sets beside these" if words else ""


def _identity(record: RunRecord) -> list[str]:
    """Schedule, device, fingerprint, and what limits the comparison with others; empty for an unfinished run."""
    result = record.result
    if not result:
        return []
    told = [f"schedule {result.get('schedule', MISSING)}", result.get("device", MISSING)]
    told += [result.get("precision", "float32"), f"fingerprint {result.get('fingerprint', MISSING)}"]
    lossy = "images were compressed with loss: not comparable with published numbers"
    return [*told, lossy] if result.get("lossy") else told


def key_figures(record: RunRecord) -> list[tuple[str, str]]:
    """The figures that a reader looks for first."""
    result, found = record.result, record.story
    if not result:
        best = found.best.best_accuracy if found.best is not None else None
        last = found.epochs[-1].event if found.epochs else None
        return [
            ("epochs so far", count(found.num_epochs)),
            ("changes so far", count(found.number("edit"))),
            ("best validation accuracy", percent(best)),
            ("last training loss", plain(last and last.train_loss)),
            ("parameters", size(last and last.params)),
        ]
    return [
        ("test accuracy", percent(result.get("test_accuracy"))),
        ("validation accuracy", percent(result.get("val_accuracy"))),
        ("parameters", size(result.get("params"))),
        ("MACs of an image", size(result.get("macs"))),
        ("search time", search_time(result.get("search_seconds"))),
        ("training after it", time(result.get("train_seconds"))),
    ]


def _notes(record: RunRecord) -> list[str]:
    """Remarks that the run made, and those on its data."""
    said = [line.event.text for line in record.of(Note)] + record.result.get("data_notes", [])
    return [*said[:MOST_NOTES], *([f"… and {len(said) - MOST_NOTES} more"] if len(said) > MOST_NOTES else [])]


def _sampled(record: RunRecord) -> str:
    found = record.story
    if not found.sampled:
        return ""
    total = f"{found.num_epochs:,} epochs and {found.number('edit'):,} structural changes"
    return (
        f"{total} are too many to draw one by one: figures show an even sample of them, with the lowest and highest "
        "loss of every few epochs. Counts, the best and the last are of all."
    )


def _networks(record: RunRecord) -> tuple[Any, ...] | None:
    """Header and rows of the method's list of networks, where its output is a list."""
    rows = [row for row in record.method.get("networks") or [] if isinstance(row, dict)][:MOST_ROWS]
    if not rows:
        return None
    measured = [(name, key, form) for name, key, form in MEASURED if any(row.get(key) is not None for row in rows)]
    header = ("network", "iteration", "depths", "epochs", "parameters", "MACs", "validation", "test")
    body = [
        (
            row.get("role", MISSING),
            plain(row.get("iteration")),
            str(row.get("depths", MISSING)),
            count(row.get("epochs")),
            size(row.get("params")),
            size(row.get("macs")),
            percent(row.get("val_accuracy")),
            percent(row.get("test_accuracy")),
            *(form(row.get(key)) for _, key, form in measured),
        )
        for row in rows
    ]
    return (*header, *(name for name, _, _ in measured)), body


def _costs(record: RunRecord) -> list[tuple[str, str]]:
    """Everything that was spent, counted the same way for every method."""
    result: Any = record.result
    rows = [(name, form(result[key])) for name, key, form in COSTS if key in result]
    if result.get("images") and result["total_seconds"]:
        rows.append(("training images a second, over the whole run", count(result["images"] / result["total_seconds"])))
    rows += [(key, milliseconds(value)) for key, value in result.items() if key.startswith(LATENCY)]
    if splits := result.get("splits"):
        rows.append(("images for training, validation, test", " / ".join(count(v) for v in list(splits.values())[:3])))
    return rows


def _versions(record: RunRecord) -> list[tuple[str, str]]:
    rows = list(record.result.get("versions", {}).items())[:MOST_ROWS]
    if "threads" in record.result:
        rows.append(("threads of the CPU", count(record.result["threads"])))
    for label, key in (("contents of the data", "data_digest"), ("commit of the working directory", "git")):
        if isinstance(told := record.result.get(key), str):
            rows.append((label, told[:MOST_ROWS]))
    return rows
