"""Runs a method that is a script: carries out what it asks, journals the answers, replays them on resume.

Durable execution: a resumed script starts anew and hears its recorded answers, without anything being carried out
again; the action that was under way goes on at its very step.
"""

import dataclasses
import json
import math
import time
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from torch import nn

from growsearch.actions import Action, All, Expect, Failure, Net, Script, Workbench
from growsearch.actions.base import asked, difference
from growsearch.algorithms.base import Algorithm, Found, Outcome
from growsearch.errors import UserError
from growsearch.events import Event
from growsearch.runner.carrier import Carrier
from growsearch.runner.crew import Crew, Worker, names_in
from growsearch.training import Engine


@dataclass(frozen=True)
class Line:
    """A line of the journal.

    Attributes:
        record: plain types; views read the event's fields, a replay ``branch``, ``ask`` and ``answer``.
        event: what views show; None for an action that shows nothing.
    """

    record: dict[str, Any]
    event: Event | None


class At(Enum):
    """A branch on a worker yields it in place of a line: at work, or standing still for the run to be saved."""

    WORK = auto()
    HALT = auto()


Branch = Generator[Line | At | None, None, Any]


class ScriptRunner:
    """One run of a method: its live networks, its script, and where in an action each branch of it stands.

    Attributes:
        bench: engine and networks.
        crew: worker processes that branches may be carried out on.
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
        self.carrier, self.crew = Carrier(self.bench), Crew(engine)
        self.branches: dict[str, Branch] = {}
        self.results: dict[str, Any] = {}
        self.halting = False
        self.expected: int | None = None
        self.found: Found | None = None
        self.running = False
        self.journal: dict[str, deque[tuple[int, dict[str, Any]]]] = defaultdict(deque)
        self.begun: deque[Line] = deque()
        self.lines = self._search()

    def begin(self) -> None:
        """Carry the script out up to its first :class:`Expect`, so that errors come before anything is written."""
        if self.running:
            return
        for line in self.lines:
            if isinstance(line, Line):
                self.begun.append(line)
            if self.running:
                return

    def run(self) -> Iterator[Line | None]:
        """Go on to the end: yields None after each optimizer step, and each line as it is to be written."""
        while self.begun:
            yield self.begun.popleft()
        for found in self.lines:
            if not isinstance(found, At):
                yield found

    def outcome(self) -> Outcome:
        """The search's outcome, with live networks.

        Raises:
            RuntimeError: if the script has not ended.
        """
        if self.found is None:
            raise RuntimeError("the search has not ended")
        return Outcome([self.bench.networks[net.name] for net in self.found.networks], self.found)

    def settle(self) -> Iterator[Line | None]:
        """Bring branches on workers to where they can be saved; yields what they had yet to tell."""
        self.halting = True
        for name in [worker.branch for worker in self.crew.workers if worker.branch]:
            while (found := self._advance(name)) is not At.HALT and name in self.branches:
                if not isinstance(found, At):
                    yield found

    def save(self) -> dict[str, Any]:
        """Networks, phases of training and positions, as plain types and tensors; the journal is kept by the caller."""
        tree = self.carrier.save()
        for worker in self.crew.workers:
            if worker.branch and worker.held:
                tree["networks"] = {name: kept for name, kept in tree["networks"].items() if name not in worker.held}
                tree["fits"] = {name: kept for name, kept in tree["fits"].items() if name not in worker.held}
                tree = {part: tree[part] | theirs for part, theirs in worker.state().items()}
        self.halting = False
        return {**tree, "seconds": self.bench.clock()}

    def load(self, tree: dict[str, Any], journal: Iterable[dict[str, Any]]) -> None:
        """Continue from a saved state, with the records of all lines up to it.

        Raises:
            UserError: if the tree is not the state of a run, or the script asks for other actions than before.
        """
        for number, record in enumerate(journal):
            if "ask" in record:
                self.journal[record["branch"]].append((number, record))
        self.carrier.clear()
        self.carrier.take_in(tree)
        self.bench.start_clock(float(tree["seconds"]))

    def close(self) -> None:
        """End the workers."""
        self.crew.close()

    def _search(self) -> Branch:
        """The method's script to its end."""
        self.found = yield from self._drive(self.method.search(), "")
        self.close()

    def _drive(self, script: Script, branch: str) -> Branch:
        """One branch to its end: replay what the journal has, then carry out what is asked; its return value."""
        answer = None
        while True:
            try:
                action = script.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(action, Expect):
                self.expected, self.running = action.epochs, True
            if isinstance(action, All) and self._recorded_in(branch):
                answer = yield from self._one_after_another(action, branch)
            elif isinstance(action, All):
                answer = yield from self._side_by_side(action, branch)
            elif self.journal[branch]:
                answer = self._replayed(action, self.journal[branch].popleft()[1])
            else:
                answer = yield from self._carried_out(action, branch)

    def _carried_out(self, action: Action, branch: str) -> Branch:
        """Carry an action out, and put it into the journal."""
        worker = self.crew.of(branch)
        if worker is not None and not _for_a_worker(action):
            if worker.held.intersection(names_in(action)):
                self._bring_home(worker)
            worker = None
        if worker is None:
            steps = _Returning(self.carrier.carry_out(action, branch))
            for event in steps:
                yield None if event is None else Line({**event.to_json(), "branch": branch}, event)
            answer = steps.value
        else:
            answer = yield from self._carried_out_by(worker, action, branch)
        event = action.event(answer) if not isinstance(answer, Failure) else None
        told = event.to_json() if event is not None else {"kind": "action"}
        yield Line({**told, "branch": branch, "ask": asked(action), "answer": _plain(answer)}, event)
        return answer

    def _carried_out_by(self, worker: Worker, action: Action, branch: str) -> Branch:
        """Have a worker carry an action out; its answer."""
        while self.halting:
            yield At.HALT
        worker.order(action, self.carrier, branch)
        while True:
            yield At.WORK
            report = worker.report()
            self.bench.engine.work.add(report.work)
            self.bench.engine.notes += report.notes
            yield from [None] * report.steps
            if report.event is not None:
                yield Line({**report.event.to_json(), "branch": branch}, report.event)
            if report.ended:
                return report.answer
            while self.halting:
                yield At.HALT
            worker.go_on()

    def _bring_home(self, worker: Worker) -> None:
        """Take back what a worker's branch has."""
        if not worker.held:
            return
        tree = worker.state(all=True)
        for name in worker.held - tree["networks"].keys():
            self.bench.drop(name)
        self.carrier.take_in(tree)
        worker.held = set()

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

    def _recorded_in(self, branch: str) -> bool:
        """Whether what is asked next was recorded, or is under way, in a branch itself and not in one below it."""
        below = [kept[0][0] for name, kept in self.journal.items() if kept and name.startswith(f"{branch}/")]
        if ours := self.journal[branch]:
            return ours[0][0] < min(below, default=math.inf)
        return not below and branch in self.carrier.positions

    def _one_after_another(self, action: All, branch: str) -> Branch:
        """Results of scripts that an earlier version asked for one after another, in the branch itself."""
        results = []
        for script in action.scripts:
            results.append((yield from self._drive(script, branch)))
        return results

    def _side_by_side(self, action: All, branch: str) -> Branch:
        """Let scripts go on in turn, the one least far in its pass first, or on workers; their results in order."""
        self.bench.engine.open_cuda_streams(action.at_once)
        names = [f"{branch}/{number}" for number in range(len(action.scripts))]
        waiting = deque(zip(names, action.scripts, strict=True))
        while waiting or any(name in self.branches for name in names):
            running = [name for name in names if name in self.branches]
            if waiting and self._has_room(waiting[0][0], running, action.at_once):
                name, script = waiting.popleft()
                self.branches[name] = self._drive(script, name)
                continue
            found = self._advance(running[0] if self.crew.of(branch) else self._next(running))
            if found is not At.WORK or self.crew.of(branch):
                yield found
        return [self.results.pop(name) for name in names]

    def _has_room(self, name: str, running: list[str], at_once: int) -> bool:
        """Whether a branch may begin beside those that run; where workers do them, one is given it."""
        if self.crew.of(name):  # the worker that has the branch above it
            return not running
        self.crew.muster()
        if not self.crew.ready:
            return len(running) < at_once
        if (worker := self.crew.free()) is not None:
            worker.branch = name
        return worker is not None

    def _next(self, running: list[str]) -> str:
        """The branch to go on with: one whose worker reports, or of those here the one least far in its pass."""
        here = [name for name in running if not self.crew.of(name)]
        reporting = self.crew.first(block=not here)
        return reporting or min(here, key=lambda one: getattr(self.carrier.positions.get(one), "used", 0))

    def _advance(self, name: str) -> "Line | At | None":
        """Let a branch go on to its next yield, or to its end."""
        worker, began = self.crew.of(name), time.process_time()
        try:
            return next(self.branches[name])
        except StopIteration as end:
            self.results[name] = end.value
            del self.branches[name]
            if worker is not None and worker.branch == name:
                self._bring_home(worker)
                worker.branch = ""
            return At.WORK
        finally:
            if worker is None:
                self.crew.seconds_alone += time.process_time() - began


class _Returning:
    """Iterates over a generator and keeps what it returns."""

    def __init__(self, steps: Generator[Event | None, None, Any]) -> None:
        self.steps, self.value = steps, None

    def __iter__(self) -> Generator[Event | None, None, None]:
        self.value = yield from self.steps


def _for_a_worker(action: Action) -> bool:
    """Whether a worker can carry an action out: it is about a live network, and reads no module that was handed in."""
    sources = getattr(action, "sources", ())
    return isinstance(getattr(action, "net", None), Net) and all(isinstance(source, Net) for source in sources)


def _plain(answer: Any) -> Any:
    """An answer as JSON types."""
    if isinstance(answer, Failure):
        return {"failure": answer.reason}
    plain = dataclasses.asdict(answer) if dataclasses.is_dataclass(answer) and not isinstance(answer, type) else answer
    return json.loads(json.dumps(plain))
