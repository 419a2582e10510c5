"""Leases on a folder: one holder at a time, with other machines told apart from processes of this one."""

import json
import os
import subprocess
import sys
import threading
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from growsearch.errors import UserError
from growsearch.run_folder import lease as module
from growsearch.run_folder.lease import Busy, Holder, Lease, holder_of, lease, leases, start_of, this_machine


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Seconds become hundredths."""
    for name, value in {"BEAT": 0.05, "STALE": 0.6, "POLL": 0.01}.items():
        monkeypatch.setattr(module, name, value)


def left_by(folder: Path, **fields) -> Path:
    """A lease that nobody renews."""
    own = Lease(folder, ".lease").holder
    holder = replace(own, token=f"other{len(list(folder.iterdir()))}", **fields)
    path = folder / f".lease.{holder.token}"
    path.write_text(json.dumps(asdict(holder)))
    return path


def ended() -> int:
    process = subprocess.Popen(["true"])
    process.wait()
    return process.pid


def test_a_process_that_lives_is_not_disturbed_and_waited_for_where_wanted(tmp_path):
    said: list[str] = []
    with lease(tmp_path, ".lease", wait=False, told=said.append) as held:
        held.require()
        assert holder_of(tmp_path, ".lease") == held.holder
        with pytest.raises(Busy, match=rf"another process is working on this run \(process {os.getpid()} on "):
            Lease(tmp_path, ".lease").take()
        with lease(tmp_path, ".other", wait=False, told=said.append):
            pass
        waiter = threading.Thread(target=lambda: lease(tmp_path, ".lease", True, said.append).__enter__())
        waiter.start()
        while not said:
            time.sleep(0.01)
    waiter.join(10)
    assert not waiter.is_alive()
    assert len(said) == 1 and "waiting for another process" in said[0]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_dead_process_of_this_machine_leaves_at_once(tmp_path):
    left_by(tmp_path, pid=ended())
    left_by(tmp_path, started=(start_of(os.getpid()) or 0) - 1)  # its number was given to us since
    begun = time.monotonic()
    with lease(tmp_path, ".lease", wait=False, told=pytest.fail) as held:
        assert leases(tmp_path, ".lease") == [held.path]
    assert time.monotonic() - begun < module.STALE
    assert leases(tmp_path, ".lease") == []


@pytest.mark.parametrize("torn", [False, True])
def test_a_lease_of_another_machine_is_watched_whatever_its_clock_says(tmp_path, torn):
    path = left_by(tmp_path, machine="elsewhere")
    if torn:
        path.write_text("{")
    os.utime(path, (0, 4e9))  # its clock is far ahead
    said: list[str] = []
    begun = time.monotonic()
    with lease(tmp_path, ".lease", wait=False, told=said.append):
        assert time.monotonic() - begun >= module.STALE
        assert not path.exists()
    assert len(said) == 1 and "whether another process still works on this run" in said[0]


def test_a_lease_of_another_machine_that_is_renewed_is_respected(tmp_path, monkeypatch):
    with lease(tmp_path, ".lease", wait=False, told=pytest.fail):
        monkeypatch.setattr(Holder, "lives", lambda self: None)
        with pytest.raises(Busy), lease(tmp_path, ".lease", wait=False, told=lambda text: None):
            pass


def test_who_was_given_up_for_dead_learns_of_it_before_it_writes(tmp_path):
    with lease(tmp_path, ".lease", wait=False, told=pytest.fail) as held:
        held.path.unlink()
        while not held.overdue:
            time.sleep(0.01)
        with pytest.raises(UserError, match="took this run over"):
            held.require()


def test_a_lease_that_was_not_renewed_in_time_is_looked_at_anew(tmp_path, monkeypatch):
    held = Lease(tmp_path, ".lease")
    monkeypatch.setattr(held, "_keep", lambda: None)
    held.take()
    assert not held.overdue
    held._renewed -= module.STALE
    assert held.overdue
    held.require()
    assert not held.overdue


def test_of_many_that_come_at_once_one_works_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "STALE", 60)
    at_work, worked = [], []

    def work():
        with lease(tmp_path, ".lease", wait=True, told=lambda text: None):
            at_work.append(None)
            assert len(at_work) == 1
            time.sleep(0.005)
            at_work.pop()
            worked.append(None)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(worked) == 8


def test_one_look_tells_who_works_on_a_folder(tmp_path):
    assert holder_of(tmp_path, ".lease") is None
    left_by(tmp_path, pid=ended())
    assert (holder_of(tmp_path, ".lease") is None) == (this_machine() != "")
    path = left_by(tmp_path, machine="elsewhere", host="node7", pid=5)
    assert str(holder_of(tmp_path, ".lease")) == "process 5 on node7"
    os.utime(path, (0, time.time() - 2 * module.STALE))
    assert holder_of(tmp_path, ".lease") is None
