"""What makes drawing quicker changes nothing that is drawn."""

import gc
import math

import pytest

from growsearch.reports import plot
from growsearch.reports.numbers import count, size
from growsearch.reports.plot import broken_line, draw, readable_ticks, time_ticks, whole_ticks


def paint(figure):
    """Panels of all kinds: shared and aligned axes, logarithmic ones, round times, a colour bar."""
    panels = figure.subplots(3, 2, sharex="col", height_ratios=(2, 1, 1))
    for number, panel in enumerate(panels.flat):
        panel.plot([1, 20, 300], [number + 1.5, 1e3, 2e5], label="a line")
        panel.set_ylabel(f"panel {number}")
    panels[0, 0].legend(loc="lower left", bbox_to_anchor=(0.0, 1.16))
    panels[1, 0].set_yscale("log")
    panels[2, 0].set_ylim(3, 90)
    panels[2, 0].set_yscale("log")
    panels[0, 1].set_yscale("log")
    time_ticks(panels[0, 1].yaxis)
    for panel in panels[1:, 0]:
        readable_ticks(panel.yaxis, size)
    whole_ticks(panels[2, 0].xaxis)
    readable_ticks(panels[2, 0].xaxis, count)
    image = panels[2, 1].imshow([[1, 2], [3, math.nan]], aspect="auto")
    figure.colorbar(image, ax=panels[2, 1])
    figure.align_ylabels(panels[:, 0])


@pytest.mark.parametrize("format", ["svg", "png"])
def test_ticks_that_are_remembered_are_those_that_are_found_anew(format, monkeypatch):
    found, finds = [], []

    def counted(axis):
        update = axis._update_ticks
        axis._update_ticks = lambda: finds.append(axis) or update()

    remember = plot._remember_ticks
    for remembers in (True, False):
        monkeypatch.setattr(
            plot, "_remember_ticks", lambda axis, on=remembers: (counted(axis), remember(axis) if on else None)
        )
        finds.clear()
        found.append((draw("any", "any", "any", 5.0, paint).render(format), len(finds)))
    (quick, few), (plain, many) = found
    assert quick == plain
    assert 3 * few < many


def test_drawing_leaves_garbage_collection_as_it_was():
    seen = []
    draw("any", "any", "any", 1.0, lambda figure: seen.append(gc.isenabled()))
    assert seen == [False] and gc.isenabled()
    gc.disable()
    try:
        draw("any", "any", "any", 1.0, lambda figure: None)
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_lines_with_gaps_between_them():
    xs, ys = broken_line([([0, 1], [2, 3]), ([4.0], [5.0])])
    assert [xs[:2], xs[3:], ys[:2], ys[3:]] == [[0, 1], [4.0], [2, 3], [5.0]]
    assert math.isnan(xs[2]) and math.isnan(ys[2])
    assert broken_line([]) == ([], [])


def test_numbers_are_written_in_full_where_short_ones_would_be_the_same():
    texts = []

    def close(figure):
        axes = figure.subplots()
        axes.set_ylim(12_340, 12_344)
        readable_ticks(axes.yaxis, size)
        texts.extend(axes.yaxis.get_major_formatter().format_ticks([12_341.0, 12_342.0]))
        axes.set_ylim(0, 4_000_000)
        texts.extend(axes.yaxis.get_major_formatter().format_ticks([1e6]))

    draw("any", "any", "any", 2.0, close)
    assert texts[:2] == ["12,341", "12,342"]
    assert texts[2] == size(1e6).replace(".0", "")
