"""Read events.jsonl in one pass and bounded memory: all events of a usual run, a sample of a long one."""

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, TypeVar, cast

import msgspec

from growsearch.errors import UserError
from growsearch.events import KINDS, Edit, Epoch, Event, Measure, Phase
from growsearch.run_folder.plain import LARGEST_WHOLE, number, plain, short
from growsearch.untrusted import parsing, require_plain

LONGEST_LINE = 4 * 2**20
"""Bytes of a line that are read."""

MOST_KEPT = 2048
"""Epochs, and events of one kind and name, up to which all are kept; of more an evenly spread sample."""

MOST_NAMES = 64
"""Names of edits, measures and phases that are told apart; all further ones share a sample."""

MOST_BYTES = 32 * 2**20
"""Bytes of all lines that are kept."""

E = TypeVar("E", bound=Event, covariant=True)


@dataclass(slots=True)
class Line(Generic[E]):
    """An event and where it stands.

    Attributes:
        event: what happened.
        at: epochs reported before it; for an epoch, its own number, from 1.
        place: its line in the file, from 1.
    """

    event: E
    at: int
    place: int


@dataclass(slots=True)
class EpochLine(Line[Epoch]):
    """An epoch with what only a reader of all epochs knows.

    Attributes:
        seconds: from the epoch before to this one; None without a clock.
        best_accuracy: best validation accuracy so far, of any network.
        best_loss: lowest validation loss so far.
    """

    seconds: float | None
    best_accuracy: float | None
    best_loss: float | None


