"""Events of a run as plain dataclasses: the single record that every view is drawn from.

Events carry no times, so two runs with one seed give equal events; whoever writes them down adds
the clock. Accuracies are fractions, losses nats, sizes parameter counts.
"""

import dataclasses
from dataclasses import dataclass, field
from typing import Any

import msgspec


@dataclass(frozen=True)
class Event:
    """Something that happened to the network ``network`` (an id of the run)."""

    network: int

    @property
    def kind(self) -> str:
        """The name an event goes by in events.jsonl."""
        return type(self).__name__.lower()

    def to_json(self) -> dict[str, Any]:
        """Plain types, ``kind`` first."""
        return {"kind": self.kind, **dataclasses.asdict(self)}


@dataclass(frozen=True)
class Epoch(Event):
    """One pass of training (or the stated part of one), and what was measured after it."""

    phase: str
    epoch: int
    train_loss: float
    train_accuracy: float
    val_loss: float | None
    val_accuracy: float | None
    lr: float
    batch_size: int
    images: int
    params: int


@dataclass(frozen=True)
class Edit(Event):
    """A structural change: ``op`` is its name, ``where`` the place in the method's own terms."""

    op: str
    where: str
    epoch: int
    params: int
    accuracy: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Measure(Event):
    """Numbers a method bases its decisions on: ``values`` of the quantity ``name``."""

    name: str
    epoch: int
    values: dict[str, Any]


@dataclass(frozen=True)
class Phase(Event):
    """The run enters another part of the method, such as "growth" or "final training"."""

    name: str
    epoch: int
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Note(Event):
    """A remark a reader of the result must know: a clamp, a fallback, a policy that took effect."""

    text: str
    epoch: int = 0


KINDS: dict[str, type[Event]] = {cls.__name__.lower(): cls for cls in (Epoch, Edit, Measure, Phase, Note)}


def from_json(record: dict[str, Any]) -> Event:
    """Inverse of :meth:`Event.to_json`; keys that a writer added (its clock) are left out.

    Raises:
        KeyError: for a kind that does not exist.
        TypeError: for a field that is missing or of another type.
    """
    try:
        return msgspec.convert(record, KINDS[record["kind"]])
    except msgspec.ValidationError as error:
        raise TypeError(f"{record['kind']} event: {error}") from error
