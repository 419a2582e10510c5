"""Worker processes of a run, seen from its own process."""

import pickle
import tempfile
from collections.abc import Iterable
from dataclasses import fields, is_dataclass, replace
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from growsearch.actions import Action, Net
from growsearch.data.dataset import Split
from growsearch.data.decoders import default_workers
from growsearch.memory import GIB, available_bytes
from growsearch.processes import process
from growsearch.runner.carrier import Carrier
from growsearch.runner.state import dump
from growsearch.runner.worker import PARTS, Begin, Failed, Give, Go, Hold, Inbox, Job, Report, receive, send
from growsearch.training import Engine

WORTH_STARTING = 5.0
"""CPU seconds that branches take one after another before workers are started unasked: a start takes half of that."""

TENSORS = ("images", "labels")


class WorkerLost(Exception):
    """A worker ended, or met what only one process alone can deal with; says so in a line."""


class Worker:
    """One process, and the branch that it works for.

    Attributes:
        up: it has come up, with the data.
        branch: empty while it has none.
        held: names of the networks that it has been given.
        busy: it is at work for its branch, or has reports that were not heard yet.
    """

    def __init__(self) -> None:
        self._made = process()
        self.process, self.connection = self._made.popen, self._made.connection
        self.inbox = Inbox(self.connection)
        self.up, self.branch, self.held, self.busy = False, "", set[str](), False
        self.peak_bytes = 0

    def order(self, action: Action, carrier: Carrier, branch: str) -> None:
        """Have an action carried out, on copies of the networks that it names."""
        names = [name for name in names_in(action) if name not in self.held and name in carrier.bench.networks]
        position = carrier.positions.pop(branch, None)
        tree = {
            "networks": dump({name: carrier.bench.networks[name] for name in names}),
            "fits": dump({name: carrier.bench.fits[name] for name in names if name in carrier.bench.fits}),
            "positions": dump({} if position is None else {branch: position}),
        }
        self.held |= set(names)
        self.send(Begin(branch, action, tree, carrier.bench.clock(), carrier.bench.engine.divisors))
        self.busy = True

    def hold(self) -> None:
        """Have the action stand still, at a report that says so; none comes if it ends before."""
        if self.busy:
            self.send(Hold())

    def go_on(self) -> None:
        """Have the action gone on with."""
        self.send(Go())
        self.busy = True

    def report(self) -> Report:
        """Wait for its next report."""
        found = self.receive()
        self.busy = not (found.ended or found.held)
        self.peak_bytes = found.peak_bytes
        return found

    def state(self, all: bool = False) -> dict[str, Any]:
        """Its networks and positions as plain types and tensors; with ``all`` it has none afterwards."""
        self.send(Give(all))
        return self.receive()

    def send(self, message: Any) -> None:
        """Send an order.

        Raises:
            WorkerLost: if the process is gone.
        """
        try:
            send(self.connection, message)
        except OSError as error:
            raise self.lost() from error
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise WorkerLost(f"an action cannot be sent to a worker process ({error})") from error

    def receive(self) -> Any:
        """Its next message.

        Raises:
            WorkerLost: if the process is gone, or gives up.
        """
        try:
            found = receive(self.connection)
        except (EOFError, OSError) as error:
            raise self.lost() from error
        if isinstance(found, Failed):
            raise WorkerLost(found.reason)
        return found

    def lost(self) -> WorkerLost:
        """Why it is gone."""
        code = self.process.wait()
        how = f"was killed by signal {-code} (out of memory?)" if code < 0 else f"ended with code {code}"
        return WorkerLost(f"a worker process {how}")

    def close(self) -> None:
        """End it."""
        self._made.end(at_once=not self.up)


