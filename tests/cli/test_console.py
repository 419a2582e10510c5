"""What a line on the console says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.events import Edit, Epoch, Note, Phase
from growsearch.format import compact, counted, duration
from growsearch.views.console import line, what
from growsearch.views.estimate import MEASURED_STEPS, Forecast, estimate


def test_structural_events_get_a_line_each():
    edit = Edit(0, "add_filters", "block 1 layer 3", 14, 48123, 0.912, {"filters": [13]})
    assert line(edit) == "epoch   14  add 1 filter (13) to block 1 layer 3; 91.2 %, 48.1k params"
    many = Edit(0, "add_layer", "block 1 layer 3", 14, 48123, None, {"filters": list(range(12))})
    assert line(many) == "epoch   14  add block 1 layer 3 with 12 filters; 48.1k params"
    assert line(Phase(0, "final training", 70)) == "epoch   70  -- final training --"
    assert line(Note(0, "clamped", 3)) == "epoch    3  note: clamped"


@pytest.mark.parametrize(
    ("op", "where", "detail", "words"),
    [
        ("prune", "block 1 layer 2", {"filters": [0, 1, 2, 3, 4]}, "prune 5 filters of block 1 layer 2"),
        ("prune", "cycle 8", {}, "prune: cycle 8"),
        ("add_channels", "+ 6 CH L 4", {}, "widen the convolution at layer 4 to 6 channels"),
        ("remove_units", "- 8 U L 13", {}, "narrow the dense layer at layer 13 to 8 units"),
        ("remove_cell", "- CB L 4 - 7", {}, "remove the convolution at layer 4"),
        ("add_dense", "+ FC L 14", {}, "add a dense layer before layer 14"),
        ("identity", "B", {}, "keep the network as it is"),
        ("grow", "stage 1, stage 3", {}, "deepen stage 1, stage 3"),
        ("add_channels", "in other terms", {}, "add channels: in other terms"),
        ("double_it", "conv", {}, "double it: conv"),
    ],
)
def test_edits_are_words(op, where, detail, words):
    assert what(Edit(0, op, where, 1, 10, None, detail)) == words


def test_what_happens_all_the_time_gets_none():
    assert line(Epoch(0, "growth", 1, 1.0, 0.5, None, None, 0.1, 64, 10, 10)) is None


def test_numbers_read_well():
    assert [compact(n) for n in (12, 4812, 48123, 481234, 4.8e6)] == ["12", "4.8k", "48.1k", "481k", "4.8M"]
    assert [counted(n, "epoch") for n in (0, 1, 2)] == ["0 epochs", "1 epoch", "2 epochs"]
    assert [duration(s) for s in (0.02, 3, 100, 7200, 2e5)] == ["20 ms", "3.0 s", "1.7 min", "2.0 h", "2.3 days"]


def test_days_come_with_what_would_be_shorter():
    short = estimate(1.0, 200, "cpu", "quick")
    assert "about 3.3 min" in short and "shorter" not in short
    long = estimate(70.0, 5000, "cpu", "paper")
    assert "days" in long
    assert all(way in long for way in ("data.train_size", "schedule=quick", "a GPU", "algo.max_epochs"))
    assert "a GPU" not in estimate(70.0, 5000, "cuda", "paper")
    assert "the search decides" in estimate(70.0, None, "cpu", "paper")


def test_the_first_estimate_of_a_continued_run_is_of_what_is_left():
    forecast = Forecast(100, steps=500, used=2000, seconds=60.0, device="cpu", schedule="quick")
    text = forecast.look(500 + MEASURED_STEPS, 2100, 62.0, 84, 150)
    assert text == "about 2.2 min: 66 epochs left of 150, 2.0 s each (a growing network takes longer)"


def test_an_estimate_is_corrected_once_the_run_takes_half_as_long_again():
    forecast = Forecast(100, steps=0, used=0, seconds=0.0, device="cpu", schedule="quick")
    assert forecast.look(MEASURED_STEPS - 1, 90, 1.0, 0, 10) is None
    assert forecast.look(MEASURED_STEPS, 100, 2.0, 1, 10) == estimate(2.0, 10, "cpu", "quick")
    assert forecast.look(40, 200, 4.0, 2, 10) is None
    assert forecast.look(60, 300, 6.0, 3, 16) == "by now about 32.0 s, 16 epochs"
    assert forecast.look(61, 301, 900.0, 3, 16) is None, "looked at once an epoch"


@given(st.lists(st.floats(0.1, 50), min_size=30, max_size=60), st.integers(1, 5))
def test_no_run_ends_far_beyond_what_was_last_said(seconds, first):
    """Epochs take what they take, and the method's guess is too small: the last word is still near the truth."""
    forecast, spent = Forecast(10, 0, 0, 0.0, "cpu", "quick"), 0.0
    for epoch, more in enumerate(seconds, 1):
        spent += more
        forecast.look(MEASURED_STEPS * epoch, 10 * epoch, spent, epoch, max(first, epoch))
    assert forecast.said is not None and spent <= 1.51 * forecast.said
