"""Signals as a wish to stop at the next step, where the state is whole.

SIGINT and SIGTERM stop a run, saved. Where another library has set its own handler for SIGTERM,
SIGUSR1 or SIGUSR2 before the run began, as submitit does to requeue a preempted job, that handler is
called once the run is saved: it may end the process, or let the run go on.
"""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
SCHEDULERS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)

Handler = Callable[[int, FrameType | None], object]


class StopRequest:
    """Record of signals that have come; a second one of the same kind stops at once unless it is handed on."""

    def __init__(self) -> None:
        self.signum: int | None = None
        self._others: dict[int, Handler] = {}
        self._pending: list[int] = []

    def __bool__(self) -> bool:
        return self.signum is not None or bool(self._pending)

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM, as shells count."""
        return 128 + (self.signum or 0)

    def hand_on(self) -> None:
        """Call the handlers of others, now that everything is saved; those that return let the run go on."""
        while self._pending:
            signum = self._pending.pop(0)
            self._others[signum](signum, None)

    def _receive(self, signum: int, frame: FrameType | None) -> None:
        if signum in self._others:
            if signum not in self._pending:
                self._pending.append(signum)
            return
        if self.signum is not None:
            raise KeyboardInterrupt
        self.signum = signum


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Listen while the block runs; outside the main thread nothing can be heard."""
    request = StopRequest()
    if threading.current_thread() is not threading.main_thread():
        yield request
        return
    for signum in SCHEDULERS:
        handler = signal.getsignal(signum)
        if callable(handler) and handler is not signal.default_int_handler:
            request._others[signum] = handler
    before = {number: signal.signal(number, request._receive) for number in {*SIGNALS, *request._others}}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