class Crew:
    """The worker processes of a run, beside its own process, which trains too.

    There are none until they pay, unless they are asked for.

    Attributes:
        seconds_alone: CPU seconds that branches took in the run's own process.
        peak_bytes: the most memory that the workers took, all together, once they have ended.
    """

    def __init__(self, wanted: int) -> None:
        self.wanted = wanted
        self.workers: list[Worker] = []
        self.seconds_alone, self.peak_bytes = 0.0, 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def call(self) -> None:
        """Start those that are asked for: they come up while the run's own process loads its data."""
        if not self.workers:
            self.workers = [Worker() for _ in range(self.wanted - 1)]

    def muster(self, engine: Engine) -> None:
        """Start workers where that pays, give them the data, and see whether they have come up; waits for none."""
        if engine.device.type != "cpu" or not isinstance(engine.data.train.images, Tensor):
            self.close()
            return
        if not self.wanted and not self.workers and self.seconds_alone > WORTH_STARTING:
            self.wanted = workers_that_fit()
        self.call()
        if self.workers and self._folder is None:
            job = self._job(engine)
            for worker in self.workers:
                worker.send(job)
        for worker in self.workers:
            if not worker.up and worker.inbox.waits():
                worker.receive()
                worker.up = True
        if self._folder is not None and all(worker.up for worker in self.workers):
            self._folder.cleanup()  # it stays mapped

    def _job(self, engine: Engine) -> Job:
        data = engine.data
        self._folder = tempfile.TemporaryDirectory(prefix="growsearch-")
        file = str(Path(self._folder.name) / "data.safetensors")
        splits = {part: getattr(data, part) for part in PARTS}
        tensors = {f"{part}.{name}": getattr(split, name) for part, split in splits.items() for name in TENSORS}
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, file)
        nothing = Split(torch.empty(0), torch.empty(0))
        bare = replace(data, train=nothing, val=nothing, test=nothing, encoder=None)
        # Memory that runs out ends a worker: with one process there may be enough, so nothing is skipped before.
        hardware = replace(engine.hardware, device="cpu", workers=1, out_of_memory="stop")
        return Job(bare, file, hardware, engine.seed, torch.get_num_threads())

    @property
    def processes(self) -> int:
        """Those that branches can go on in: the run's own one, and workers that have come up."""
        return 1 + sum(worker.up for worker in self.workers)

    def has_news(self) -> bool:
        """Whether a worker has something to tell, such as that it has come up."""
        return any(worker.inbox.waits() for worker in self.workers)

    def free(self) -> Worker | None:
        """A worker without a branch."""
        return next((worker for worker in self.workers if worker.up and not worker.branch), None)

    def first(self, block: bool) -> Worker | None:
        """A worker whose branch has something to tell or nothing to do; None if all are at work.

        Args:
            block: wait for one.
        """
        working = {worker.connection: worker for worker in self.workers if worker.branch}
        for worker in working.values():
            if not worker.busy or worker.inbox.waits():
                return worker
        return working[wait(list(working))[0]] if block and working else None  # type: ignore[index]

    def of(self, branch: str) -> Worker | None:
        """The worker that has a branch, or the one it belongs to."""
        return next((w for w in self.workers if w.branch and f"{branch}/".startswith(f"{w.branch}/")), None)

    def close(self) -> None:
        """End all workers."""
        self.peak_bytes += sum(worker.peak_bytes for worker in self.workers)
        workers, self.workers = self.workers, []
        for worker in workers:
            worker.close()
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def workers_that_fit() -> int:
    """The most processes that cores, each with its threads, and a GiB of free memory for each allow."""
    return min(default_workers() // torch.get_num_threads(), available_bytes() // GIB)


def names_in(value: Any) -> list[str]:
    """Names of the networks in an action's fields."""
    if isinstance(value, Net):
        return [value.name]
    if is_dataclass(value) and not isinstance(value, type):
        return names_in([getattr(value, field.name) for field in fields(value)])
    if isinstance(value, dict):
        return names_in(value.values())
    if isinstance(value, Iterable) and not isinstance(value, str | bytes | Tensor):
        return [name for each in value for name in names_in(each)]
    return []


def for_a_worker(action: Action) -> bool:
    """Whether a worker can carry an action out: it is about a live network, and reads no module that was handed in."""
    sources = getattr(action, "sources", ())
    return isinstance(getattr(action, "net", None), Net) and all(isinstance(source, Net) for source in sources)
