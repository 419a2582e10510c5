"""Worker processes that decode pictures. Nothing here imports torch, so that a worker starts quickly."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np

from growsearch.data.pictures import Span, decode
from growsearch.errors import UserError

MOST_WORKERS = 16
SECONDS_BETWEEN_LOOKS = 1.0
FOR_THE_PARENT = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""Signals that a terminal or a cluster sends to all processes of a run; what they mean is the parent's to say."""


@contextmanager
def deaf() -> Iterator[None]:
    """Hold signals back while processes are started, which inherit that for good; this one hears them afterwards."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
    try:
        resource_tracker.ensure_running()  # Python starts it with the first worker, and lets signals through then
        signal.pthread_sigmask(signal.SIG_BLOCK, FOR_THE_PARENT)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def default_workers() -> int:
    """One per core that this process may use, up to ``MOST_WORKERS``."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


class Decoders:
    """A pool of processes, started when the first pictures are asked for.

    Args:
        workers: processes; 0 decodes in this one.
    """

    def __init__(self, workers: int) -> None:
        self.workers = workers
        self._pool: ProcessPoolExecutor | None = None
        self._broken: Event | None = None

    def submit(
        self, files: Sequence[str], channels: int, size: int | tuple[int, int], span: Span | None = None
    ) -> Future[np.ndarray]:
        """Begin to decode ``files`` into [N, *size, channels] uint8; see :func:`~growsearch.data.pictures.decode`."""
        if self.workers == 0:
            done: Future[np.ndarray] = Future()
            try:
                done.set_result(decode_files(files, channels, size, span))
            except UserError as error:
                done.set_exception(error)
            return done
        with deaf():  # each call may start a worker
            if self._pool is None:
                spawn = get_context("spawn")
                self._broken = spawn.Event()
                self._pool = ProcessPoolExecutor(self.workers, spawn, _start_worker, (os.getpid(), self._broken))
            try:
                return self._pool.submit(decode_files, files, channels, size, span)
            except BrokenProcessPool as error:  # found out since the last result
                raise self._lost() from error

    def result(self, pending: Future[np.ndarray]) -> np.ndarray:
        """Wait for what :meth:`submit` began.

        Raises:
            UserError: if a picture is damaged, or a worker was killed.
        """
        try:
            return pending.result()
        except BrokenProcessPool as error:
            raise self._lost() from error

    def _lost(self) -> UserError:
        """End what is left of a pool that lost a worker."""
        if self._broken is not None:
            self._broken.set()
        self._pool = self._broken = None
        return UserError("data.workers: a worker process died (out of memory?); use fewer workers")


def decode_files(
    files: Sequence[str], channels: int, size: int | tuple[int, int], span: Span | None = None
) -> np.ndarray:
    """Decode pictures into one array [N, *size, channels] of bytes.

    Raises:
        UserError: if one is damaged.
    """
    return np.stack([decode(Path(file), channels, size, span) for file in files])


def _start_worker(parent: int, broken: Event) -> None:
    """End when the parent is gone, even if it was killed, or when the pool is broken."""

    def watch() -> None:
        while os.getppid() == parent and not broken.is_set():
            time.sleep(SECONDS_BETWEEN_LOOKS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
