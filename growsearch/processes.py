"""Worker processes of a run, as its own process starts them.

Nothing here imports torch: a worker that is asked for imports it while the run's own process does.
"""

import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from multiprocessing.connection import Connection

from growsearch.data.decoders import deaf

PROGRAM = "import sys; sys.path[:] = __import__('json').loads(sys.argv[2]); " + (
    "from growsearch.runner.worker import main; main()"
)
"""Not ``multiprocessing``'s: that would import the caller's program in each worker, guarded or not."""

_EARLY: list["Process"] = []


class Process:
    """A process that serves whoever holds ``connection``, see :mod:`growsearch.runner.worker`.

    Attributes:
        popen: the process.
        connection: its orders' and answers' way.
    """

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-c", PROGRAM, str(theirs.fileno()), dumps(sys.path)]
            with deaf():
                self.popen = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=(theirs.fileno(),)
                )
        self.connection = Connection(ours.detach())

    def end(self, at_once: bool) -> None:
        """End it; one that is not ``at_once`` killed has two seconds for that."""
        self.connection.close()
        if at_once:
            self.popen.kill()
        try:
            self.popen.wait(timeout=2)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()


@contextmanager
def called_early(count: int) -> Iterator[None]:
    """Start processes before there is a run that takes them; those that none takes within the block are ended."""
    _EARLY.extend(Process() for _ in range(count))
    try:
        yield
    finally:
        while _EARLY:
            _EARLY.pop().end(at_once=True)


def process() -> Process:
    """One that was called early, or a new one."""
    return _EARLY.pop() if _EARLY else Process()
