"""Learning rates of growth and of the final training, epoch by epoch."""

import pytest

from growsearch.algorithms.densemann.rate import FinalRate, GrowingRate

MILESTONES = (0.5, 0.75)


def test_a_schedule_drops_at_its_milestones_and_starts_anew():
    rate, seen = GrowingRate(), []
    rate.start(3)
    for epoch in range(4, 13):
        seen.append(rate.value(0.1, 0.1))
        rate.after_training(epoch, 8, MILESTONES)
        if epoch == 10:
            rate.start(epoch)
    assert seen == pytest.approx([0.1] * 4 + [0.01] * 2 + [0.001] + [0.1] * 2)


def test_a_start_may_keep_what_was_dropped():
    rate = GrowingRate(drops=1)
    rate.start(0, reset=False)
    assert (rate.drops, rate.active) == (1, True)
    rate.after_training(4, 8, MILESTONES)  # the first milestone counts only if nothing was dropped before
    assert rate.drops == 1
    rate.after_training(6, 8, MILESTONES)
    assert rate.drops == 2


def test_a_schedule_that_is_stopped_stays_at_its_lowest_rate():
    rate = GrowingRate()
    rate.start(0)
    rate.stop(MILESTONES)
    rate.after_training(4, 8, MILESTONES)
    assert not rate.active and rate.value(0.1, 0.1) == pytest.approx(0.001)


@pytest.mark.parametrize(
    ("late", "rates"),
    [(False, [1, 1, 1, 0.1, 0.01, 0.01]), (True, [0.01, 1, 1, 0.1, 0.01, 0.01])],
    ids=["paper", "code"],
)
def test_the_final_rate_drops_after_fractions_of_what_is_counted(late, rates):
    final = FinalRate(1.0, 0.1, (0.5, 0.75), late)
    assert [final.rate(epoch, 6) for epoch in range(6)] == pytest.approx(rates)
