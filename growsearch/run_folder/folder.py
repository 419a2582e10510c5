"""The folder of one run, and how to find or make it."""

import errno
import fcntl
import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from functools import lru_cache, partial
from itertools import count
from pathlib import Path
from typing import Any

from growsearch.errors import UserError
from growsearch.release import RELEASE
from growsearch.run_folder.files import is_at, open_in_place, read_json, storage_errors, write_atomic, write_json
from growsearch.run_folder.lease import Busy, Holder, Lease, Told, holder_of, lease, patiently
from growsearch.text import reason
from growsearch.untrusted import read_bytes

LARGEST_CONFIG = 2**20
"""Bytes of a config.yaml that is read."""

GIT_SECONDS = 10.0
"""After which git is not waited for."""

LEASE = ".lease"
"""Stem of the leases on a run's folder."""

_NO_LOCKS = (errno.EBADF, errno.EINVAL, errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP)
"""What file systems say that cannot lock folders."""


class RunFolder:
    """Paths inside a run's folder, its lock, and the files that say how far it came."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config = path / "config.yaml"
        self.identity = path / "fingerprint.json"
        self.data = path / "data.json"
        self.error = path / "error.txt"
        self.log = path / "log.txt"
        self.events = path / "events.jsonl"
        self.result = path / "result.json"
        self.checkpoints = path / "checkpoints"
        self.network = path / "network"
        self.candidates = path / "candidates"
        self.exports = path / "exports"
        self.mistakes = path / "mistakes"
        self.latency = path / "latency.json"
        self.report = path / "report.html"
        self._held: dict[Path, int] = {}
        self._lease: Lease | None = None
        self._written: dict[Path, bytes] = {}

    @property
    def finished(self) -> bool:
        """Whether the run has its result."""
        return self.result.exists()

    @property
    def started(self) -> bool:
        """Whether there is a checkpoint to go on from."""
        return any(self.checkpoints.glob("*.safetensors"))

    @contextmanager
    def lock(self, wait: bool = False, told: Told = print) -> Iterator[None]:
        """Keep every other process off this folder; the operating system frees it if we die.

        The folder itself is locked, so that removing a file frees nothing, and ``.lock`` in it, for file systems
        that lock folders on one machine only; the lease is for those that lock nothing across machines. filelock
        locks files alone, and by name.

        Args:
            wait: for another process that works on the run.
            told: hears what is waited for.

        Raises:
            Busy: if another process works on the run and is not to be waited for.
            UserError: if the folder is not the run's own.
        """
        self.refuse_links()
        with ExitStack() as stack:
            stack.callback(self._held.clear)
            for path, opened in ((self.path, _open_folder), (self.path / ".lock", open_in_place)):
                with storage_errors(self.path):
                    self._held[path] = handle = opened(path)
                    stack.callback(os.close, handle)
                    patiently(partial(self._lock, handle), wait, told)
            self.require_held()
            self._lease = stack.enter_context(lease(self.path, LEASE, wait, told))
            stack.callback(setattr, self, "_lease", None)
            for path in (self.config, self.identity):
                with suppress(OSError, UserError):
                    self._written[path] = read_bytes(path, LARGEST_CONFIG)
            yield

    def _lock(self, handle: int) -> None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Busy(self.path, self.holder()) from None
        except OSError as error:
            if not (error.errno in _NO_LOCKS and stat.S_ISDIR(os.fstat(handle).st_mode)):
                raise

    def holder(self, write: bool = True) -> Holder | None:
        """The process that works on the run, on whatever machine, as far as one look tells.

        Args:
            write: as in :func:`~growsearch.run_folder.lease.holder_of`.
        """
        return holder_of(self.path, LEASE, write)

    def keep(self) -> None:
        """Look whether the run is still this process's own, where that may have changed; cheap enough for each line.

        Raises:
            UserError: as :meth:`require_held`.
        """
        if self._lease is not None and self._lease.overdue:
            self.require_held()

    def require_held(self) -> None:
        """Check that folder, lock and lease are still this process's; to be called before anything is written.

        Raises:
            UserError: if one was removed, moved or replaced.
        """
        for path, handle in self._held.items():
            if is_at(path, handle):
                continue
            if path == self.path:
                raise UserError(
                    f"{path}: the run's folder was removed or moved while the run worked; stopped, and nothing more is "
                    "written; growsearch resume continues a moved one from its last checkpoint"
                )
            raise UserError(
                f"{path}: removed or replaced while the run worked, so another process may work on it too; stopped, "
                f"what was saved before is whole; go on with: growsearch resume {self.path}"
            )
        if self._lease is not None:
            self._lease.require()

    def restore(self) -> list[str]:
        """Write configuration and identity anew where they are not what the run wrote; the names of those.

        Without them nothing that is saved can be gone on with.

        Raises:
            UserError: if they cannot be written.
        """
        anew = []
        for path, content in self._written.items():
            with suppress(OSError, UserError):
                if read_bytes(path, LARGEST_CONFIG) == content:
                    continue
            write_atomic(path, content)
            anew.append(path.name)
        return anew

    def refuse_links(self) -> None:
        """Refuse a folder whose parts are links: what is written below them would land elsewhere.

        Files need no look: they are replaced, or opened so that a link is an error.

        Raises:
            UserError: naming the link.
        """
        inside = sorted(self.candidates.iterdir()) if self.candidates.is_dir() else []
        parts = (
            self.checkpoints,
            self.network,
            self.exports,
            self.mistakes,
            self.path / "tensorboard",
            self.candidates,
        )
        for part in (*parts, *inside):
            if os.path.lexists(part) and not stat.S_ISDIR(os.lstat(part).st_mode):
                raise UserError(f"{part}: it is no folder of the run's own (a link?)")

    def read_config(self) -> str:
        """The text of config.yaml.

        Raises:
            UserError: if there is none, or it is no text within the size limit.
        """
        try:
            return read_bytes(self.config, LARGEST_CONFIG).decode()
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{self.path}: it has no config.yaml; use the folder of a run") from None
        except (OSError, ValueError) as error:
            raise UserError(f"{self.config}: not readable as text ({reason(error)})") from error

    def write_config(self, text: str) -> None:
        """Keep the text of config.yaml.

        Raises:
            UserError: if it cannot be written.
        """
        write_atomic(self.config, text.encode())
        if self._held:
            self._written[self.config] = text.encode()

    def read_result(self) -> dict[str, Any]:
        """The result of a finished run.

        Raises:
            UserError: if it is missing or damaged.
        """
        found = read_json(self.result)
        if not isinstance(found, dict):
            raise UserError(f"{self.result}: it holds a {type(found).__name__} instead of an object")
        return found

    def read_identity(self) -> dict[str, Any]:
        """Fingerprints and version that the run was made with.

        Raises:
            UserError: if they are missing or damaged.
        """
        found = read_json(self.identity)
        if not isinstance(found, dict):
            raise UserError(f"{self.identity}: it holds a {type(found).__name__} instead of an object")
        return found

    def read_data(self) -> Any:
        """The digest of the data that the run began with; None where there is none.

        Raises:
            UserError: if it is damaged.
        """
        return read_json(self.data) if os.path.lexists(self.data) else None

    def write_data(self, digest: dict[str, Any]) -> None:
        """Keep the digest of the data.

        Raises:
            UserError: if it cannot be written.
        """
        write_json(self.data, digest)


def _open_folder(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)


def git_state() -> str | None:
    """The commit that the working directory is at, with ``-dirty`` where files differ from it; None without git."""
    command = ["git", "--no-optional-locks", "-c", "core.fsmonitor=false"]
    command += ["describe", "--always", "--exclude=*", "--dirty"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True, timeout=GIT_SECONDS)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return found.stdout.strip() or None


def new_run(
    root: Path,
    algo: str,
    data: str,
    seed: int,
    yaml: str,
    identity: dict[str, str],
    digest: dict[str, Any],
    command: list[str] | None = None,
) -> RunFolder:
    """Make ``root/<algo>/<data>/<timestamp>-seed<k>/`` with its configuration, identity, origin and data digest.

    Args:
        root: folder above all runs.
        algo: label of the method.
        data: name of the data set.
        seed: of the run.
        yaml: text of config.yaml.
        identity: what the run is recognised by.
        digest: of the data.
        command: words of the command line that began it, if one did.

    Raises:
        UserError: if the folder cannot be made.
    """
    parent = root / algo / data
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
        for attempt in count():
            suffix = f"-{attempt}" if attempt else ""
            path = parent / f"{stamp}-seed{seed}{suffix}"
            try:
                path.mkdir()
                break
            except FileExistsError:
                continue
    folder = RunFolder(path)
    folder.write_config(yaml)
    origin = {"command": None if command is None else shlex.join(command), "git": git_state()}
    write_json(folder.identity, {**identity, "version": RELEASE, **origin})
    folder.write_data(digest)
    return folder


@contextmanager
def beginning(root: Path, algo: str, data: str, fingerprint: str) -> Iterator[None]:
    """Keep every other process from making a folder for the run of this fingerprint; wait for one that is about to."""
    parent = root / algo / data
    with storage_errors(parent):
        parent.mkdir(parents=True, exist_ok=True)
    with lease(parent, f".{fingerprint}", wait=True, told=lambda text: None):
        yield


def find_run(
    root: Path, algo: str, data: str, identity: dict[str, str], reread: Callable[[str], str] | None = None
) -> RunFolder | None:
    """The folder of an earlier run of this identity: a finished one first, else the newest.

    Args:
        root: above all runs.
        algo: what they are filed under.
        data: likewise.
        identity: ``fingerprint``, ``options`` and ``data`` as :func:`new_run` wrote them, and ``source`` of a network
            of the user's own.
        reread: the fingerprint that a run's config.yaml would get today; a run of the same data whose options are
            others, as it was written before one was added, counts as this one if that fingerprint is the same.
    """
    found = []
    for path in sorted((root / algo / data).glob("*/fingerprint.json"), reverse=True):
        folder = RunFolder(path.parent)
        try:
            kept = _identity(folder.path, os.stat(path).st_mtime_ns)
            same = kept["fingerprint"] == identity["fingerprint"]
            added = kept.get("options") != identity["options"] and kept.get("data") == identity["data"]
            added = added and kept.get("source", identity.get("source")) == identity.get("source")
            if not same and reread is not None and added:
                same = reread(folder.read_config()) == identity["fingerprint"]
        except (OSError, UserError, KeyError, TypeError, AttributeError):
            continue
        if same:
            found.append(folder)
    return next((run for run in found if run.finished), found[0] if found else None)


@lru_cache(4096)
def _identity(path: Path, changed: int) -> dict[str, Any]:
    """A run's identity as its file was at a time: each job of a sweep looks at those of all runs."""
    return RunFolder(path).read_identity()
