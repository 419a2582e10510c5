"""Read run folders, whoever wrote them: everything comes back typed, bounded and printable.

A folder may be unfinished, damaged, huge or made to do harm, and it may have been written by another
version. Reports, tables and views read through this module and need no checks of their own.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypedDict, TypeVar, cast, get_type_hints

import msgspec
import yaml

from growsearch.errors import UserError
from growsearch.events import Event
from growsearch.run_folder.files import LARGEST_JSON, read_json
from growsearch.run_folder.folder import LARGEST_CONFIG, RunFolder
from growsearch.run_folder.lines import EpochLine, Line, every_line, plain_line
from growsearch.run_folder.plain import flat, lookup, number, plain, short
from growsearch.run_folder.story import Story, StoryReader, name_of
from growsearch.text import printable
from growsearch.untrusted import check_yaml, tail

LARGEST_EVENTS = 4 * 2**30
"""Bytes of events.jsonl that are read, in bounded memory."""

LARGEST_THUMBNAIL = 2**16
"""Bytes of a picture in a report."""

LONGEST_LOG = 2**16
"""Bytes of log.txt that are shown, from its end."""

LATENCY, MOST_LATENCIES = "latency of ", 20
"""How keys of measured latencies begin, and how many a result has at most."""

E = TypeVar("E", bound=Event)


class Result(TypedDict, total=False):
    """Keys of result.json; one is missing where the file lacks it or has a value of another type."""

    algo: str
    data: str
    seed: int
    schedule: str
    fingerprint: str
    command: str | None
    git: str | None
    val_accuracy: float
    val_loss: float
    test_accuracy: float
    test_top5: float
    test_loss: float
    params: float
    params_paper: float
    macs: float
    memory_bytes: float
    peak_memory_bytes: float
    depth: float
    inference_seconds: float
    search_seconds: float
    train_seconds: float
    cpu_seconds: float
    total_seconds: float
    epochs: float
    winner_epochs: float
    steps: float
    images: float
    edits: float
    macs_spent: float
    networks_trained: float
    energy_kwh: float
    co2_kg: float
    device: str
    threads: int
    precision: str
    versions: dict[str, str]
    lossy: bool
    data_notes: list[str]
    splits: dict[str, int]
    judgement: dict[str, Any]
    method: dict[str, Any]


_RESULT_TYPES = get_type_hints(Result)


class RunRecord:
    """One run as far as it can be read; each file is read when it is first asked for.

    Args:
        path: the run's folder.
        reader: what reads its events, where they were read before.

    Attributes:
        path: the run's folder.
        remarks: what could not be read, and why.

    Raises:
        UserError: if the folder holds neither a result nor events.
    """

    def __init__(self, path: Path, reader: StoryReader | None = None) -> None:
        self.path, self._reader = path, reader
        self.remarks: list[str] = []
        self._folder = RunFolder(path)
        if not self._folder.result.is_file() and not self._folder.events.is_file():
            raise UserError(f"{path}: it has neither result.json nor events.jsonl; use the folder of a run")

    @cached_property
    def result(self) -> Result:
        """result.json with ``total_seconds`` added (search and training); empty while the run is not finished.

        Seconds that ``growsearch latency`` measured stand under :data:`LATENCY` and what they were measured with.
        """
        found: dict[str, Any] = {}
        for key, value in self._json(self._folder.result).items():
            try:
                found[key] = msgspec.convert(value, _RESULT_TYPES.get(key, Any))
            except msgspec.ValidationError:
                continue
        if found:
            found |= self._latencies()
            found["total_seconds"] = found.get("search_seconds", 0.0) + found.get("train_seconds", 0.0)
        return cast(Result, found)

    @property
    def method(self) -> dict[str, Any]:
        """The method's own part of the result."""
        return self.result.get("method", {})

    def mistake(self, name: object) -> bytes:
        """A thumbnail that ``judgement`` names, a PNG file; nothing where there is none of a bearable size."""
        if not isinstance(name, str) or not re.fullmatch(r"[0-9]{1,3}\.png", name.removeprefix("mistakes/")):
            return b""
        path = self._folder.mistakes / name.removeprefix("mistakes/")
        content = path.read_bytes() if self._readable(path, LARGEST_THUMBNAIL) else b""
        return content if content.startswith(b"\x89PNG\r\n") else b""

    @cached_property
    def architecture(self) -> dict[str, Any]:
        """network/architecture.json; empty where it cannot be read."""
        return self._json(self._folder.network / "architecture.json")

    @cached_property
    def config_text(self) -> str:
        """config.yaml as it stands; empty where it cannot be read."""
        if not self._readable(self._folder.config, LARGEST_CONFIG):
            return ""
        return printable(self._folder.config.read_text(encoding="utf-8", errors="replace"))

    @property
    def log(self) -> str:
        """The end of log.txt, what the console said; empty where it cannot be read."""
        if not self._readable(self._folder.log, LARGEST_EVENTS):
            return ""
        text = tail(self._folder.log, LONGEST_LOG)
        return printable(text.partition("\n")[2] if len(text) >= LONGEST_LOG else text)

    @cached_property
    def config(self) -> dict[str, Any]:
        """The configuration by section; empty where it cannot be read."""
        return config_of(self.config_text)

    @cached_property
    def options(self) -> dict[str, Any]:
        """The configuration by dotted name."""
        return flat(self.config)

    @cached_property
    def source(self) -> "RunRecord | None":
        """The run whose network or cells this one took, where its folder is still to be found.

        Named by ``network.run``, or by ``network.genotype``.
        """
        named = self.options.get("network.run") or self.options.get("network.genotype")
        try:
            return RunRecord(Path(named)) if isinstance(named, str) else None
        except (UserError, OSError, ValueError):
            return None

    @cached_property
    def story(self) -> "Story":
        """The events: all of a usual run, a sample of a long one."""
        if not self._readable(self._folder.events, LARGEST_EVENTS):
            return Story()
        story = (self._reader or StoryReader(self._folder.events)).read()
        self.remarks += story.remarks
        return story

    @property
    def epochs(self) -> list[EpochLine]:
        """Epochs in order; of more than some thousand a sample that holds the extremes, the first and the last."""
        return self.story.epochs

    def of(self, kind: type[E], name: str | None = None) -> list[Line[E]]:
        """Events of a kind, and of a name where one is given, in order; of very many an evenly spread sample."""
        found = [line for line in self.story.lines if isinstance(line.event, kind)]
        return cast(list[Line[E]], [line for line in found if name in (None, name_of(line.event))])

    def every(self, *kinds: type[E]) -> Iterator[Line[E]]:
        """All events of some kinds in order, for what has to see each one; of a long run, from its file anew."""
        known: list[Line[Any]] = [*self.story.lines, *self.story.epochs]
        if not self.story.sampled:
            yield from (line for line in known if isinstance(line.event, kinds))
        elif any(isinstance(line.event, kinds) for line in known):
            found = (line for line, _ in every_line(self._folder.events))
            yield from (plain_line(cast(Line[E], line)) for line in found if isinstance(line.event, kinds))

    def value(self, name: str) -> Any:
        """An option (``algo.alpha``), one of the source's (``source.algo.delta``), or a key of the result."""
        head, _, rest = name.partition(".")
        if head == "source":
            return self.source.value(rest) if self.source is not None else None
        if rest and head in ("algo", "data", "network", "schedule"):
            return lookup(self.config, name)
        return lookup(self.result, name)

    def _latencies(self) -> dict[str, float]:
        found: dict[str, float] = {}
        measured = self._json(self._folder.latency).get("measured")
        for one in measured[:MOST_LATENCIES] if isinstance(measured, list) else ():
            if isinstance(one, dict) and one.get("candidate") is None and (seconds := number(one.get("median"))):
                batch, threads = count_text(one.get("batch"), "image"), count_text(one.get("threads"), "thread")
                where = (
                    f"{short(str(one.get('device')), 60)}, {threads}" if one.get("threads") else str(one.get("device"))
                )
                found[f"{LATENCY}{batch} ({short(where, 80)})"] = seconds
        return found

    def _json(self, path: Path) -> dict[str, Any]:
        if not self._readable(path, LARGEST_JSON):
            return {}
        try:
            found = plain(read_json(path))
        except UserError as error:
            self.remarks.append(str(error))
            return {}
        if not isinstance(found, dict):
            self.remarks.append(f"{path.name}: it holds a {type(found).__name__} instead of an object")
            return {}
        return found

    def _readable(self, path: Path, largest: int) -> bool:
        """Whether a file is there, no link out of the folder, and not too large."""
        if not path.is_file():
            return False
        if not path.resolve().is_relative_to(self.path.resolve()):
            self.remarks.append(f"{path.name} is a link out of the folder; not followed")
            return False
        if path.stat().st_size > largest:
            self.remarks.append(f"{path.name} holds {path.stat().st_size:,} bytes, more than {largest:,}; not read")
            return False
        return True


