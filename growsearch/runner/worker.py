"""A process that trains networks of a search for the run's own process, one branch of its script at a time."""

import io
import os
import pickle
import select
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

SLICE = 0.05
"""Seconds after which a worker reports."""


@dataclass(frozen=True)
class Job:
    """A worker's set-up: data set without its splits' tensors, file of these, hardware, seed and threads."""

    data: Any
    tensors: str
    hardware: Any
    seed: int
    threads: int


@dataclass(frozen=True)
class Begin:
    """Carry an action out: ``tree`` holds the networks that it needs, and its position if it was under way."""

    branch: str
    action: Any
    tree: dict[str, Any]
    seconds: float
    divisors: dict[str, int]


@dataclass(frozen=True)
class Hold:
    """Report after the step under way, and stand still; one that has nothing under way does so anyway."""


@dataclass(frozen=True)
class Go:
    """Go on with the action under way, after a hold."""


@dataclass(frozen=True)
class Give:
    """Tell the state of networks and positions; with ``all``, forget them."""

    all: bool


@dataclass(frozen=True)
class Report:
    """Work done since the last report: steps, then an event or the answer; and its cost.

    The next one comes unasked, unless the action has ended or is held.
    """

    steps: int
    event: Any
    ended: bool
    held: bool
    answer: Any
    work: dict[str, Any]
    notes: list[str]
    peak_bytes: int


@dataclass(frozen=True)
class Failed:
    """Something that only the run's own process can deal with."""

    reason: str


def main() -> None:
    """Serve until the run's process closes its end, or is gone."""
    connection = Connection(int(sys.argv[1]))
    with suppress(EOFError, OSError):
        serve(connection)
    sys.stdout.flush()
    os._exit(0)  # nothing here is worth the time that libraries take to end


def serve(connection: Connection) -> None:
    """Obey orders, one answer for each but those that set to work, stop it or let it go on."""
    try:
        worker = Worker(receive(connection), connection)
        send(connection, None)
    except Exception as error:
        send(connection, Failed(f"{type(error).__name__}: {error}"))
        raise EOFError from error
    while True:
        try:
            worker.obey(receive(connection))
        except (EOFError, OSError):
            raise
        except Exception as error:
            send(connection, Failed(str(error) or type(error).__name__))


PARTS = ("train", "val", "test")


class Worker:
    """The engine of one worker process, and the branch that it is at."""

    def __init__(self, job: Job, connection: Connection) -> None:
        import torch
        from safetensors.torch import load_file

        from growsearch.actions import Workbench
        from growsearch.data.dataset import Split
        from growsearch.runner.carrier import Carrier
        from growsearch.training import Engine
        from growsearch.training.cost import TrainingCost

        torch.set_num_threads(job.threads)
        tensors = load_file(job.tensors)  # mapped: all processes read the same memory
        splits = {part: Split(tensors[f"{part}.images"], tensors[f"{part}.labels"]) for part in PARTS}
        self.engine = Engine(replace(job.data, **splits), job.hardware, job.seed)
        self.carrier, self.nothing = Carrier(Workbench(self.engine)), TrainingCost().save()
        self.under_way: Generator[Any, None, Any] | None = None
        self.connection, self.orders = connection, Inbox(connection)

    def obey(self, order: Any) -> None:
        """Carry one order out."""
        if isinstance(order, Give):
            send(self.connection, self.carrier.save())
            if order.all:
                self.carrier.clear()
        elif isinstance(order, Begin):
            self.carrier.take_in(order.tree)
            self.carrier.bench.start_clock(order.seconds)
            self.engine.divide(order.divisors)
            self.under_way = self.carrier.carry_out(order.action, order.branch)
            self.work()
        elif isinstance(order, Go) and self.under_way is not None:
            self.work()

    def work(self) -> None:
        """Take steps and tell of them, until the action has ended or is to stand still."""
        report = None
        while report is None or not (report.ended or report.held):
            report = self.go_on()
            send(self.connection, report)

    def go_on(self) -> Report:
        """Take steps until there is something to tell."""
        under_way = self.under_way
        assert under_way is not None
        steps, event, ended, held, answer, until = 0, None, False, False, None, time.monotonic() + SLICE
        while True:
            try:
                event = next(under_way)
                steps += event is None
            except StopIteration as end:
                ended, answer, self.under_way = True, end.value, None
                break
            held = self.orders.waits()
            if held or event is not None or time.monotonic() >= until:
                break
        if held:
            receive(self.connection)  # nothing but a hold comes while an action is under way
        work, notes = self.engine.work.save(), list(self.engine.notes)
        self.engine.work.load(self.nothing)
        self.engine.notes.clear()
        return Report(steps, event, ended, held, answer, work, notes, _peak())


class Inbox:
    """Tells whether a message waits at a connection; a tenth of what ``Connection.poll`` costs."""

    def __init__(self, connection: Connection) -> None:
        self._poll = select.poll()
        self._poll.register(connection.fileno(), select.POLLIN)

    def waits(self) -> bool:
        """Whether there is one, or the other end is gone."""
        return bool(self._poll.poll(0))


def _peak() -> int:
    from growsearch.training.out_of_memory import peak_bytes

    return peak_bytes()


def send(connection: Connection, message: Any) -> None:
    """Send a message; tensors are copied, as no process may write into another's networks."""
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(message)
    connection.send_bytes(buffer.getbuffer())


class _Pickler(pickle.Pickler):
    """Takes plain tensors on the CPU by their bytes: torch's own way costs several times as much."""

    def reducer_override(self, value: Any) -> Any:
        import torch

        if type(value) is not torch.Tensor or value.device.type != "cpu" or value.requires_grad or value.is_sparse:
            return NotImplemented
        octets = value.contiguous().reshape(-1).view(torch.uint8).numpy()
        return _tensor, (bytearray(octets), value.dtype, tuple(value.shape))


def _tensor(octets: bytearray, dtype: Any, shape: tuple[int, ...]) -> Any:
    import torch

    if not octets:
        return torch.empty(shape, dtype=dtype)
    return torch.frombuffer(octets, dtype=dtype).reshape(shape).clone()  # aligned as torch does it


def receive(connection: Connection) -> Any:
    """The other end's next message; both ends are of one run, started by it."""
    return pickle.loads(connection.recv_bytes())
