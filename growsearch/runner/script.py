"""Runs a method that is a script: carries out what it asks, journals the answers, replays them on resume.

Durable execution: a resumed script starts anew and hears its recorded answers, without anything being carried out
again; the action that was under way goes on at its very step.
"""

import dataclasses
import json
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from growsearch.actions import Action, All, Expect, Failure, Net, Script, Workbench
from growsearch.actions.base import asked, difference
from growsearch.algorithms.base import Algorithm, Found, Outcome
from growsearch.errors import Diverged, UserError
from growsearch.events import Event
from growsearch.runner.state import dump, restore
from growsearch.training import Engine, FitState, Network
from growsearch.training.out_of_memory import OutOfMemory, attempt
from growsearch.training.stateful import STATES


@dataclass(frozen=True)
class Line:
    """A line of the journal.

    Attributes:
        record: plain types; views read the event's fields, a replay ``branch``, ``ask`` and ``answer``.
        event: what views show; None for an action that shows nothing.
    """

    record: dict[str, Any]
    event: Event | None


class ScriptRunner:
    """One run of a method: its live networks, its script, and where in an action each branch of it stands.

    Attributes:
        bench: engine and networks.
        expected: epochs that the script expects, None if it cannot say.
        found: what it returned, once it has ended.
    """

    def __init__(self, method: type[Algorithm], config: Any, engine: Engine, given: Mapping[str, nn.Module]) -> None:
        """Take what the run consists of.

        Raises:
            UserError: if it does not fit together.
        """
        self.bench = Workbench(engine, given)
        self.method = method(config, self.bench.facts())
        self.positions: dict[str, Any] = {}
        self.expected: int | None = None
        self.found: Found | None = None
        self.running = False
        self.journal: dict[str, deque[dict[str, Any]]] = defaultdict(deque)
        self.begun: deque[Line] = deque()
        self.lines = self._drive(self.method.search(), "")

    def begin(self) -> None:
        """Carry the script out up to its first :class:`Expect`, so that errors come before anything is written."""
        for line in self.lines:
            if line is not None:
                self.begun.append(line)
            if self.running:
                return

    def run(self) -> Iterator[Line | None]:
        """Go on to the end: yields None after each optimizer step, and each line as it is to be written."""
        while self.begun:
            yield self.begun.popleft()
        yield from self.lines

    def outcome(self) -> Outcome:
        """What was found, with live networks.

        Raises:
            RuntimeError: if the script has not ended.
        """
        if self.found is None:
            raise RuntimeError("the search has not ended")
        return Outcome([self.bench.networks[net.name] for net in self.found.networks], self.found)

    def save(self) -> dict[str, Any]:
        """Networks, phases of training and positions, as plain types and tensors; the journal is kept by the caller."""
        self.bench.engine.wait()
        under_way = {id(position) for position in self.positions.values()}
        fits = {name: fit for name, fit in self.bench.fits.items() if id(fit) not in under_way}
        return {
            "networks": dump(self.bench.networks),
            "fits": dump(fits),
            "positions": dump(self.positions),
            "seconds": self.bench.clock(),
        }

    def load(self, tree: dict[str, Any], journal: Iterable[dict[str, Any]]) -> None:
        """Continue from a saved state, with the records of all lines up to it.

        Raises:
            UserError: if the tree is not the state of a run, or the script asks for other actions than before.
        """
        for record in journal:
            if "ask" in record:
                self.journal[record["branch"]].append(record)
        place = self.bench.engine.place
        self.bench.networks = _of_kind(restore(tree["networks"], place), Network, "networks")
        self.bench.fits = _of_kind(restore(tree["fits"], place), FitState, "fits")
        self.positions = _of_kind(restore(tree["positions"], place), tuple(STATES.values()), "positions")
        self.bench.start_clock(float(tree["seconds"]))

    def _drive(self, script: Script, branch: str) -> Generator[Line | None, None, Any]:
        """One branch to its end: replay what the journal has, then carry out what is asked; its return value."""
        answer = None
        while True:
            try:
                action = script.send(answer)
            except StopIteration as end:
                if not branch:
                    self.found = end.value
                return end.value
            if isinstance(action, Expect):
                self.expected, self.running = action.epochs, True
            if isinstance(action, All):
                answer = yield from self._side_by_side(action, branch)
            elif self.journal[branch]:
                answer = self._replayed(action, self.journal[branch].popleft())
            else:
                answer = yield from self._carried_out(action, branch)

    def _carried_out(self, action: Action, branch: str) -> Generator[Line | None, None, Any]:
        """Carry an action out, and put it into the journal."""
        net = getattr(action, "net", None)
        network = self.bench.networks.get(net.name) if isinstance(net, Net) else None
        try:
            with attempt(action.doing, network):
                self._begin(action, branch)
                for event in (steps := _Returning(action.steps(self.bench, self.positions.get(branch)))):
                    yield None if event is None else Line({**event.to_json(), "branch": branch}, event)
            answer = steps.value
        except (Diverged, OutOfMemory) as error:
            if not self._may_fail(action, error):
                raise
            answer = Failure(error.reason)
        self.positions.pop(branch, None)
        event = action.event(answer) if not isinstance(answer, Failure) else None
        told = event.to_json() if event is not None else {"kind": "action"}
        yield Line({**told, "branch": branch, "ask": asked(action), "answer": _plain(answer)}, event)
        return answer

    def _begin(self, action: Action, branch: str) -> None:
        """Put an action at its start, unless the checkpoint had it under way.

        Raises:
            UserError: if what was under way is another kind of action.
        """
        under_way = self.positions.get(branch)
        if under_way is None and (start := action.position(self.bench)) is not None:
            self.positions[branch] = start
        elif under_way is not None and not isinstance(under_way, action.progress):
            found = type(under_way).__name__
            raise UserError(f"checkpoint: a {found} is under way, but the run asks for {type(action).__name__}")

    def _may_fail(self, action: Action, error: Exception) -> bool:
        skips = isinstance(error, Diverged) or self.bench.engine.hardware.out_of_memory == "skip"
        return action.may_fail and skips

    def _replayed(self, action: Action, record: dict[str, Any]) -> Any:
        """The recorded answer, if the same was asked.

        Raises:
            UserError: if not.
        """
        if found := difference(json.loads(json.dumps(asked(action))), record["ask"]):
            raise UserError(
                f"events.jsonl: this version or configuration goes another way than the recorded run ({found}); "
                "continue it with the version that began it, or run it anew with output.again=true"
            )
        answer = record["answer"]
        if isinstance(answer, dict) and answer.keys() == {"failure"}:
            return Failure(answer["failure"])
        return action.answers(**answer) if action.answers is not None else answer

    def _side_by_side(self, action: All, branch: str) -> Generator[Line | None, None, list[Any]]:
        """Let scripts go on in turn, the one least far in its pass first; their results in order."""
        self.bench.engine.open_cuda_streams(action.at_once)
        waiting = deque((f"{branch}/{number}", script) for number, script in enumerate(action.scripts))
        running: dict[str, Iterator[Line | None]] = {}
        results: dict[str, Any] = {}
        names = [name for name, _ in waiting]
        while waiting or running:
            while waiting and len(running) < action.at_once:
                name, script = waiting.popleft()
                running[name] = self._drive(script, name)
            name = min(running, key=lambda one: getattr(self.positions.get(one), "used", 0))
            try:
                yield next(running[name])
            except StopIteration as end:
                results[name] = end.value
                del running[name]
        return [results[name] for name in names]


class _Returning:
    """Iterates over a generator and keeps what it returns."""

    def __init__(self, steps: Generator[Event | None, None, Any]) -> None:
        self.steps, self.value = steps, None

    def __iter__(self) -> Generator[Event | None, None, None]:
        self.value = yield from self.steps


def _of_kind(found: Any, kind: type | tuple[type, ...], name: str) -> dict[str, Any]:
    """What a checkpoint holds by name.

    Raises:
        UserError: if it holds anything else.
    """
    if not isinstance(found, dict) or not all(isinstance(value, kind) for value in found.values()):
        raise UserError(f"checkpoint: {name} are not what a run saves")
    return found


def _plain(answer: Any) -> Any:
    """An answer as JSON types."""
    if isinstance(answer, Failure):
        return {"failure": answer.reason}
    plain = dataclasses.asdict(answer) if dataclasses.is_dataclass(answer) and not isinstance(answer, type) else answer
    return json.loads(json.dumps(plain))
