"""One process's work on a run: restores it, drives it, records it, saves it, and measures what it found."""

import math
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import TypeVar

import torch
from omegaconf import OmegaConf

from growsearch.clock import cpu_seconds
from growsearch.config import RunConfig
from growsearch.deploy import preprocessing_of
from growsearch.errors import Diverged, UserError
from growsearch.events import Edit, Event, Note, from_json
from growsearch.release import RELEASE
from growsearch.run_folder import EventLog, RunFolder
from growsearch.run_folder.events import read_events
from growsearch.run_folder.files import write_atomic, write_json
from growsearch.run_folder.recovery import recover
from growsearch.runner.crew import WorkerLost
from growsearch.runner.energy import meter
from growsearch.runner.ledger import Ledger
from growsearch.runner.result import make_result, picture, write_mistakes, write_networks
from growsearch.runner.saver import Saver
from growsearch.runner.script import Line, ScriptRunner
from growsearch.runner.signals import StopRequest
from growsearch.training import Cursor, Engine, Recipe
from growsearch.training.cost import TrainingCost
from growsearch.training.device import choose_threads, set_threads
from growsearch.training.out_of_memory import OutOfMemory, attempt, next_divisor
from growsearch.untrusted import parsing
from growsearch.views.console import line, say, summary
from growsearch.views.estimate import Forecast
from growsearch.views.progress import Progress
from growsearch.views.trackers import Trackers

T = TypeVar("T")

SAVE_SHARE = 20
"""A checkpoint is due when the time since the last is so many times what that one cost."""

AFTER_RESUME = 2.0
"""Seconds after which the first checkpoint of a continued run is due."""

NO_TEST_LOSS = "the loss on the test images is not finite: outputs overflow, as where batch norm has seen few steps"


class Stopped(SystemExit):
    """The run was asked to stop and is saved, or has just ended; carries the shell's exit code."""


