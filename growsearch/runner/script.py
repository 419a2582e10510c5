"""Runs a method that is a script: carries out what it asks, journals the answers, replays them on resume.

Durable execution: a resumed script starts anew and hears its recorded answers, without anything being carried out
again; the action that was under way goes on at its very step.
"""

import dataclasses
import json
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
    """What a branch yields in place of a line: a worker is at work on it, or it stands still."""

    WORK = auto()
    HALT = auto()


Branch = Generator[Line | At | None, None, Any]


@dataclass
class Group:
    """Branches that another one waits for.

    Attributes:
        names: of all of them.
        waiting: those that have not begun, in the order in which they will.
        at_once: how many processes' worth of them go on at a time in the run's own process.
    """

    names: list[str]
    waiting: deque[tuple[str, Script]]
    at_once: int


class ScriptRunner:
    """One run of a method: its live networks, its script, and where in an action each branch of it stands.

    Attributes:
        bench: engine and networks.
        crew: worker processes that branches may be carried out on.
        expected: epochs that the script expects, None if it cannot say.
        found: what it returned, once it has ended.
    """

    def __init__(
        self,
        method: type[Algorithm],
        config: Any,
        engine: Engine,
        given: Mapping[str, nn.Module],
        crew: Crew | None = None,
    ) -> None:
        """Take what the run consists of.

        Raises:
            UserError: if it does not fit together.
        """
        self.bench = Workbench(engine, given)
        self.method = method(config, self.bench.facts())
        self.carrier, self.crew = Carrier(self.bench), crew or Crew(engine.hardware.workers)
        self.branches: dict[str, Branch] = {}
        self.groups: dict[str, Group] = {}
        self.results: dict[str, Any] = {}
        self.halting = False
        self.turns: dict[str, int] = {}
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
        for worker in self.crew.workers:
            worker.hold()
        for worker in self.crew.workers:
            while (name := self._on(worker)) and (found := self._advance(name)) is not At.HALT:
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

    def _search(self) -> Generator[Line | At | None, None, None]:
        """The method's script to its end: its branches go on in turn, or on workers."""
        self.branches[""] = self._drive(self.method.search(), "")
        while self.branches:
            yield self._advance(self._next())
        self.found = self.results.pop("")
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
            if isinstance(action, All) and self._recorded_in(branch, 2 if action.nested else 1):
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
            if report.held:
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

    def _recorded_in(self, branch: str, depth: int) -> bool:
        """Whether what is asked next was recorded, or is under way, in a branch less than ``depth`` below this one."""
        kept = {name: lines[0][0] for name, lines in self.journal.items() if lines and _is_below(name, branch)}
        under_way = (name for name in self.carrier.positions if _is_below(name, branch))
        first = min(kept, key=kept.__getitem__) if kept else next(under_way, None)
        return first is not None and first.count("/") < branch.count("/") + depth

    def _one_after_another(self, action: All, branch: str) -> Branch:
        """Results of scripts that an earlier version asked for one after another, in the branch itself."""
        results = []
        for script in action.scripts:
            results.append((yield from self._drive(script, branch)))
        return results

    def _side_by_side(self, action: All, branch: str) -> Branch:
        """Let scripts go on in branches of their own; their results in order."""
        self.bench.engine.open_cuda_streams(action.at_once)
        names = [f"{branch}/{number}" for number in range(len(action.scripts))]
        work = dict(zip(names, action.work, strict=False))
        waiting = sorted(zip(names, action.scripts, strict=True), key=lambda one: -work.get(one[0], 0.0))
        self.groups[branch] = Group(names, deque(waiting), action.at_once)
        while any(name not in self.results for name in names):
            yield At.HALT
        del self.groups[branch]
        return [self.results.pop(name) for name in names]

    def _next(self) -> str:
        """The branch to go on with: one whose worker reports, or of those here the one least far in its pass.

        Where branches have CUDA streams of their own, each of those here in its turn: the least far would have an
        epoch for itself once it has ended the one before, and the GPU nothing to do beside it.
        """
        while self._begin_another():
            pass
        here = self._here()
        if (worker := self.crew.first(block=not here)) and (name := self._on(worker)):
            return name
        if len(self.bench.engine.cuda_streams) > 1:
            longest_ago = min(here, key=lambda name: self.turns.get(name, 0))
            self.turns[longest_ago] = max(self.turns.values(), default=0) + 1
            return longest_ago
        return min(here, key=lambda name: getattr(self.carrier.positions.get(name), "used", 0))

    def _begin_another(self) -> bool:
        """Begin a branch of those that wait, on a worker or here; false if there is no room for any."""
        open_groups = [(parent, group) for parent, group in self.groups.items() if group.waiting]
        if not open_groups:
            return False
        self.crew.muster(self.bench.engine)
        for parent, group in open_groups:  # the outermost first, whose branches take least to be handed over
            if self.crew.of(parent):  # the worker that has the branch above
                if not self.branches.keys() & group.names:
                    return self._begin(group)
            elif (worker := self.crew.free()) is not None:
                worker.branch = group.waiting[0][0]
                return self._begin(group)
        own = [group for parent, group in open_groups if not self.crew.of(parent)]
        return bool(own) and len(self._here()) < own[-1].at_once and self._begin(own[-1])

    def _begin(self, group: Group) -> bool:
        name, script = group.waiting.popleft()
        self.branches[name] = self._drive(script, name)
        return True

    def _here(self) -> list[str]:
        """Branches that go on in the run's own process."""
        return [name for name in self.branches if self._goes_on(name) and not self.crew.of(name)]

    def _goes_on(self, name: str) -> bool:
        """Whether a branch does not wait for others."""
        group = self.groups.get(name)
        return group is None or all(each in self.results for each in group.names)

    def _on(self, worker: Worker) -> str | None:
        """The branch that a worker is at: its own, or one below that this waits for; None before that begins."""
        own = (name for name in reversed(self.branches) if worker.branch and _is_below(name, worker.branch))
        return next(filter(self._goes_on, own), None)

    def _advance(self, name: str) -> "Line | At | None":
        """Let a branch go on to its next yield, or to its end."""
        worker, began = self.crew.of(name), time.process_time()
        try:
            return next(self.branches[name])
        except StopIteration as end:
            self.results[name] = end.value
            self.turns.pop(name, None)
            del self.branches[name]
            if worker is not None and worker.branch == name:
                self._bring_home(worker)
                worker.branch = ""
            return At.WORK
        finally:
            if worker is None:
                self.crew.seconds_alone += time.process_time() - began


def _is_below(name: str, branch: str) -> bool:
    """Whether a branch is another one, or below it."""
    return f"{name}/".startswith(f"{branch}/")


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
