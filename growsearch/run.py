"""One run from top to bottom: configuration, data, method, events, result."""

import math
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from omegaconf import DictConfig, OmegaConf

from growsearch.algorithms.base import Algorithm, Diverged
from growsearch.config import RunConfig, read_run, typed
from growsearch.data.load import load as load_data
from growsearch.deploy import preprocessing_of
from growsearch.energy import meter
from growsearch.errors import UserError
from growsearch.events import Edit, Event, Note, from_json
from growsearch.initial_networks import make_donor, make_network
from growsearch.ledger import Ledger
from growsearch.registry import method
from growsearch.result import make_result, picture, write_networks
from growsearch.run_folder import EventLog, RunFolder, find_run, new_run
from growsearch.run_folder.checkpoint import write_checkpoint
from growsearch.run_folder.events import read_events
from growsearch.run_folder.files import read_json, write_atomic, write_json
from growsearch.run_folder.recovery import recover
from growsearch.signals import StopRequest, stop_requests
from growsearch.training import Cursor, Engine, Recipe
from growsearch.training.cost import TrainingCost
from growsearch.training.device import choose_threads, set_threads
from growsearch.training.out_of_memory import OutOfMemory, attempt, next_divisor
from growsearch.untrusted import parsing
from growsearch.views.console import line, say, summary
from growsearch.views.estimate import estimate
from growsearch.views.memory import after_edit, made_smaller, ways_on
from growsearch.views.progress import ProgressBars
from growsearch.views.trackers import Trackers, require

T = TypeVar("T")

SAVE_SHARE = 20
"""A checkpoint is due when the time since the last is so many times what that one cost."""

AFTER_RESUME = 2.0
"""Seconds after which the first checkpoint of a continued run is due."""

MEASURED_STEPS = 20
"""Steps behind the estimate of the whole run's time."""


NO_TEST_LOSS = "the loss on the test images is not finite: outputs overflow, as where batch norm has seen few steps"


class Stopped(SystemExit):
    """The run was asked to stop and is saved, or has just ended; carries the shell's exit code."""


def start(composed: DictConfig) -> float:
    """Run a composed configuration, or what is left of it, and return its best validation accuracy.

    A finished run of the same configuration is not repeated (unless ``output.again``), an
    unfinished one is continued. Nothing is written before data and method are ready.

    Raises:
        UserError: for whatever the user can mend.
        Stopped: after SIGINT or SIGTERM, with everything saved.
    """
    config, plain = typed(composed), to_plain(composed)
    require(config.track.trackers)
    place = (Path(config.output.root), config.algo.label, config.data.name)
    folder = None if config.output.again else find_run(*place, plain, lambda text: to_plain(read_run(text)))
    if folder is not None:
        return execute(folder, config)
    algorithm = prepare(config)
    folder = new_run(*place, config.seed, OmegaConf.to_yaml(composed, resolve=True), plain)
    return execute(folder, config, algorithm)


def resume(path: Path) -> float:
    """Continue the run in a folder, which may have moved since; see :func:`start`.

    Raises:
        UserError: if it is not the folder of a run.
    """
    folder = RunFolder(path)
    composed = read_run(folder.read_config())
    config = typed(composed)
    folder.identify(to_plain(composed))
    config.network.pop("trust", None)  # a folder may be a stranger's: only a command line allows code to be run
    return execute(folder, config)


def execute(folder: RunFolder, config: RunConfig, algorithm: Algorithm | None = None) -> float:
    """Bring the run in ``folder`` to its result, from wherever it stands."""
    with folder.lock():
        if folder.finished and (result := whole_result(folder)) is not None:
            say(f"finished already: {folder.path} (output.again=true runs it anew)")
            accuracy = result.get("val_accuracy")
            return float(accuracy) if isinstance(accuracy, int | float) else 0.0
        with stop_requests() as stop:
            with attempt("beginning the run"):
                session = Session(folder, config, algorithm or prepare(config))
            with closing(session):
                session.enduring(lambda: session.drive(stop))
                accuracy = session.enduring(session.finish)
            if stop.signum is not None:
                say("asked to stop when the run was about to end: nothing more is begun")
                raise Stopped(stop.exit_code)
            return accuracy


def whole_result(folder: RunFolder) -> dict[str, Any] | None:
    """The result of a finished run; None, with a remark, if it is damaged and can be made again.

    Raises:
        UserError: if it is damaged and there is no checkpoint to make it from.
    """
    try:
        return folder.read_result()
    except UserError as error:
        if not folder.started:
            raise
        say(f"{error}; made again from the last checkpoint")
        return None


def prepare(config: RunConfig) -> Algorithm:
    """Data, engine and method, ready to start or to be restored."""
    with attempt("loading the data"):
        engine = Engine(load_data(config.data, config.seed), config.hardware, config.seed)
    with attempt("making the first network"):
        return make_algorithm(config, engine)


