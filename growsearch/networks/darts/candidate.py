"""A candidate operation of an edge: its type and settings, without weights."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from growsearch.errors import UserError

_LABEL = re.compile(
    r"conv(?P<kernel>\d+)(?:d(?P<dilation>\d+))?\[(?P<expansions>[\d,]*)\]|(?P<kind>max|avg)(?P<pool>\d+)"
)
_PLAIN = ("none", "skip", "conv_7x1_1x7")


@dataclass(frozen=True)
class Candidate:
    """An operation an edge can hold (PR-DARTS III-B).

    ``op`` is none, skip, pool, conv or conv_7x1_1x7 (only in AmoebaNet's cells). A conv is a stack of
    ``len(expansions) + 1`` depthwise-separable blocks that share ``kernel`` and ``dilation``;
    ``expansions`` are the inner widths as multiples of the candidate's input width.
    """

    op: str
    kernel: int = 0
    dilation: int = 0
    expansions: tuple[int, ...] = ()
    kind: str = ""

    @property
    def is_conv(self) -> bool:
        """Whether morphisms apply to it."""
        return self.op == "conv"

    @property
    def label(self) -> str:
        """Short unique name: conv3[1], conv5d2[], max3, avg3, skip, none; see :func:`parse`."""
        if self.is_conv:
            dilation = f"d{self.dilation}" if self.dilation != 1 else ""
            return f"conv{self.kernel}{dilation}[{','.join(map(str, self.expansions))}]"
        return f"{self.kind}{self.kernel}" if self.op == "pool" else self.op

    def to_json(self) -> dict[str, Any]:
        """Plain types, only the settings its type has."""
        if self.is_conv:
            settings = {"kernel": self.kernel, "dilation": self.dilation, "expansions": list(self.expansions)}
            return {"op": self.op, **settings}
        return {"op": self.op, "kind": self.kind, "kernel": self.kernel} if self.op == "pool" else {"op": self.op}


def conv(kernel: int, dilation: int = 1, expansions: tuple[int, ...] = ()) -> Candidate:
    """A stack of depthwise-separable blocks."""
    return Candidate("conv", kernel, dilation, expansions)


def pool(kind: str, kernel: int = 3) -> Candidate:
    """A pooling; ``kind`` is max or avg."""
    return Candidate("pool", kernel, kind=kind)


def parse(label: str) -> Candidate:
    """Inverse of :attr:`Candidate.label`.

    Raises:
        UserError: if no candidate has that label.
    """
    if label in _PLAIN:
        return Candidate(label)
    match = _LABEL.fullmatch(label)
    if match is None:
        raise UserError(f"candidate: {label!r} is not accepted; use conv3[1], conv3d2[], max3, avg3, skip or none")
    if match["kind"]:
        return pool(match["kind"], int(match["pool"]))
    expansions = tuple(int(m) for m in match["expansions"].split(",") if m)
    return conv(int(match["kernel"]), int(match["dilation"] or 1), expansions)


def from_json(record: Mapping[str, Any]) -> Candidate:
    """Inverse of :meth:`Candidate.to_json`.

    Raises:
        UserError: if the record names no known operation.
    """
    op = record.get("op")
    if op == "conv":
        return conv(int(record["kernel"]), int(record["dilation"]), tuple(record["expansions"]))
    if op == "pool" and record.get("kind") in ("max", "avg"):
        return pool(record["kind"], int(record["kernel"]))
    if op not in _PLAIN:
        raise UserError(f"genotype: operation {dict(record)!r} is not accepted; use one of conv, pool, skip, none")
    return Candidate(op)