class Session:
    """Restores a run, drives its script to the end, writes its journal and its checkpoints.

    When memory runs out the run returns to its last checkpoint and repeats what came after, up to the last yield
    before; there the user's policy is applied, so that the record says what happened at a moment that repeats.
    """

    def __init__(
        self,
        folder: RunFolder,
        config: RunConfig,
        runner: ScriptRunner,
        remake: Callable[[RunConfig, Engine], ScriptRunner],
    ) -> None:
        self.folder, self.config, self.runner, self.remake = folder, config, runner, remake
        self.ledger, self.meter, self.cpu = Ledger(joules=0.0), meter(self.engine.device), cpu_seconds()
        self.damaged: set[object] = set()
        self.lack: OutOfMemory | None = None
        self.saver = Saver(folder.checkpoints, aside=self.engine.device.type != "cpu")
        self.open()

    @property
    def engine(self) -> Engine:
        """The engine that trains."""
        return self.runner.bench.engine

    @property
    def expected(self) -> int | None:
        """Epochs that the whole run takes as far as the method can say, never less than it has taken."""
        said = self.runner.expected
        return None if said is None else max(said, self.ledger.epochs)

    def complete(self, stop: StopRequest) -> None:
        """Drive the run to its end and write its result."""
        self.enduring(lambda: self.drive(stop))
        self.enduring(self.finish)

    def open(self) -> None:
        """Begin, with a first checkpoint, or go on from the newest whole one."""
        begins, remarks = not self.folder.started, list[str]()
        length = 0 if begins else self.restore(remarks)
        if begins:
            self.runner.begin()
            self.settle_threads()
            remarks += [each for module in self.runner.bench.given.values() for each in getattr(module, "remarks", ())]
        done = f" after {self.ledger.epochs} epochs" if not begins else ""
        say(f"{'run folder:' if begins else 'going on with'} {self.folder.path}{done}")
        for note in self.engine.data.notes:
            say(f"data: {note}")
        self.log = EventLog(self.folder.events, length)
        past = (event for _, event in self.recorded())
        self.trackers = Trackers(self.config.track.trackers, self.folder.path, past, asdict(self.config))
        deque(past, maxlen=0)  # counts what is damaged
        if self.damaged:
            remarks.append(f"{self.folder.events}: {len(self.damaged)} damaged lines are left out of views and files")
        for remark in remarks:
            self.note(remark)
        if begins:
            while self.runner.begun:
                self.write(self.runner.begun.popleft())
            self.save()

    def restore(self, remarks: list[str]) -> int:
        """Bring everything back to the newest whole checkpoint; the length of the journal that belongs to it."""
        found = recover(self.folder)
        remarks += found.remarks
        tree = found.tree
        if "run" not in tree:
            version = self.folder.read_identity().get("version", "another version")
            raise UserError(
                f"{self.folder.path}: an unfinished run of growsearch {version}, which {RELEASE} cannot continue; "
                "finish it with that version, or run it anew with output.again=true"
            )
        journal = read_events(self.folder.events, upto=found.events_length)
        with parsing(self.folder.checkpoints, "not the state of this run"), attempt("restoring the run"):
            self.runner.load(tree["run"], journal)
            self.ledger = Ledger.restored(tree["ledger"])
            self.engine.work.load(tree["work"])
            self.engine.divide(tree["divisors"])
            set_threads(tree["threads"])
        self.saved_at, self.save_cost, self.unsaved = time.monotonic(), AFTER_RESUME / SAVE_SHARE, 0
        return found.events_length

    def settle_threads(self) -> None:
        """Compute on as many threads as configured; 0 measures which number is the faster one."""
        if self.config.hardware.threads:
            torch.set_num_threads(self.config.hardware.threads)
        elif self.engine.device.type == "cpu":
            self.config.hardware.threads = choose_threads(self._throwaway_step())
            self.record_config()
            self.engine.work.load(TrainingCost().save())

    def record_config(self) -> None:
        """Write what was measured into config.yaml, for a resumed or repeated run to compute on."""
        composed = OmegaConf.create(self.folder.read_config())
        OmegaConf.update(composed, "hardware.threads", self.config.hardware.threads)
        self.folder.write_config(OmegaConf.to_yaml(composed))

    def close(self) -> None:
        """End the workers, and close the journal; a checkpoint that is being written is finished first."""
        self.runner.close()
        self.saver.close()
        self.log.close()

    def enduring(self, work: Callable[[], T]) -> T:
        """Do ``work``, and once more from the last whole state whenever memory runs out or a worker is lost."""
        while True:
            lack, remark = None, ""
            try:
                with attempt("a step of the method"):
                    return work()
            except OutOfMemory as error:
                lack = error.with_traceback(None)  # its frames hold what fills the memory
                lack.__context__ = None
            except WorkerLost as error:
                remark = f"{error}; the run goes on from its last checkpoint with hardware.workers=1"
            self.roll_back(lack)
            if remark:
                self.note(remark)

    def roll_back(self, lack: OutOfMemory | None) -> None:
        """Return to the last checkpoint; what was done since is done again in this process alone.

        Args:
            lack: memory ran out, which is reported when the run is there again; None for another reason.
        """
        self.saver.wait()
        self.lack, self.due = lack, self.unsaved
        self.config.hardware.workers = 1
        self.runner.close()
        self.log.close()
        self.trackers.close()
        self.engine.release_memory()
        self.runner = self.remake(self.config, self.engine)
        self.open()

    def apply_memory_policy(self) -> None:
        """At the last yield before memory ran out: save, and go on as the policy says, or stop.

        Raises:
            UserError: if there is no way on.
        """
        assert self.lack is not None
        lack, self.lack = self.lack, None
        hardware, divisors = self.config.hardware, self.engine.divisors
        divisor = next_divisor(hardware.out_of_memory, lack, divisors.get(lack.doing, 1))
        edits = [event for _, event in self.recorded() if isinstance(event, Edit)]
        cause = lack.after(edits)
        if divisor is not None:
            divisors[lack.doing] = divisor
            say(str(lack))
            self.note(f"{lack.facts}{cause}; {lack.made_smaller()}", lack.network or 0, self.ledger.epochs)
        try:
            self.save()
        except OutOfMemory as error:
            raise UserError(f"{self.folder.path}: {lack}{cause}; {error}; the checkpoint before it is whole") from error
        if divisor is None:
            self.trackers.close()
            raise UserError(f"{self.folder.path}: {lack}{cause}; saved. {lack.ways_on(hardware.out_of_memory)}")

    def drive(self, stop: StopRequest) -> None:
        """Run the script to its end, saving when it is due, on a signal and on failure."""
        bars = Progress(self.config.track.progress, self.expected, self.ledger.epochs)
        work, clock, schedule = self.engine.work, self.runner.bench.clock, self.config.schedule.name
        images, device = len(self.engine.data.train), self.engine.device.type
        forecast = Forecast(images, work.steps, work.images, clock(), device, schedule)
        try:
            if self.lack is not None and self.due == 0:
                self.apply_memory_policy()
            for found in self.runner.run():
                self.take(found)
                bars.expect(self.expected)
                bars.show(found.event if found is not None else None, step=found is None)
                if text := forecast.look(work.steps, work.images, clock(), self.ledger.epochs, self.expected):
                    say(f"expected: {text}")
                if self.lack is not None and self.unsaved == self.due:
                    self.apply_memory_policy()
                if stop:
                    self.stop(stop)
                if not self.saver.is_at_work() and self.lack is None and self.is_due():
                    self.save(at_once=False)
            self.save()
        except Diverged as error:
            self.save()
            self.trackers.close()
            raise UserError(f"{self.folder.path}: {error}; a smaller learning rate may help") from error
        finally:
            bars.close()

    def is_due(self) -> bool:
        """Whether the time since the last checkpoint is so many times what that one cost."""
        return time.monotonic() - self.saved_at > SAVE_SHARE * (self.save_cost + self.saver.seconds)

    def take(self, found: Line | None) -> None:
        """Count and write down one yield of the run."""
        self.unsaved += 1
        self.ledger.seconds = self.runner.bench.clock()
        self.ledger.steps = self.engine.work.steps
        if found is not None:
            self.ledger.count(found.event)
            self.write(found)
        while self.engine.notes:
            self.note(self.engine.notes.pop(0))

    def stop(self, stop: StopRequest) -> None:
        """Save, let the handlers of others act, and end the process if the user asked for it."""
        self.save()
        stop.hand_on()
        if stop:
            self.trackers.close()
            say(f"stopped and saved; go on with: growsearch resume {self.folder.path}")
            raise Stopped(stop.exit_code)

    def finish(self) -> None:
        """Measure the result on the test split, write it down and say where it is."""
        if self.lack is not None:
            self.apply_memory_policy()
        outcome = self.runner.outcome()
        self.require_folder()
        for name, text in self.runner.method.files(self.recorded()).items():
            write_atomic(self.folder.path / name, text.encode())
        write_networks(self.folder, outcome, preprocessing_of(self.engine.data, self.config.data))
        identity = self.folder.read_identity()
        result = make_result(self.config, self.engine, outcome, self.ledger, identity)
        result["peak_memory_bytes"] += self.runner.crew.peak_bytes
        if not math.isfinite(result["test_loss"]):
            self.note(NO_TEST_LOSS, epoch=self.ledger.epochs)
        self.folder.require_held()
        write_mistakes(self.folder, self.engine.data, result["judgement"])
        write_json(self.folder.result, result)
        self.trackers.finish(result)
        drawn = picture(self.folder.network / "architecture.json", outcome.best.spec())
        say(summary(result, str(self.folder.path), drawn))
        if self.config.track.report:
            self.report()

    def report(self) -> None:
        """Write report.html; a report that cannot be written is a remark, not a failure."""
        try:
            from growsearch.reports import write_report

            say(f"  report       {write_report([self.folder.path])}")
        except Exception as error:
            say(f"  report       none, it could not be written ({error})")

    def recorded(self) -> Iterator[tuple[float, Event]]:
        """All events of the run, each with the second it happened in; damaged lines are left out."""
        for record in read_events(self.folder.events, self.damaged.add):
            if record.get("kind") == "action":
                continue
            try:
                yield float(record["seconds"]), from_json(record)
            except (KeyError, TypeError, ValueError, OverflowError):
                self.damaged.add(str(record)[:80])

    def write(self, found: Line) -> None:
        """Append a line to the journal, with the clock, and show its event."""
        self.folder.keep()
        self.log.append({"seconds": round(self.ledger.seconds, 3), **found.record})
        if found.event is None:
            return
        self.trackers.show(found.event)
        text = line(found.event)
        if text is not None:
            say(text, show=self.config.track.console or isinstance(found.event, Note))

    def require_folder(self) -> None:
        """Check that the folder is the run's own still, and that what describes the run is there, before it is used."""
        self.folder.require_held()
        for name in self.folder.restore():
            say(f"{name} was removed or changed while the run worked; it is written anew")

    def note(self, text: str, network: int = 0, epoch: int = 0) -> None:
        """Put a remark of the runner's own into the record; a replay passes over it."""
        note = Note(network, text, epoch)
        self.write(Line(note.to_json(), note))

    def save(self, at_once: bool = True) -> None:
        """Write a checkpoint and remember what it cost.

        Args:
            at_once: it is on the disk when this returns; else it may be on its way there.

        Raises:
            UserError: if it cannot be written, or the run's folder or lock is not there any more.
        """
        begun = time.monotonic()
        for found in self.runner.settle():  # workers wait for each other here, which is a part of the cost
            self.take(found)
        self.require_folder()
        self.ledger.use(self.meter.joules())
        self.cpu, before = cpu_seconds(), self.cpu
        self.ledger.cpu_seconds += self.cpu - before
        with attempt("saving a checkpoint"):
            tree = {
                "run": self.runner.save(),
                "ledger": asdict(self.ledger),
                "work": self.engine.work.save(),
                **self.log.mark(),
                "threads": torch.get_num_threads(),
                "divisors": dict(self.engine.divisors),
            }
            self.saver.write(tree)
            self.save_cost = time.monotonic() - begun
            if at_once:
                self.saver.wait()
        self.saved_at, self.unsaved = time.monotonic(), 0

    def _throwaway_step(self) -> Callable[[], None]:
        """A step on a copy of the first network; it leaves no trace in the run."""
        engine = self.engine
        trained = (network for network in self.runner.bench.networks.values() if network.configs)
        copy = next(trained).copy(id=-1, optimizers=True)
        engine.place(copy)
        cursor = Cursor(purpose="threads")
        recipe = Recipe(optimizer=next(iter(copy.configs), "weights"))
        return lambda: engine.train_batch(copy, cursor, recipe, min(64, len(engine.data.train)))
