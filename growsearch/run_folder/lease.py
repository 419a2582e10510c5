"""Which process works on a folder, for machines that share the folder but neither locks nor clocks.

A process that works leaves a file of its own in the folder and renews its time stamp. Who wants to work there
announces itself with such a file first and looks for others afterwards, so that of two at least one sees the other
and withdraws. A lease of the same machine ends with its process. One of another machine counts as dead when its
time stamp has not changed for :data:`STALE` seconds of the observer's own clock; no two clocks are compared.

A process that was suspended for as long learns before its next write that its lease is gone. Only where it is
suspended between that look and the write can it still write once.
"""

import contextlib
import json
import os
import random
import socket
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Annotated

import msgspec
import psutil

from growsearch.errors import UserError
from growsearch.run_folder.files import storage_errors

BEAT = 5.0
"""Seconds between two renewals."""

STALE = 60.0
"""Seconds without a renewal after which a lease of another machine is given up for dead."""

POLL = 0.5
"""Seconds between two looks at a folder that is waited for."""

LARGEST = 4096
"""Bytes of a lease that are read."""

Told = Callable[[str], object]


class Busy(UserError):
    """Another process works on the folder.

    Args:
        folder: which.
        holder: the process, where it is known.
        certain: that it lives; else only time can tell.
    """

    def __init__(self, folder: Path, holder: "Holder | None", certain: bool = True) -> None:
        who = f" ({holder})" if holder is not None else ""
        super().__init__(f"{folder}: another process is working on this run{who}; wait for it or stop it")
        self.certain = certain
        self.wait = f"{folder}: waiting for another process that works on this run{who}"
        if not certain:
            self.wait = (
                f"{folder}: looking for up to {STALE:.0f} s whether another process still works on this run{who}"
            )


@dataclass(frozen=True)
class Holder:
    """A process that works, or worked, on a folder.

    Attributes:
        token: of the lease.
        machine: where its process number counts; another after a restart and in another container.
        host: name for people.
        pid: process number.
        started: when the process began, in the machine's own count; None where that is not known.
    """

    token: str
    machine: str
    host: str
    pid: Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
    started: int | None

    def lives(self) -> bool | None:
        """Whether the process lives; None if it can only be seen by its renewals."""
        if self.machine != this_machine():
            return None
        if self.started is not None:
            return start_of(self.pid) == self.started
        return None if psutil.pid_exists(self.pid) else False

    def __str__(self) -> str:
        return f"process {self.pid} on {self.host}"


@cache
def this_machine() -> str:
    """Identity of a machine, its last start and its container: a process number means nothing beyond."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"
    return f"{uuid.getnode():x}"


def start_of(pid: int) -> int | None:
    """Start of a process in ticks since the machine's; None if it has ended, or where this cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    state, *fields = text.rpartition(")")[2].split()  # a process's name may hold spaces and brackets
    return None if state in "ZX" else int(fields[18])


