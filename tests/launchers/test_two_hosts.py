"""Two machines on one folder that share neither locks nor clocks nor process numbers: one writes, the other waits."""

import contextlib
import fcntl
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from processes import FORKS, LOG, events_of, finish, only_run
from sampling import sampled

from growsearch.cli import main

WORDS = ["algo=fixed", "network=sequential", "data=digits", "schedule=smoke", "hardware=cpu", "track=quiet"]
RUN = ["run", "-m", *WORDS, "track.report=false", "algo.training.epochs=40"]
STALE = 2.0


def on_host(name: str, ahead: float, folder: Path) -> BaseProcess:
    """The sweep in a process as on a machine of its own, whose clock is so many seconds ahead."""
    process = FORKS.Process(target=_host, args=(name, ahead, folder))
    process.start()
    return process


def _host(name: str, ahead: float, folder: Path) -> None:
    from growsearch.run_folder import lease

    log = os.open(folder / f"{name}.txt", os.O_WRONLY | os.O_CREAT)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.chdir(folder)
    fcntl.flock = lambda *args: None
    clock = time.time
    time.time = lambda: clock() + ahead
    lease.this_machine = lambda: name
    lease.BEAT, lease.STALE, lease.POLL = STALE / 10, STALE, 0.05
    raise SystemExit(main(RUN))


def writer(folder: Path, hosts: dict[str, BaseProcess]) -> str:
    """The host that has the run's events open, once it has trained a little."""
    deadline = time.monotonic() + 200
    while time.monotonic() < deadline:
        for name, process in hosts.items():
            for link in Path(f"/proc/{process.pid}/fd").glob("*"):
                with contextlib.suppress(OSError):
                    if os.readlink(link).endswith("events.jsonl") and len(events_of(only_run(folder))) > 5:
                        return name
        time.sleep(0.01)
    raise AssertionError([(folder / f"{name}.txt").read_text() for name in hosts])


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    folder = tmp_path_factory.mktemp("reference")
    finish(RUN, folder)
    assert "waiting" not in (folder / LOG).read_text()
    return events_of(only_run(folder))


@pytest.mark.parametrize("signum", sampled([signal.SIGKILL, signal.SIGSTOP], signal.SIGSTOP))
def test_a_run_is_written_by_one_of_two_hosts(signum, tmp_path, reference):
    if not Path("/proc/self/fd").exists():
        pytest.skip("looks for the writer in /proc")
    hosts = {"early": on_host("early", -86400, tmp_path), "late": on_host("late", 86400, tmp_path)}
    first = writer(tmp_path, hosts)
    (second,) = hosts.keys() - {first}
    os.kill(hosts[first].pid, signum)
    hosts[second].join(300)
    said = (tmp_path / f"{second}.txt").read_text()
    assert hosts[second].exitcode == 0, said
    assert "going on with" in said
    if signum == signal.SIGSTOP:
        os.kill(hosts[first].pid, signal.SIGCONT)
        hosts[first].join(300)
        assert hosts[first].exitcode == 2
        assert "took this run over" in (tmp_path / f"{first}.txt").read_text()
    assert events_of(only_run(tmp_path)) == reference
