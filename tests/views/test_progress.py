"""What is seen of a run that goes on: a bar of 80 columns, lines without a terminal, and the log in its folder."""

import io
import re
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from growsearch.errors import UserError
from growsearch.events import Epoch
from growsearch.views import progress
from growsearch.views.console import kept_in, say
from growsearch.views.progress import Progress, draws_bars


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def epoch(number: int, phase: str = "final training", val: float | None = 0.912) -> Epoch:
    return Epoch(0, phase, number, 0.1, 0.5, 0.1, val, 0.1, 64, 1000, 27034)


@pytest.fixture
def on_terminal(monkeypatch) -> Callable[..., Progress]:
    """A maker of progress on a terminal, set when the test runs, as pytest takes over standard error before."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)

    def make(*arguments: Any) -> Progress:
        monkeypatch.setattr("sys.stderr", Terminal())
        return Progress(*arguments)

    return make


@pytest.fixture
def clock(monkeypatch) -> SimpleNamespace:
    now = SimpleNamespace(seconds=0.0)
    monkeypatch.setattr(progress, "time", SimpleNamespace(monotonic=lambda: now.seconds))
    return now


def test_80_columns_hold_phase_epoch_accuracy_size_and_time(on_terminal):
    bar = on_terminal(True, 126, 56)
    for number in range(56, 60):
        for _ in range(3):
            bar.show(None, step=True)
        bar.show(epoch(number), step=False)
    bar._bar.refresh()
    shown = sys.stderr.getvalue().split("\r")[-1]
    bar.close()
    assert shown.startswith("final training, epoch 60/126, 91.2 %, 27.0k params |")
    assert len(shown) <= 80 and re.search(r"\d\d:\d\d left\s*$", shown)


def test_steps_fill_the_bar_within_an_epoch_and_never_beyond_it(on_terminal):
    bar = on_terminal(True, 10, 0)
    bar.show(None, step=True)
    assert bar._bar.n == 0, "how many steps there are is known after the first epoch"
    bar.show(None, step=True)
    bar.show(epoch(0), step=False)
    assert bar._bar.n == 1
    for _ in range(5):
        bar.show(None, step=True)
    assert bar._bar.n == 1.5
    bar.show(epoch(1), step=False)
    assert bar._bar.n == 2
    bar.close()


@pytest.mark.filterwarnings("error")
def test_a_run_that_takes_longer_than_its_method_said_does_not_break_the_bar(on_terminal):
    bar = on_terminal(True, 2, 0)
    for number in range(4):
        for _ in range(3):
            bar.show(None, step=True)
            bar._bar.refresh()
        bar.show(epoch(number), step=False)
        bar._bar.refresh()
    assert "Warning" not in sys.stderr.getvalue() and "epoch 4/4" in bar.text
    bar.close()


def test_the_total_follows_the_method(on_terminal):
    bar = on_terminal(True, 3, 0)
    for number in range(3):
        bar.show(epoch(number), step=False)
    bar.expect(20)
    assert "epoch 3/20" in bar.text and bar._bar.total == 20
    bar.expect(None)
    assert bar.text.startswith("final training, epoch 3, ")
    bar.expect(2)
    assert "epoch 3/3" in bar.text
    bar.close()


def test_without_a_terminal_a_line_comes_every_minute(capsys, clock):
    shown = Progress(True, 10, 2)
    for number in range(2, 5):
        clock.seconds += 31
        shown.show(None, step=True)
        shown.show(epoch(number, "growth"), step=False)
    shown.close()
    captured = capsys.readouterr()
    assert captured.out == "progress: growth, epoch 3/10, 91.2 %, 27.0k params, about 3.1 min left\n"
    assert captured.err == ""


def test_where_the_method_cannot_say_how_long_the_time_so_far_is_told(capsys, clock):
    shown = Progress(True, None, 0)
    clock.seconds = 90
    shown.show(None, step=True)
    assert capsys.readouterr().out == "progress: epoch 0, 1.5 min so far\n"


def test_turned_off_it_says_nothing(on_terminal, capsys, clock):
    shown = on_terminal(False, 10, 0)
    clock.seconds = 1000
    shown.show(epoch(0), step=False)
    shown.close()
    assert sys.stderr.getvalue() == "" == capsys.readouterr().out


def test_a_notebook_gets_a_bar(monkeypatch):
    assert not draws_bars()
    shell = SimpleNamespace(config={"IPKernelApp": {}})
    monkeypatch.setitem(progress.sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert draws_bars()
    shell.config.clear()
    assert not draws_bars()


def test_what_is_said_is_kept_with_its_time(tmp_path, capsys):
    with kept_in(tmp_path / "log.txt"):
        say("one\n\ntwo\x1b[2J")
        say("for the log alone", show=False)
    with kept_in(tmp_path / "log.txt"):
        say("three")
    say("not of this run")
    lines = (tmp_path / "log.txt").read_text().splitlines()
    assert [line[21:] for line in lines] == ["one", "two[2J", "for the log alone", "three"]
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    assert "for the log alone" not in capsys.readouterr().out


def test_a_log_that_is_a_link_is_refused(tmp_path):
    (tmp_path / "elsewhere").write_text("")
    (tmp_path / "log.txt").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"log\.txt"), kept_in(tmp_path / "log.txt"):
        pass