def find_runs(places: Sequence[Path]) -> list[Path]:
    """Folders of runs: those named (by themselves or by their result.json), and all finished ones below folders.

    Raises:
        UserError: if a place does not exist or holds no run.
    """
    found: dict[Path, Path] = {}
    for place in places:
        for folder in _below(place):
            found.setdefault(folder.resolve(), folder)
    return list(found.values())


def count_text(count: object, noun: str) -> str:
    """A count with its noun, in the plural unless it is one."""
    return f"1 {noun}" if count == 1 else f"{short(str(count), 12)} {noun}s"


def _below(place: Path) -> list[Path]:
    if place.is_file() and place.name == "result.json":
        return [place.parent]
    if not place.is_dir():
        raise UserError(f"{place}: there is no such folder; use a run's folder or one above it")
    if (place / "result.json").is_file() or (place / "events.jsonl").is_file():
        return [place]
    below = sorted(path.parent for path in place.rglob("result.json") if path.is_file())
    if not below:
        raise UserError(f"{place}: no finished run below it; growsearch run writes below outputs/")
    return below


def config_of(text: str) -> dict[str, Any]:
    """A config.yaml's text by section; empty where it is no YAML, unfolds without end or holds no sections."""
    try:
        check_yaml(text)
        found = yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return plain(found) if isinstance(found, dict) else {}