@dataclass
class Story:
    """Contents of events.jsonl. Numbers, counts and the best are of the whole file, whatever is kept of it.

    Attributes:
        epochs: in order; of more than some thousand a sample with the extremes of the loss, the first and the last.
        num_epochs: of the file.
        num_turns: stretches of epochs of one network.
        lines: all other events in order; of very many of a kind and name an evenly spread sample.
        counts: of the other events by kind and name.
        best: the first epoch with the best validation accuracy.
        remarks: what could not be read, and why.
    """

    epochs: list[EpochLine] = field(default_factory=list)
    num_epochs: int = 0
    num_turns: int = 0
    lines: list[Line[Event]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    best: EpochLine | None = None
    remarks: list[str] = field(default_factory=list)

    def number(self, kind: str) -> int:
        """Number of events of a kind."""
        return sum(count for (each, _), count in self.counts.items() if each == kind)

    @property
    def sampled(self) -> bool:
        """Whether anything is left out of ``epochs`` or ``lines``."""
        return len(self.epochs) < self.num_epochs or len(self.lines) < self.counts.total()


UNFIT, OTHER = "unfit", "other"
"""In place of an event: its fields are not as this version knows them; it is of a kind that is not for readers."""


@dataclass
class Damage:
    """Lines that are no events."""

    num_lines: int = 0
    first: int = 0
    num_unfit: int = 0
    end: str = ""

    def add(self, place: int, unfit: bool) -> None:
        """A line is no JSON object, or no event as this version knows them."""
        self.num_unfit += unfit
        self.num_lines += not unfit
        self.first = self.first or (0 if unfit else place)

    def remarks(self) -> Iterator[str]:
        """Notes for the reader."""
        if self.end:
            yield f"events.jsonl is damaged; what stands before is shown ({self.end})"
        if self.num_lines:
            yield f"events.jsonl: {self.num_lines} damaged lines (the first is line {self.first}); left out"
        if self.num_unfit:
            yield f"events.jsonl: {self.num_unfit} lines are not events as this version knows them; left out"


_Bucket = tuple[tuple[float, Line[Any]], tuple[float, Line[Any]]]
"""Of some neighbours, the one where the key is lowest and the one where it is highest, each with its key."""


def _merged(left: _Bucket, right: _Bucket) -> _Bucket:
    low = right[0] if right[0][0] < left[0][0] else left[0]
    return low, right[1] if right[1][0] > left[1][0] else left[1]


class Sample(Generic[E]):
    """An evenly spread sample of a stream, in memory that does not grow with it.

    Args:
        most: lines kept; when there are more, neighbours are merged two by two.
        key: of neighbours, those where it is lowest and highest stay; without it, the first.
    """

    def __init__(self, most: int, key: Callable[[E], float] | None = None) -> None:
        self.count = self.num_bytes = 0
        self._most, self._key = most, key
        self._stride = 1
        self._kept: list[_Bucket] = []
        self._last: Line[E] | None = None

    def add(self, line: Line[E], num_bytes: int) -> None:
        """Take the next line of the stream, which was so long in the file."""
        if self.count % self._stride == 0 and len(self._kept) == self._most:
            self.halve()
        value = 0.0 if self._key is None else self._key(line.event)
        if self.count % self._stride == 0:
            self._kept.append(((value, line), (value, line)))
            self.num_bytes += num_bytes
        elif self._key is not None:
            low, high = self._kept[-1]
            if value < low[0] or value > high[0]:
                self._kept[-1] = _merged(self._kept[-1], ((value, line), (value, line)))
        self.count, self._last = self.count + 1, line

    def halve(self) -> None:
        """Merge neighbours."""
        pairs = zip(self._kept[::2], [*self._kept[1::2], None][: len(self._kept[::2])], strict=True)
        self._kept = [left if right is None or self._key is None else _merged(left, right) for left, right in pairs]
        self._stride, self.num_bytes = 2 * self._stride, self.num_bytes // 2

    def lines(self) -> list[Line[E]]:
        """The lines that are kept, in order, with the last one of the stream."""
        kept = [line for bucket in self._kept for _, line in bucket]
        kept += [self._last] if self._last is not None else []
        return sorted({line.place: line for line in kept}.values(), key=lambda line: line.place)


def name_of(event: Event) -> str:
    """Name that tells events of a kind apart: an edit's operation, a measure's or a phase's name."""
    if isinstance(event, Edit):
        return event.op
    return event.name if isinstance(event, Measure | Phase) else ""


def read_story(path: Path) -> Story:
    """Read all events once; what is damaged is left out and named in the remarks."""
    story, damage, network = Story(), Damage(), None
    epochs: Sample[Epoch] = Sample(MOST_KEPT, _loss)
    others: dict[tuple[str, str], Sample[Event]] = {}
    for line, num_bytes in every_line(path, damage):
        if isinstance(line, EpochLine):
            epochs.add(line, 0)
            story.num_turns += line.event.network != network
            network = line.event.network
            if story.best is None or line.best_accuracy != story.best.best_accuracy:
                story.best = line if line.best_accuracy is not None else None
            continue
        key = (line.event.kind, short(name_of(line.event)))
        key = key if key in others or len(others) < MOST_NAMES else (key[0], "other")
        story.counts[key] += 1
        others.setdefault(key, Sample(MOST_KEPT)).add(line, num_bytes)
        while sum(sample.num_bytes for sample in others.values()) > MOST_BYTES:
            max(others.values(), key=lambda sample: sample.num_bytes).halve()
    story.remarks = list(damage.remarks())
    story.num_epochs = epochs.count
    story.epochs = [cast(EpochLine, plain_line(line)) for line in epochs.lines()]
    kept = [plain_line(line) for sample in others.values() for line in sample.lines()]
    story.lines = sorted(kept, key=lambda line: line.place)
    return story


def _loss(event: Epoch) -> float:
    loss = event.train_loss if event.val_loss is None else event.val_loss
    return math.inf if math.isnan(loss) else loss


def plain_line(line: Line[E]) -> Line[E]:
    """A line whose texts are printable and cut, and whose trees hold nothing but plain types."""
    fields = {name: plain(value) for name, value in vars(line.event).items() if isinstance(value, str | dict)}
    return replace(line, event=replace(line.event, **fields))


def every_line(path: Path, damage: Damage | None = None) -> Iterator[tuple[Line[Event], int]]:
    """All events one by one, each with its line's bytes; a last line that was cut off is left out.

    Args:
        path: of events.jsonl.
        damage: where lines that are no events are counted.
    """
    damage = damage or Damage()
    at = place = 0
    clock: float | None = 0.0
    best_accuracy: float | None = None
    best_loss: float | None = None
    try:
        with parsing(path, "not readable as events"):
            require_plain(path)
            with path.open("rb") as file:
                while raw := file.readline(LONGEST_LINE):
                    place += 1
                    event, now = _event(raw)
                    if event is None and not raw.endswith(b"\n") and not file.peek(1):
                        return
                    if not isinstance(event, Epoch):
                        if isinstance(event, Event):
                            yield Line(event, at, place), len(raw)
                        elif event is not OTHER:
                            damage.add(place, event is UNFIT)
                        continue
                    at += 1
                    accuracy, loss = event.val_accuracy, event.val_loss
                    if accuracy is not None and (best_accuracy is None or accuracy > best_accuracy):
                        best_accuracy = accuracy if math.isfinite(accuracy) else best_accuracy
                    if loss is not None and (best_loss is None or loss < best_loss):
                        best_loss = loss if math.isfinite(loss) else best_loss
                    seconds = None if now is None or clock is None else max(0.0, now - clock)
                    clock = now
                    yield EpochLine(event, at, place, seconds, best_accuracy, best_loss), len(raw)
    except (UserError, OSError) as error:
        damage.end = str(error)


def _event(raw: bytes) -> tuple[Event | str | None, float | None]:
    """The event of a line and its clock; :data:`UNFIT`, :data:`OTHER`, or None where it is no JSON object."""
    try:
        head = _HEAD.decode(raw)
        decoder = _DECODERS.get(head.kind)
        if decoder is None:
            return OTHER, None
        event = decoder.decode(raw)
    except (msgspec.DecodeError, RecursionError):  # NaN and Infinity, which Python writes, among others
        return _odd_event(raw)
    return (event if _countable(event) else UNFIT), head.seconds


def _odd_event(raw: bytes) -> tuple[Event | str | None, float | None]:
    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(found, dict):
        return None, None
    if not isinstance(kind := found.get("kind"), str) or kind not in KINDS:
        return (OTHER if isinstance(kind, str) else UNFIT), None
    try:
        event = msgspec.convert(found, KINDS[kind])
    except (msgspec.ValidationError, OverflowError, RecursionError):
        return UNFIT, None
    return (event if _countable(event) else UNFIT), number(found.get("seconds"))


def _countable(event: Event) -> bool:
    """Whether its whole numbers are such as anything could have counted."""
    if isinstance(event, Epoch):
        return max(event.epoch, event.network, event.images, event.params, event.batch_size) < LARGEST_WHOLE
    return all(not isinstance(value, int) or abs(value) < LARGEST_WHOLE for value in vars(event).values())


class _Head(msgspec.Struct):
    kind: str
    seconds: float | None = None


_HEAD = msgspec.json.Decoder(_Head)
_DECODERS: dict[str, msgspec.json.Decoder[Event]] = {kind: msgspec.json.Decoder(cls) for kind, cls in KINDS.items()}
