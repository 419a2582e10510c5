"""The base of all actions: plain fields in, plain data out.

An action is a frozen dataclass. Its fields are what the journal keeps of it, and what a replay compares: its
class, its numbers and texts, and the names of its networks. A class of answers is a dataclass of plain types.
"""

import dataclasses
import json
import math
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

from growsearch.actions.workbench import Workbench
from growsearch.events import Event

Script = Generator[Any, Any, Any]
"""Yields actions and hears their answers; its return value is what it found."""

RELATIVE, ABSOLUTE = 1e-9, 1e-12
"""Numbers that a script computes may differ so far between processors."""


@dataclass(frozen=True)
class Net:
    """A script's handle of a network; the runner has the network itself.

    Attributes:
        name: what the runner keeps it under; a later network of that name takes its place.
        id: number of the network within its run; with a counter it names the draws of each step.
        spec: ``networks.build`` makes a network like it.
        params: trainable parameters, tied ones once.
    """

    name: str
    id: int
    spec: dict[str, Any]
    params: int


@dataclass(frozen=True)
class Failure:
    """The answer to an action that failed, where the script said that it can do without.

    Attributes:
        reason: what happened, in words for the record.
    """

    reason: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class Action:
    """Something a script asks for.

    Attributes:
        answers: the class of the answer; None for plain types.
        progress: the class of :meth:`position`; NoneType for actions without steps.
        may_fail: a loss that is not finite, or memory that runs out under ``out_of_memory=skip``, is answered with
            a :class:`Failure`; else the runner's policy holds.
    """

    answers: ClassVar[type | None] = None
    progress: ClassVar[type] = type(None)
    may_fail: bool = field(default=False, kw_only=True)

    @property
    def doing(self) -> str:
        """The action in words, for errors."""
        return type(self).__name__.lower()

    def steps(self, bench: Workbench, position: Any) -> Generator[Event | None, None, Any]:
        """Carry it out; yields None after each optimizer step, and events that come before the answer.

        The run may be saved at each yield: ``position``, from :meth:`position`, holds all progress.
        """
        return self.perform(bench)
        yield

    def perform(self, bench: Workbench) -> Any:
        """Carry it out at once, for actions without steps."""
        raise NotImplementedError(type(self).__name__)

    def position(self, bench: Workbench) -> Any:
        """State at the action's start, which can be saved; None for actions without steps."""
        return None

    def event(self, answer: Any) -> Event | None:
        """The line that views show of it; None where there is nothing to show."""
        return None


@dataclass(frozen=True)
class All:
    """Scripts that go on side by side; answered with their results, in their order.

    They share nothing, and the steps of their networks draw no random numbers on the device. Only the order of lines
    in the journal depends on ``at_once``.

    Attributes:
        scripts: each yields actions of its own.
        at_once: how many go on at a time in one process, the one least far in its pass first.
        work: passes of training that each script takes itself, or in any unit what those below it take: the largest
            begins first, and one may be left off between two passes, so that several processes end together.
        nested: each begins with an ``All`` of its own. Versions before 0.4 asked for that in one branch, script by
            script, and a journal that says so continues that way.
    """

    scripts: tuple[Script, ...]
    at_once: int = 1
    work: tuple[float, ...] = ()
    nested: bool = False


def asked(action: Action) -> dict[str, Any]:
    """The journal's record of an action."""
    fields = {f.name: plain(getattr(action, f.name)) for f in dataclasses.fields(action)}
    return {"action": type(action).__name__, **fields}


def answered(answer: Any) -> Any:
    """The journal's record of an answer, in JSON types."""
    if isinstance(answer, Failure):
        return {"failure": answer.reason}
    plain = dataclasses.asdict(answer) if dataclasses.is_dataclass(answer) and not isinstance(answer, type) else answer
    return json.loads(json.dumps(plain))


def plain(value: Any) -> Any:
    """A field as JSON types: networks by name, functions and changes by theirs."""
    if isinstance(value, Net):
        return value.name
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"is": type(value).__name__, **fields}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if callable(value):
        return value.__qualname__
    return value


def difference(ours: Any, theirs: Any, path: str = "") -> str | None:
    """Difference of two records of an action, in words; None if only rounding differs.

    Fields that a later version added, at a value that is zero, false or empty, are no difference: they change nothing.
    """
    if isinstance(ours, dict) and isinstance(theirs, dict):
        ours = {key: value for key, value in ours.items() if value or key in theirs}
        if ours.keys() != theirs.keys():
            return f"{path or 'action'}: {sorted(ours)} asked, {sorted(theirs)} recorded"
        return _first(difference(ours[key], theirs[key], f"{path}.{key}".lstrip(".")) for key in ours)
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return _first(difference(a, b, f"{path}[{i}]") for i, (a, b) in enumerate(zip(ours, theirs, strict=True)))
    if _same(ours, theirs):
        return None
    return f"{path}: {ours!r} asked, {theirs!r} recorded"


def _first(found: Iterator[str | None]) -> str | None:
    return next((each for each in found if each is not None), None)


def _same(a: Any, b: Any) -> bool:
    numbers = [isinstance(x, int | float) and not isinstance(x, bool) for x in (a, b)]
    if all(numbers) and (isinstance(a, float) or isinstance(b, float)):
        return math.isclose(a, b, rel_tol=RELATIVE, abs_tol=ABSOLUTE) or (a != a and b != b)
    return type(a) is type(b) and bool(a == b)
