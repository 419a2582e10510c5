"""Which branches go on, against the shortest schedule that there is."""

import math
from itertools import combinations_with_replacement

import pytest

from growsearch.runner.groups import Group, above, cannot_wait, is_below


def passes_taken(work, processes):
    """Turns until all branches have ended where every pass takes as long, and how often one was left off."""
    group = Group.of({str(number): float(passes) for number, passes in enumerate(work)}, 1)
    has, turns, left_off = [""] * processes, 0, 0
    while any(group.left.values()):
        for place, name in enumerate(has):
            if name and group.gives_way(name, processes):
                group.waiting.append(name)
                left_off += 1
                has[place] = ""
            if group.waiting and not group.left.get(has[place], 0.0):
                has[place] = group.take()
        for name in filter(None, has):
            group.count_pass(name)
        turns += 1
    return turns, left_off


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
def test_no_schedule_ends_sooner(processes):
    for count in range(1, 7):
        for work in combinations_with_replacement(range(1, 6), count):
            shortest = max(*work, 0, math.ceil(sum(work) / processes))
            assert passes_taken(work, processes)[0] == shortest, work


@pytest.mark.parametrize(("count", "turns"), [(9, 23), (5, 13), (3, 8)])
def test_an_odd_number_of_trainings_leaves_no_process_idle_for_a_whole_one(count, turns):
    assert passes_taken([5] * count, 2) == (turns, 2)


def test_a_branch_is_left_off_only_where_that_saves_time():
    assert not cannot_wait(longest=3, own=1, total=8, processes=2)
    assert cannot_wait(longest=4, own=1, total=8, processes=2)
    assert not cannot_wait(longest=2, own=2, total=4, processes=2)  # changing places would change nothing
    assert not cannot_wait(longest=2, own=0, total=3, processes=2)  # it has nothing to come back for
    assert passes_taken([4, 4], 2) == (4, 0)
    assert passes_taken([2, 7, 3], 1) == (12, 0)


def test_work_that_is_not_known_is_taken_in_turn():
    group = Group.of(dict.fromkeys(("/0", "/1", "/2"), 0.0), 1)
    assert [group.take(), group.take()] == ["/0", "/1"]
    group.count_pass("/0")
    assert group.left["/0"] == 0 and not group.gives_way("/0", 2)


def test_names_tell_who_asked_for_a_branch():
    assert (above("/3/1"), above("/3"), above("")) == ("/3", "", "")
    assert is_below("/3/1", "/3") and is_below("/3", "/3") and is_below("/3", "")
    assert not is_below("/31", "/3") and not is_below("/3", "/3/1")
