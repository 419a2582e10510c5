"""A process that trains networks of a search for the run's own process, one branch of its script at a time."""

import io
import os
import pickle
import sys
import time
from collections.abc import Generator
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

SLICE = 0.05
"""Seconds after which a worker reports, so that the run can be saved or stopped."""


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
class Go:
    """Go on with the action under way."""


@dataclass(frozen=True)
class Give:
    """Tell the state of networks and positions; with ``all``, forget them."""

    all: bool


@dataclass(frozen=True)
class Report:
    """Work done since the last report: steps, then an event or the answer; and its cost."""

    steps: int
    event: Any
    ended: bool
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
    """Obey orders, one answer for each."""
    try:
        worker = Worker(receive(connection))
        send(connection, None)
    except Exception as error:
        send(connection, Failed(f"{type(error).__name__}: {error}"))
        raise EOFError from error
    while True:
        try:
            answer = worker.obey(receive(connection))
        except (EOFError, OSError):
            raise
        except Exception as error:
            answer = Failed(str(error) or type(error).__name__)
        send(connection, answer)


PARTS = ("train", "val", "test")


class Worker:
    """The engine of one worker process, and the branch that it is at."""

    def __init__(self, job: Job) -> None:
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

    def obey(self, order: Any) -> Any:
        """Carry one order out."""
        if isinstance(order, Give):
            tree = self.carrier.save()
            if order.all:
                self.carrier.clear()
            return tree
        if isinstance(order, Begin):
            self.carrier.take_in(order.tree)
            self.carrier.bench.start_clock(order.seconds)
            self.engine.divide(order.divisors)
            self.under_way = self.carrier.carry_out(order.action, order.branch)
        return self.go_on()

    def go_on(self) -> Report:
        """Take steps until there is something to tell."""
        under_way = self.under_way
        assert under_way is not None
        steps, event, ended, answer, until = 0, None, False, None, time.monotonic() + SLICE
        while event is None and not ended and time.monotonic() < until:
            try:
                event = next(under_way)
                steps += event is None
            except StopIteration as end:
                ended, answer, self.under_way = True, end.value, None
        work, notes = self.engine.work.save(), list(self.engine.notes)
        self.engine.work.load(self.nothing)
        self.engine.notes.clear()
        return Report(steps, event, ended, answer, work, notes, _peak())


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
