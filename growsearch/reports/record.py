"""What a run folder says, read with suspicion: it may come from someone else, be damaged or huge."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.events import KINDS
from growsearch.reports.numbers import number
from growsearch.run_folder import RunFolder
from growsearch.run_folder.events import read_events
from growsearch.run_folder.files import LARGEST_JSON, read_json
from growsearch.run_folder.folder import LARGEST_CONFIG

LARGEST_EVENTS = 64 * 2**20
"""Bytes of events that are read; more are named and left out, as are other files larger than runs have."""

NUMBERS = {"epoch": ("train_loss", "train_accuracy", "lr", "batch_size", "images", "params"), "edit": ("params",)}
"""Fields of an event that a drawing needs as numbers; events without them are left out (a loss may be infinite)."""


@dataclass
class RunRecord:
    """One run as far as it can be read.

    Attributes:
        path: its folder.
        result: result.json; empty while the run is not finished.
        config: text of config.yaml.
        architecture: network/architecture.json.
        epochs: epoch events in order.
        events: all other events in order; ``at`` is added, the number of epochs before it.
        remarks: what could not be read, and why.
    """

    path: Path
    result: dict[str, Any] = field(default_factory=dict)
    config: str = ""
    architecture: dict[str, Any] = field(default_factory=dict)
    epochs: list[dict[str, Any]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Method, data and seed; the folder's place where there is no result."""
        if not self.result:
            return f"{'/'.join(self.path.parts[-3:])} (not finished)"
        return f"{self.result.get('algo')} on {self.result.get('data')}, seed {self.result.get('seed')}"

    @property
    def method(self) -> dict[str, Any]:
        """What the method says of itself in the result."""
        found = self.result.get("method")
        return found if isinstance(found, dict) else {}

    def of(self, kind: str, name: str | None = None) -> list[dict[str, Any]]:
        """Events of a kind, and of a name where one is given."""
        return [e for e in self.events if e["kind"] == kind and (name is None or e.get("name") == name)]


def read_record(path: Path, *, story: bool = True) -> RunRecord:
    """Read a run folder; with ``story=False`` only its result and configuration.

    Raises:
        UserError: if the folder holds neither a result nor events.
    """
    folder, record = RunFolder(path), RunRecord(path)
    if not folder.result.is_file() and not folder.events.is_file():
        raise UserError(f"{path}: neither result.json nor events.jsonl found; the folder of a run expected")
    record.result = _json(record, folder.result)
    if _readable(record, folder.config, LARGEST_CONFIG):
        record.config = folder.config.read_text(encoding="utf-8", errors="replace")
    if story:
        record.architecture = _json(record, folder.network / "architecture.json")
        if _readable(record, folder.events, LARGEST_EVENTS):
            _read_story(record, folder.events)
    return record


def _read_story(record: RunRecord, path: Path) -> None:
    dropped, damaged = 0, list[int]()
    try:
        for event in read_events(path, damaged.append):
            if not _drawable(event):
                dropped += 1
            elif event["kind"] == "epoch":
                record.epochs.append(event)
            else:
                record.events.append({**event, "at": len(record.epochs)})
    except (UserError, OSError) as error:
        record.remarks.append(f"events.jsonl is damaged; what stands before is shown ({error})")
    if damaged:
        record.remarks.append(f"events.jsonl: {len(damaged)} damaged lines (the first is line {damaged[0]}); left out")
    if dropped:
        record.remarks.append(f"events.jsonl: {dropped} lines are not events as this version knows them; left out")


def _drawable(event: Any) -> bool:
    if not isinstance(event, dict) or str(event.get("kind")) not in KINDS:
        return False
    return all(isinstance(event.get(key), int | float) for key in NUMBERS.get(event["kind"], ())) and (
        number(event.get("epoch")) is not None
    )


def _json(record: RunRecord, path: Path) -> dict[str, Any]:
    if not _readable(record, path, LARGEST_JSON):
        return {}
    try:
        found = read_json(path)
    except UserError as error:
        record.remarks.append(str(error))
        return {}
    if not isinstance(found, dict):
        record.remarks.append(f"{path.name}: {type(found).__name__} found, an object expected")
        return {}
    return found


def _readable(record: RunRecord, path: Path, largest: int) -> bool:
    """Whether a file is there, no link out of the folder, and not too large."""
    if not path.is_file():
        return False
    if not path.resolve().is_relative_to(record.path.resolve()):
        record.remarks.append(f"{path.name} is a link out of the folder; not followed")
        return False
    if path.stat().st_size > largest:
        record.remarks.append(f"{path.name} holds {path.stat().st_size:,} bytes, more than {largest:,}; not read")
        return False
    return True