def monotonic() -> float:
    """Seconds that go on while the machine sleeps."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class Lease:
    """This process's lease on a folder, renewed by a thread until it is released."""

    def __init__(self, folder: Path, stem: str) -> None:
        self.folder, self.stem, token = folder, stem, uuid.uuid4().hex
        pid = os.getpid()
        self.holder = Holder(token, this_machine(), socket.gethostname(), pid, start_of(pid))
        self.path = folder / f"{stem}.{token}"
        self._seen: dict[str, tuple[int, float]] = {}
        self._end = threading.Event()
        self._lost = False
        self._renewed = 0.0

    def take(self) -> None:
        """Announce this process, and withdraw if another is there.

        Raises:
            Busy: if another process works on the folder, or may do so.
        """
        dead, surely = self._others()
        with storage_errors(self.path):
            handle = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
            try:
                os.write(handle, json.dumps(asdict(self.holder)).encode())
            finally:
                os.close(handle)
        self._renewed = monotonic()
        try:
            dead_now, _ = self._others()
            for path in dead | dead_now:
                path.unlink(missing_ok=True)
            if not surely:  # whoever only slept has found by then that its lease is gone
                time.sleep(2 * BEAT)
                if not self._renew():
                    raise Busy(self.folder, None, certain=False)
        except BaseException:
            self._withdraw()
            raise
        threading.Thread(target=self._keep, daemon=True, name=f"lease on {self.folder}").start()

    def require(self) -> None:
        """Look whether this process still holds the folder.

        Raises:
            UserError: if another process has taken it over.
        """
        if self.overdue and not self._renew():
            raise UserError(
                f"{self.folder}: another process took this run over, as this one did not answer for {STALE:.0f} s; "
                f"stopped, what was saved before is whole; go on with: growsearch resume {self.folder}"
            )

    @property
    def overdue(self) -> bool:
        """Whether the lease is lost, or may be by now."""
        return self._lost or monotonic() - self._renewed > STALE / 2

    def release(self) -> None:
        """Let others work on the folder."""
        self._end.set()
        self._withdraw()

    def _withdraw(self) -> None:
        with suppress(OSError):
            self.path.unlink(missing_ok=True)

    def _others(self) -> tuple[set[Path], bool]:
        """Leases of the dead, and whether all of these died for sure.

        Raises:
            Busy: if one is not dead.
        """
        dead, surely = set[Path](), True
        for path in leases(self.folder, self.stem):
            if path == self.path or (found := read(path)) is None:
                continue
            holder, stamp = found
            lives = holder.lives() if holder is not None else None
            if lives is None:
                before, since = self._seen.setdefault(path.name, (stamp, monotonic()))
                if before != stamp:
                    del self._seen[path.name]
                if before != stamp or monotonic() - since < STALE:
                    raise Busy(self.folder, holder, certain=before != stamp)
                surely = False
            elif lives:
                raise Busy(self.folder, holder)
            dead.add(path)
        return dead, surely

    def _renew(self) -> bool:
        """Set the time stamp, if the lease is still there; a disk that fails is no answer yet."""
        now = monotonic()
        try:
            handle = os.open(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                os.utime(handle)
            finally:
                os.close(handle)
        except FileNotFoundError:
            self._lost = True
        except OSError:
            return not self.overdue
        else:
            self._renewed = now
        return not self._lost

    def _keep(self) -> None:
        while not self._end.wait(BEAT) and not self._lost:
            self._renew()


def leases(folder: Path, stem: str) -> list[Path]:
    """The leases on a folder, whoever left them."""
    with storage_errors(folder):
        return [folder / name for name in os.listdir(folder) if name.startswith(f"{stem}.")]


def read(path: Path) -> tuple[Holder | None, int] | None:
    """Holder of a lease (None where that is not readable), and its time stamp; None if it is gone.

    The file is opened, as a network file system answers for its time stamp from memory otherwise.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError:
        return None, 0
    with contextlib.closing(os.fdopen(handle, "rb")) as file:
        stamp = os.fstat(handle).st_mtime_ns
        try:
            return msgspec.json.decode(file.read(LARGEST), type=Holder), stamp
        except (OSError, ValueError, msgspec.MsgspecError):
            return None, stamp


def holder_of(folder: Path, stem: str, write: bool = True) -> Holder | None:
    """The process that works on a folder as far as one look tells.

    Args:
        folder: which.
        stem: of the leases' names.
        write: whether time stamps are compared with the file system's clock, which takes a temporary file; else with
            this machine's.
    """
    for path in leases(folder, stem):
        holder, stamp = read(path) or (None, 0)
        lives = holder is not None and holder.lives()
        now = _file_clock(folder) if write and lives is None else time.time_ns()
        if lives or (lives is None and now - stamp < STALE * 1e9):
            return holder
    return None


def _file_clock(folder: Path) -> int:
    """The time that a file gets which is written now, in nanoseconds; this machine's where none can be written."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return time.time_ns()


@contextmanager
def lease(folder: Path, stem: str, wait: bool, told: Told) -> Iterator[Lease]:
    """Keep every other process off a folder, on whatever machine.

    Args:
        folder: which.
        stem: of the lease's name; leases of other stems do not count.
        wait: for whoever works on it; else only as long as it takes to see whether a process of another machine lives.
        told: hears once what is waited for.

    Raises:
        Busy: if another process works on the folder and is not to be waited for.
    """
    own = Lease(folder, stem)
    patiently(own.take, wait, told)
    try:
        yield own
    finally:
        own.release()


def patiently(take: Callable[[], object], wait: bool, told: Told) -> None:
    """Call ``take`` until it finds nobody at work.

    Raises:
        Busy: if somebody is, for certain, and is not to be waited for.
    """
    said = ""
    while True:
        try:
            take()
            return
        except Busy as busy:
            if busy.certain and not wait:
                raise
            if not said:
                told(said := busy.wait)
        time.sleep(POLL * random.uniform(0.5, 1.5))