def make_algorithm(config: RunConfig, engine: Engine) -> Algorithm:
    """The method with its engine and the modules it is given."""
    given = {}
    if config.network.get("family", "none") != "none":
        given["network"] = make_network(config.network, engine.data, config.seed)
    elif config.algo.name == "fixed":
        raise UserError("network: none found, but algo=fixed trains one; choose it with network=...")
    if donor := getattr(config.algo, "donor", ""):
        given["donor"] = make_donor(donor)
    return method(config.algo.name).search_class()(config.algo, engine, given)


def to_plain(composed: DictConfig) -> dict[str, Any]:
    """The configuration as plain types, interpolations resolved."""
    plain = OmegaConf.to_container(composed, resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


class Session:
    """One process's work on a run: restores it, drives it, records it, saves it."""

    def __init__(self, folder: RunFolder, config: RunConfig, algorithm: Algorithm) -> None:
        self.folder, self.config, self.algorithm = folder, config, algorithm
        self.ledger, self.meter = Ledger(joules=0.0), meter(algorithm.engine.device)
        self.damaged: set[object] = set()
        self.lack: OutOfMemory | None = None
        self.open()

    def open(self) -> None:
        """Start anew, with a first checkpoint, or from the newest whole one."""
        length, remarks = 0, list[str]()
        if self.folder.started:
            found = recover(self.folder)
            length, remarks = found.events_length, found.remarks
            with parsing(self.folder.checkpoints, "not the state of this run"), attempt("restoring the run"):
                self.algorithm.load(found.tree["algorithm"])
                self.ledger = Ledger.restored(found.tree["ledger"])
                self.algorithm.engine.work.load(found.tree.get("work"))  # absent from checkpoints of earlier versions
                self.algorithm.engine.divide(found.tree.get("divisors", {}))
                set_threads(found.tree["threads"])
            self.saved_at, self.save_cost, self.unsaved = time.monotonic(), AFTER_RESUME / SAVE_SHARE, 0
        elif self.config.hardware.threads:
            torch.set_num_threads(self.config.hardware.threads)
        elif self.algorithm.engine.device.type == "cpu":
            choose_threads(self._throwaway_step())
            self.algorithm.engine.work.load(TrainingCost().save())
        done = f" after {self.ledger.epochs} epochs" if self.folder.started else ""
        say(f"{'going on with' if self.folder.started else 'run folder:'} {self.folder.path}{done}")
        self.log = EventLog(self.folder.events, length)
        past = (event for _, event in self.recorded())
        self.trackers = Trackers(self.config.track.trackers, self.folder.path, past, asdict(self.config))
        if self.damaged:
            remarks.append(f"{self.folder.events}: {len(self.damaged)} damaged lines are left out of views and files")
        for remark in remarks:
            self.record(Note(0, remark))
        if not self.folder.started:
            self.save()

    def close(self) -> None:
        """Close the record of events."""
        self.log.close()

    def enduring(self, work: Callable[[], T]) -> T:
        """Do ``work``, and once more from the last whole state whenever memory runs out."""
        while True:
            try:
                with attempt("a step of the method"):
                    return work()
            except OutOfMemory as error:
                lack = error.with_traceback(None)  # its frames hold what fills the memory
                lack.__context__ = None
            self.go_back(lack)

    def go_back(self, lack: OutOfMemory) -> None:
        """Return to the last checkpoint; what was done since is done again, up to where memory ran out."""
        self.lack, self.due = lack, self.unsaved
        self.log.close()
        self.trackers.close()
        self.algorithm.engine.release_memory()
        self.algorithm = make_algorithm(self.config, self.algorithm.engine)
        self.open()

    def answer(self) -> None:
        """At the last yield before memory ran out: save, and go on as the policy says, or stop.

        Raises:
            UserError: if there is no way on.
        """
        assert self.lack is not None
        lack, self.lack = self.lack, None
        hardware, divisors = self.config.hardware, self.algorithm.engine.divisors
        divisor = next_divisor(hardware.out_of_memory, lack, divisors.get(lack.doing, 1))
        edits = [event for _, event in self.recorded() if isinstance(event, Edit)]
        cause = after_edit(lack, edits)
        if divisor is not None:
            divisors[lack.doing] = divisor
            say(str(lack))
            self.record(Note(lack.network or 0, f"{lack.facts}{cause}; {made_smaller(lack)}", self.ledger.epochs))
        try:
            self.save()
        except OutOfMemory as error:
            raise UserError(f"{self.folder.path}: {lack}{cause}; {error}; the checkpoint before it is whole") from error
        if divisor is None:
            self.trackers.close()
            raise UserError(f"{self.folder.path}: {lack}{cause}; saved. {ways_on(hardware.out_of_memory, lack)}")

    def drive(self, stop: StopRequest) -> None:
        """Run the method to its end, saving when it is due, on a signal and on failure."""
        bars = ProgressBars(self.config.track.progress, self.algorithm.expected_epochs(), self.ledger.epochs)
        begun, before = time.monotonic(), self.ledger.seconds
        announce_at = self.ledger.steps + MEASURED_STEPS
        try:
            if self.lack is not None and self.due == 0:
                self.answer()
            for event in self.algorithm.run():
                self.unsaved += 1
                self.ledger.seconds = before + time.monotonic() - begun
                self.ledger.count(event)
                bars.show(event)
                if event is not None:
                    self.record(event)
                self.remark()
                if self.ledger.steps == announce_at:
                    announce_at = -1
                    self.announce((time.monotonic() - begun) / MEASURED_STEPS)
                if self.lack is not None and self.unsaved == self.due:
                    self.answer()
                if stop:
                    self.save()
                    stop.hand_on()
                if stop:
                    self.trackers.close()
                    say(f"stopped and saved; go on with: growsearch resume {self.folder.path}")
                    raise Stopped(stop.exit_code)
                if self.lack is None and time.monotonic() - self.saved_at > SAVE_SHARE * self.save_cost:
                    self.save()
            self.save()
        except Diverged as error:
            self.save()
            self.trackers.close()
            raise UserError(f"{self.folder.path}: {error}; a smaller algo learning rate may help") from error
        finally:
            bars.close()

    def finish(self) -> float:
        """Measure the result on the test split, write it down and say where it is."""
        if self.lack is not None:
            self.answer()
        engine, outcome = self.algorithm.engine, self.algorithm.outcome()
        for name, text in self.algorithm.files(self.recorded()).items():
            write_atomic(self.folder.path / name, text.encode())
        write_networks(self.folder, outcome, preprocessing_of(engine.data, self.config.data))
        identity = read_json(self.folder.identity)["fingerprint"]
        result = make_result(self.config, engine, outcome, self.ledger, identity)
        if not math.isfinite(result["test_loss"]):
            self.record(Note(0, NO_TEST_LOSS, self.ledger.epochs))
        write_json(self.folder.result, result)
        self.trackers.finish(result)
        spec = outcome.networks[outcome.best].spec()
        say(summary(result, str(self.folder.path), picture(self.folder.network / "architecture.json", spec)))
        if self.config.track.report:
            self.report()
        return result["val_accuracy"] or 0.0

    def report(self) -> None:
        """Write report.html; that it cannot be written is worth a remark and no failure."""
        try:
            from growsearch.reports import write_report

            say(f"  report       {write_report([self.folder.path])}")
        except Exception as error:
            say(f"  report       none, it could not be written ({error})")

    def recorded(self) -> Iterator[tuple[float, Event]]:
        """All events of the run, each with the second it happened in; damaged lines are left out."""
        for record in read_events(self.folder.events, self.damaged.add):
            try:
                yield float(record["seconds"]), from_json(record)
            except (KeyError, TypeError, ValueError, OverflowError):
                self.damaged.add(str(record)[:80])

    def record(self, event: Event) -> None:
        """Write an event down, with the clock, and show it."""
        self.log.append({"seconds": round(self.ledger.seconds, 3), **event.to_json()})
        self.trackers.show(event)
        text = line(event)
        if text is not None and (self.config.track.console or isinstance(event, Note)):
            say(text)

    def remark(self) -> None:
        """Write down what the engine has to say of how steps are taken."""
        notes = self.algorithm.engine.notes
        while notes:
            self.record(Note(0, notes.pop(0)))

    def save(self) -> None:
        """Write a checkpoint and remember what it cost."""
        begun = time.monotonic()
        self.ledger.use(self.meter.joules())
        with attempt("saving a checkpoint"):
            tree = {
                "algorithm": self.algorithm.save(),
                "ledger": asdict(self.ledger),
                "work": self.algorithm.engine.work.save(),
                "events_length": self.log.sync(),
                "threads": torch.get_num_threads(),
                "divisors": dict(self.algorithm.engine.divisors),
            }
            write_checkpoint(self.folder.checkpoints, tree)
        self.saved_at, self.unsaved = time.monotonic(), 0
        self.save_cost = self.saved_at - begun

    def announce(self, seconds_per_step: float) -> None:
        """Say how long the run is expected to take."""
        engine = self.algorithm.engine
        steps = -(-len(engine.data.train) // 64)
        text = estimate(
            seconds_per_step,
            steps,
            self.algorithm.expected_epochs(),
            engine.device.type,
            self.config.schedule.name,
        )
        print(f"expected: {text}", file=sys.stderr)

    def _throwaway_step(self) -> Callable[[], None]:
        """A step on a copy of the first network; it leaves no trace in the run."""
        engine = self.algorithm.engine
        copy = next(iter(self.algorithm.state.networks.values())).copy(id=-1, optimizers=True)
        engine.place(copy)
        cursor = Cursor(purpose="threads")
        recipe = Recipe(optimizer=next(iter(copy.configs), "weights"))
        return lambda: engine.train_batch(copy, cursor, recipe, min(64, len(engine.data.train)))
