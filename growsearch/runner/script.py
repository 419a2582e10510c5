"""Runs a method that is a script: carries out what it asks, journals the answers, replays them on resume.

Durable execution: a resumed script starts anew and hears its recorded answers, without anything being carried out
again; the action that was under way goes on at its very step.
"""

import json
import time
from collections import defaultdict, deque
from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from torch import nn

from growsearch.actions import Action, All, Expect, Failure, Script, Train, Workbench
from growsearch.actions.base import answered, asked, difference
from growsearch.algorithms.base import Algorithm, Found, Outcome
from growsearch.errors import UserError
from growsearch.events import Event
from growsearch.runner.carrier import Carrier
from growsearch.runner.crew import Crew, Worker, for_a_worker, names_in
from growsearch.runner.groups import Group, above, is_below
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


MOST_EPOCHS = 10**9
"""Epochs that a run may plan without a cap in seconds; of a millisecond each they take eleven days."""


class At(Enum):
    """What a branch yields in place of steps or a line: a worker is at work on it, or it stands still."""

    WORK = auto()
    HALT = auto()


Branch = Generator[Line | At | int, None, Any]
"""A branch yields how many steps it has taken, each line, and where it is when there is nothing to tell."""


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
        self.halting, self.alone = False, ""
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
            yield from _told(found)

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
                yield from _told(found)

    def save(self) -> dict[str, Any]:
        """Networks, phases of training and positions, as plain types and tensors; the journal is kept by the caller."""
        tree = self.carrier.save()
        for worker in self.crew.workers:
            if worker.branch and worker.held:
                tree["networks"] = {name: kept for name, kept in tree["networks"].items() if name not in worker.held}
                tree["fits"] = {name: kept for name, kept in tree["fits"].items() if name not in worker.held}
                tree = {part: tree[part] | theirs for part, theirs in worker.state().items()}
        tree["seconds"] = self.bench.clock()
        if self.halting:
            self.halting = False
            for name in filter(None, map(self._on, self.crew.workers)):
                self._advance(name)  # workers go on while the tree is written
        return tree

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

    def _search(self) -> Generator[Line | At | int, None, None]:
        """The method's script to its end: its branches go on in turn, or on workers."""
        self.branches[""] = self._drive(self.method.search(), "")
        while self.branches:
            name = self._next()
            yield (found := self._advance(name))
            while isinstance(found, int) and name == self.alone and not self.crew.has_news():
                yield (found := self._advance(name))
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
                self.expected, self.running = self._within_reach(action.epochs), True
            if isinstance(action, All) and self._recorded_in(branch, 2 if action.nested else 1):
                answer = yield from self._one_after_another(action, branch)
            elif isinstance(action, All):
                answer = yield from self._side_by_side(action, branch)
            elif self.journal[branch]:
                answer = self._replayed(action, self.journal[branch].popleft()[1])
            else:
                answer = yield from self._carried_out(action, branch)
                if isinstance(action, Train):
                    yield from self._give_way(branch)

    def _within_reach(self, epochs: int | None) -> int | None:
        """The epochs that a script expects.

        Raises:
            UserError: if no machine comes to their end, and no cap in seconds does.
        """
        if epochs is not None and epochs > MOST_EPOCHS and not self.method.config.max_seconds:
            raise UserError(
                f"algo: {epochs:,} epochs are planned, more than {MOST_EPOCHS:,}; use smaller numbers of epochs or"
                " rounds, or algo.max_epochs"
            )
        return epochs

    def _carried_out(self, action: Action, branch: str) -> Branch:
        """Carry an action out, and put it into the journal."""
        worker = self.crew.of(branch)
        if worker is not None and not for_a_worker(action):
            if worker.held.intersection(names_in(action)):
                self._bring_home(worker)
            worker = None
        if worker is None:
            steps = _Returning(self.carrier.carry_out(action, branch))
            for event in steps:
                yield 1 if event is None else Line({**event.to_json(), "branch": branch}, event)
            answer = steps.value
        else:
            answer = yield from self._carried_out_by(worker, action, branch)
        event = action.event(answer) if not isinstance(answer, Failure) else None
        told = event.to_json() if event is not None else {"kind": "action"}
        yield Line({**told, "branch": branch, "ask": asked(action), "answer": answered(answer)}, event)
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
            yield report.steps
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
        kept = {name: lines[0][0] for name, lines in self.journal.items() if lines and is_below(name, branch)}
        under_way = (name for name in self.carrier.positions if is_below(name, branch))
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
        scripts = {f"{branch}/{number}": script for number, script in enumerate(action.scripts)}
        work = dict.fromkeys(scripts, 0.0) | dict(zip(scripts, action.work, strict=False))
        group = self.groups[branch] = Group.of(work, action.at_once)
        self.branches |= {name: self._drive(scripts[name], name) for name in group.waiting}
        while any(name not in self.results for name in scripts):
            yield At.HALT
        del self.groups[branch]
        return [self.results.pop(name) for name in scripts]

    def _give_way(self, branch: str) -> Branch:
        """Between two passes: let another branch have the process, or other processes a share of a worker's group."""
        group, worker = self.groups.get(above(branch)), self.crew.of(branch)
        if group is None:
            return
        group.count_pass(branch)
        if worker is not None and worker.branch != branch:
            if group.waiting and not self._here():
                self._bring_home(worker)
                worker.branch = branch
        elif group.gives_way(branch, self.crew.processes):
            if worker is not None:
                self._bring_home(worker)
                worker.branch = ""
            group.waiting.append(branch)
            yield At.HALT

    def _next(self) -> str:
        """The branch to go on with: one whose worker reports, or of those here the one least far in its pass.

        Where branches have CUDA streams of their own, each of those here in its turn: the least far would have an
        epoch for itself once it has ended the one before, and the GPU nothing to do beside it.
        """
        while self._begin_another():
            pass
        here = self._here()
        self.alone = here[0] if len(here) == 1 else ""
        if (worker := self.crew.first(block=not here)) and (name := self._on(worker)):
            return name
        if len(self.bench.engine.cuda_streams) > 1:
            longest_ago = min(here, key=lambda name: self.turns.get(name, 0))
            self.turns[longest_ago] = max(self.turns.values(), default=0) + 1
            return longest_ago
        return min(here, key=lambda name: getattr(self.carrier.positions.get(name), "used", 0))

    def _begin_another(self) -> bool:
        """Let one of the branches that wait go on, on a worker or here; false if there is no room for any."""
        open_groups = [(parent, group) for parent, group in self.groups.items() if group.waiting]
        if not open_groups:
            return False
        self.crew.muster(self.bench.engine)
        for parent, group in open_groups:  # the outermost first, whose branches take least to be handed over
            if self.crew.of(parent):  # the worker that has the branch above
                if not any(name in self.branches for name in group.left.keys() - group.waiting):
                    return bool(group.take())
            elif (worker := self.crew.free()) is not None:
                worker.branch = group.take()
                return True
        own = [group for parent, group in open_groups if not self.crew.of(parent)]
        return bool(own) and len(self._here()) < own[-1].at_once and bool(own[-1].take())

    def _here(self) -> list[str]:
        """Branches that go on in the run's own process."""
        return [name for name in self.branches if self._goes_on(name) and not self.crew.of(name)]

    def _goes_on(self, name: str) -> bool:
        """Whether a branch waits neither for its turn nor for others."""
        beside, below = self.groups.get(above(name)), self.groups.get(name)
        if beside is not None and name in beside.waiting:
            return False
        return below is None or all(each in self.results for each in below.left)

    def _on(self, worker: Worker) -> str | None:
        """The branch that a worker is at: its own, or one below that this waits for; None before that begins."""
        own = (name for name in reversed(self.branches) if worker.branch and is_below(name, worker.branch))
        return next(filter(self._goes_on, own), None)

    def _advance(self, name: str) -> Line | At | int:
        """Let a branch go on to its next yield, or to its end."""
        worker, began = self.crew.of(name), time.process_time()
        try:
            return next(self.branches[name])
        except StopIteration as end:
            self.results[name] = end.value
            self.turns.pop(name, None)
            del self.branches[name]
            if name and (group := self.groups.get(above(name))):
                group.left[name] = 0.0
            if worker is not None and worker.branch == name:
                self._bring_home(worker)
                worker.branch = ""
            return At.WORK
        finally:
            if worker is None:
                self.crew.seconds_alone += time.process_time() - began


def _told(found: Line | At | int) -> list[Line | None]:
    """What the run hears of it: None for each step."""
    if isinstance(found, int):
        return [None] * found
    return [found] if isinstance(found, Line) else []


class _Returning:
    """Iterates over a generator and keeps what it returns."""

    def __init__(self, steps: Generator[Event | None, None, Any]) -> None:
        self.steps, self.value = steps, None

    def __iter__(self) -> Generator[Event | None, None, None]:
        self.value = yield from self.steps
