"""Time that a process spends: seconds in which it could work, and CPU seconds."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

import psutil

LOOK_EVERY = 0.25
"""Seconds between two looks at the clock."""

LEAST_STOP = 5.0
"""Seconds without a look, from which on a process counts as stopped; a busy machine delays looks for less."""


class WorkClock:
    """A clock that stands still while the process is stopped (SIGSTOP, Ctrl-Z, a frozen container).

    ``time.monotonic`` stands still while the machine is suspended, but not then, and nobody tells a process when it
    was frozen. So a thread looks four times a second: a long time without a look is left out, unless the process
    computed for longer than it can have between two looks.

    Args:
        now: seconds of a clock that goes on.
        computed: CPU seconds of the process.
        cores: of the machine.
    """

    def __init__(
        self,
        now: Callable[[], float] = time.monotonic,
        computed: Callable[[], float] = time.process_time,
        cores: int | None = None,
    ) -> None:
        self._now, self._computed = now, computed
        self._most = 2 * LOOK_EVERY * (cores or os.cpu_count() or 1)
        self._seen = (now(), computed())
        self._stopped = 0.0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def seconds(self) -> float:
        """Seconds since an arbitrary moment, without those in which the process was stopped."""
        with self._lock:
            now, computed = self._now(), self._computed()
            gap, busy = now - self._seen[0], computed - self._seen[1]
            if gap > LEAST_STOP and busy < self._most:
                self._stopped += gap
            self._seen = (now, computed)
            return now - self._stopped

    def start(self) -> None:
        """Look from now on; in a forked process, again."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._look, name="clock", daemon=True)
            self._seen = (self._now(), self._computed())
            self._thread.start()

    def release(self) -> None:
        """For a forked process, where the thread that may have held the lock is missing."""
        self._lock = threading.Lock()

    def _look(self) -> None:
        while True:
            self.seconds()
            time.sleep(LOOK_EVERY)


_CLOCK = WorkClock()
os.register_at_fork(after_in_child=_CLOCK.release)


def working_seconds() -> float:
    """Seconds since an arbitrary moment, without those in which this process was stopped; see :class:`WorkClock`."""
    _CLOCK.start()
    return _CLOCK.seconds()


def cpu_seconds() -> float:
    """CPU seconds of this process, of those it started that have ended, and of its workers."""
    total = time.process_time() + sum(os.times()[2:4])
    for worker in psutil.Process().children():
        with suppress(psutil.Error):  # a worker that has just ended
            total += sum(worker.cpu_times()[:2])
    return total
