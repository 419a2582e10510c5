"""Read events.jsonl in one pass and bounded memory: all events of a usual run, a sample of a long one.

A reader that is kept goes on where it stopped, so that a run can be followed while it grows.
"""

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Generic, cast

from growsearch.events import Edit, Epoch, Event, Measure, Phase
from growsearch.run_folder.lines import Damage, E, EpochLine, Line, NetworkState, Reading, every_line, plain_line
from growsearch.run_folder.plain import short

MOST_KEPT = 2048
"""Epochs, and events of one kind and name, up to which all are kept; of more an evenly spread sample."""

MOST_NETWORKS = 256
"""States of networks that are kept; of more an evenly spread sample."""

MOST_NAMES = 64
"""Names of edits, measures and phases with a sample of their own; all further ones share one."""

MOST_BYTES = 32 * 2**20
"""Bytes of all lines that are kept."""


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
        networks: states of networks in order, where the run is followed; of very many an evenly spread sample.
        expected: epochs of the whole run, as the method last said; None if it cannot say.
        seconds: of the run when its last epoch ended; None without a clock.
    """

    epochs: list[EpochLine] = field(default_factory=list)
    num_epochs: int = 0
    num_turns: int = 0
    lines: list[Line[Event]] = field(default_factory=list)
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    best: EpochLine | None = None
    remarks: list[str] = field(default_factory=list)
    networks: list[Line[NetworkState]] = field(default_factory=list)
    expected: int | None = None
    seconds: float | None = None

    def number(self, kind: str) -> int:
        """Number of events of a kind."""
        return sum(count for (each, _), count in self.counts.items() if each == kind)

    @property
    def sampled(self) -> bool:
        """Whether anything is left out of ``epochs`` or ``lines``."""
        return len(self.epochs) < self.num_epochs or len(self.lines) < self.counts.total()


def name_of(event: Event) -> str:
    """Name that tells events of a kind apart: an edit's operation, a measure's or a phase's name."""
    if isinstance(event, Edit):
        return event.op
    return event.name if isinstance(event, Measure | Phase) else ""


class StoryReader:
    """Reads the events of a run, and later those that were added since; a file that was cut or replaced, anew.

    Args:
        path: of events.jsonl.
        following: whether it is read again while the run works; states of networks are kept then.
    """

    def __init__(self, path: Path, following: bool = False) -> None:
        self.path, self._following = path, following
        self._begin()

    def _begin(self) -> None:
        self._reading, self._damage = Reading(self._following), Damage()
        self._story, self._turn = Story(), -1
        self._epochs: Sample[Epoch] = Sample(MOST_KEPT, _loss)
        self._networks: Sample[NetworkState] = Sample(MOST_NETWORKS)
        self._others: dict[tuple[str, str], Sample[Event]] = {}

    def read(self) -> Story:
        """All events so far; damaged ones are left out and named in the remarks."""
        if self._reading.changed(self.path):
            self._begin()
        for line, num_bytes in every_line(self.path, self._damage, self._reading):
            self._take(line, num_bytes)
        kept = [plain_line(line) for sample in self._others.values() for line in sample.lines()]
        return replace(
            self._story,
            epochs=[cast(EpochLine, plain_line(line)) for line in self._epochs.lines()],
            num_epochs=self._epochs.count,
            lines=sorted(kept, key=lambda line: line.place),
            counts=self._story.counts.copy(),
            remarks=list(self._damage.remarks()),
            networks=[plain_line(line) for line in self._networks.lines()],
            expected=self._reading.expected,
            seconds=self._reading.clock,
        )

    def _take(self, line: Line[Event], num_bytes: int) -> None:
        story = self._story
        if isinstance(line, EpochLine):
            self._epochs.add(line, 0)
            story.num_turns += line.event.network != self._turn
            self._turn = line.event.network
            if story.best is None or line.best_accuracy != story.best.best_accuracy:
                story.best = line if line.best_accuracy is not None else None
            return
        if isinstance(line.event, NetworkState):
            if self._following:
                self._networks.add(cast(Line[NetworkState], line), num_bytes)
                while self._networks.num_bytes > MOST_BYTES:
                    self._networks.halve()
            return
        key = (line.event.kind, short(name_of(line.event)))
        key = key if key in self._others or len(self._others) < MOST_NAMES else (key[0], "other")
        story.counts[key] += 1
        self._others.setdefault(key, Sample(MOST_KEPT)).add(line, num_bytes)
        while sum(sample.num_bytes for sample in self._others.values()) > MOST_BYTES:
            max(self._others.values(), key=lambda sample: sample.num_bytes).halve()


def _loss(event: Epoch) -> float:
    loss = event.train_loss if event.val_loss is None else event.val_loss
    return math.inf if math.isnan(loss) else loss
