"""Seconds that count, with clocks of the test's own."""

import multiprocessing

import pytest

from growsearch.clock import LEAST_STOP, LOOK_EVERY, WorkClock, cpu_seconds


@pytest.mark.parametrize(
    ("gap", "computed", "counted"),
    [
        (3600.0, 0.1, 0.0),  # stopped
        (3600.0, 4 * LOOK_EVERY, 0.0),  # stopped at the end of a look in which all four cores computed
        (60.0, 30.0, 60.0),  # kept from looking by its own work
        (LEAST_STOP, 0.0, LEAST_STOP),  # a busy machine
    ],
)
def test_time_without_a_look_counts_only_if_the_process_computed(gap, computed, counted):
    now, cpu = [100.0], [7.0]
    clock = WorkClock(lambda: now[0], lambda: cpu[0], cores=4)
    start = clock.seconds()
    now[0], cpu[0] = now[0] + gap, cpu[0] + computed
    assert clock.seconds() - start == counted
    now[0] += LOOK_EVERY
    assert clock.seconds() - start == counted + LOOK_EVERY


def work(steps):
    return sum(step * step for step in range(steps))


def test_cpu_time_of_workers_counts_while_they_live_and_afterwards():
    before = cpu_seconds()
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(work, (3_000_000,))
        with_worker = cpu_seconds()
        pool.close()
        pool.join()
    assert before < with_worker <= cpu_seconds()
