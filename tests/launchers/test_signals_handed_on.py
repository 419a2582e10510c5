"""Whose signals are whose: ours stop a run, a scheduler's are handed on once it is saved."""

import os
import signal

import pytest

from growsearch.cli.run import deaths
from growsearch.errors import UserError
from growsearch.runner.signals import stop_requests


@pytest.fixture
def scheduler():
    """Handlers such as submitit's, and what reached them."""
    heard: list[int] = []
    numbers = (signal.SIGUSR2, signal.SIGTERM)
    before = {number: signal.signal(number, lambda signum, frame: heard.append(signum)) for number in numbers}
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_foreign_signal_waits_until_it_is_handed_on(scheduler):
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGUSR2)
        os.kill(os.getpid(), signal.SIGUSR2)
        assert stop
        assert scheduler == []
        stop.hand_on()
        assert scheduler == [signal.SIGTERM, signal.SIGUSR2]
        assert not stop  # those handlers returned: the run goes on
    os.kill(os.getpid(), signal.SIGUSR2)
    assert scheduler[2:] == [signal.SIGUSR2]


def test_our_own_signals_stop_and_a_second_one_at_once():
    with stop_requests() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        stop.hand_on()
        assert stop and stop.exit_code == 130
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_signals_that_nobody_handles_are_left_alone():
    with stop_requests():
        assert signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL


def test_a_launcher_that_lost_a_process_is_told_in_a_line():
    lost = type("UncompletedJobError", (RuntimeError,), {"__module__": "submitit.core.utils"})
    with pytest.raises(UserError, match=r"a job of the sweep was killed .*UncompletedJobError: no output"), deaths():
        raise lost("no\noutput")
    with pytest.raises(RuntimeError, match="ours"), deaths():
        raise RuntimeError("ours")
