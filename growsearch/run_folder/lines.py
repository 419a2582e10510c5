"""The lines of events.jsonl one by one: events, states of networks, and where a reader stands who comes back later."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic, TypeVar

import msgspec

from growsearch.errors import UserError
from growsearch.events import KINDS, Epoch, Event
from growsearch.run_folder.plain import LARGEST_WHOLE, number, plain, short
from growsearch.untrusted import parsing, require_plain

LONGEST_LINE = 4 * 2**20
"""Bytes of a line that are read."""

LAST_BYTES = 64
"""Bytes before the place where a reader stopped, which it looks at again before it goes on."""

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


@dataclass(frozen=True)
class NetworkState(Event):
    """A network as it is after it was made or changed: of the journal, for whoever shows how it grows.

    Attributes:
        name: what the run calls it.
        params: its number of parameters.
        spec: what it is, as in ``network/architecture.json``.
    """

    name: str
    params: int
    spec: dict[str, Any]


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


def plain_line(line: Line[E]) -> Line[E]:
    """A line whose texts are printable and cut, and whose trees hold nothing but plain types."""
    fields = {name: plain(value) for name, value in vars(line.event).items() if isinstance(value, str | dict)}
    return replace(line, event=replace(line.event, **fields))


@dataclass
class Reading:
    """How far a file was read, and what the lines so far lead up to.

    Attributes:
        following: whether the reader comes back, so that a last line without its end is left for then.
        offset: bytes read.
        last: the last of them, by which a file that was cut and written anew is recognised.
        place: lines read.
        at: epochs among them.
        clock: seconds at the last epoch; None if it told none.
        best_accuracy: of validation, so far.
        best_loss: likewise.
        expected: epochs of the whole run, as the method last said.
    """

    following: bool = False
    offset: int = 0
    last: bytes = b""
    place: int = 0
    at: int = 0
    clock: float | None = 0.0
    best_accuracy: float | None = None
    best_loss: float | None = None
    expected: int | None = None

    def changed(self, path: Path) -> bool:
        """Whether what was read is no longer what the file begins with."""
        if not self.offset:
            return False
        try:
            if require_plain(path) < self.offset:
                return True
            with path.open("rb") as file:
                file.seek(self.offset - len(self.last))
                return file.read(len(self.last)) != self.last
        except (OSError, UserError):
            return True

    def advance(self, raw: bytes) -> None:
        """A line was read."""
        self.offset, self.last, self.place = self.offset + len(raw), raw[-LAST_BYTES:], self.place + 1

    def epoch(self, event: Epoch, now: float | None) -> EpochLine:
        """An epoch with what only a reader of all epochs knows."""
        self.at += 1
        accuracy, loss = event.val_accuracy, event.val_loss
        if accuracy is not None and (self.best_accuracy is None or accuracy > self.best_accuracy):
            self.best_accuracy = accuracy if math.isfinite(accuracy) else self.best_accuracy
        if loss is not None and (self.best_loss is None or loss < self.best_loss):
            self.best_loss = loss if math.isfinite(loss) else self.best_loss
        seconds = None if now is None or self.clock is None else max(0.0, now - self.clock)
        self.clock = now
        return EpochLine(event, self.at, self.place, seconds, self.best_accuracy, self.best_loss)


def every_line(
    path: Path, damage: Damage | None = None, reading: Reading | None = None
) -> Iterator[tuple[Line[Event], int]]:
    """All events and states of networks one by one, each with its line's bytes; a line that was cut off is left out.

    Args:
        path: of events.jsonl.
        damage: where lines that are no events are counted.
        reading: where to begin; it is kept up to date.
    """
    damage, reading = damage or Damage(), reading or Reading()
    damage.end = ""
    try:
        with parsing(path, "not readable as events"):
            require_plain(path)
            with path.open("rb") as file:
                file.seek(reading.offset)
                while raw := file.readline(LONGEST_LINE):
                    event, now = _event(raw)
                    if (reading.following or event is None) and not raw.endswith(b"\n") and not file.peek(1):
                        return
                    reading.advance(raw)
                    if isinstance(event, Epoch):
                        yield reading.epoch(event, now), len(raw)
                    elif isinstance(event, Event):
                        yield Line(event, reading.at, reading.place), len(raw)
                    elif event is not OTHER:
                        damage.add(reading.place, event is UNFIT)
                    if b'"answer"' in raw:
                        state, expected = _journaled(raw)
                        reading.expected = expected or reading.expected
                        if state is not None:
                            yield Line(state, reading.at, reading.place), len(raw)
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


class _Answer(msgspec.Struct):
    name: str = ""
    id: int = 0
    params: int = 0
    spec: dict[str, Any] = msgspec.field(default_factory=dict)


class _Ask(msgspec.Struct):
    action: str = ""
    epochs: Any = None


class _Journaled(msgspec.Struct):
    ask: _Ask
    answer: Any = None


_JOURNALED = msgspec.json.Decoder(_Journaled)
_MAKERS = ("Build", "Take", "Edit")
"""Actions after which a network is another one."""


def _journaled(raw: bytes) -> tuple[NetworkState | None, int | None]:
    """Of a line of the journal, the network that was made or changed, and the epochs that the method expects."""
    if not any(name in raw for name in _MARKS):
        return None, None
    try:
        found = _JOURNALED.decode(raw)
        if found.ask.action == "Expect":
            epochs = number(found.ask.epochs)
            return None, int(epochs) if epochs is not None and 0 < epochs < LARGEST_WHOLE else None
        if found.ask.action not in _MAKERS:
            return None, None
        made = msgspec.convert(found.answer, _Answer)
    except (msgspec.MsgspecError, OverflowError, RecursionError):
        return None, None
    state = NetworkState(made.id, short(made.name), made.params, made.spec)
    return (state if made.spec and _countable(state) else None), None


_MARKS = tuple(f'"{name}"'.encode() for name in ("Expect", *_MAKERS))
