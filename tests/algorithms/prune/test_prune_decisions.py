"""Rankings, what is kept, and how many channels go."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.algorithms.prune.decisions import Group, goals, kept, ranked, shrinking, smallest_count

SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=5)


@st.composite
def scored(draw):
    groups = [
        Group(f"g{i}", size, draw(st.sampled_from("ab")), draw(st.integers(1, size)))
        for i, size in enumerate(draw(SIZES))
    ]
    return groups, {g.name: draw(st.lists(st.floats(0, 9), min_size=g.size, max_size=g.size)) for g in groups}


@given(scored(), st.sampled_from(["local", "global", "isomorphic"]))
def test_every_channel_comes_once_and_a_groups_weakest_come_first(case, ranking):
    groups, scores = case
    order = ranked(groups, scores, ranking)
    assert sorted(order) == sorted((g.name, c) for g in groups for c in range(g.size))
    for group in groups:
        found = [scores[group.name][channel] for name, channel in order if name == group.name]
        assert found == sorted(found)


def test_local_takes_equal_shares_and_global_the_weakest_anywhere():
    groups = [Group("even", 4, "s"), Group("steep", 4, "s")]
    scores = {"even": [1.0, 1.0, 1.0, 1.0], "steep": [0.0, 0.1, 0.2, 9.0]}
    assert {name for name, _ in ranked(groups, scores, "local")[:2]} == {"even", "steep"}
    assert ranked(groups, scores, "global")[:3] == [("steep", 0), ("steep", 1), ("steep", 2)]


def test_isomorphic_groups_share_a_ranking_and_others_do_not():
    groups = [Group("a", 2, "s"), Group("b", 2, "s"), Group("c", 4, "t")]
    scores = {"a": [0.1, 1.9], "b": [1.0, 1.0], "c": [0.0, 0.0, 0.0, 4.0]}
    order = ranked(groups, scores, "isomorphic")
    assert [member for member in order if member[0] != "c"] == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]
    half = order[:4]
    assert {name for name, _ in half} == {"a", "b", "c"}
    assert sum(name == "c" for name, _ in half) == 2  # its own half, though three of it are the weakest of all


@given(scored(), st.integers(0, 50), st.integers(1, 4))
def test_what_is_kept_are_the_strongest_within_the_limits(case, count, multiple):
    groups, scores = case
    order = ranked(groups, scores, "global")
    keep = kept(groups, order, count, multiple)
    for group in groups:
        size = len(keep[group.name])
        assert group.least <= size <= group.size
        assert size == group.size or size % multiple == 0
        assert keep[group.name] == sorted(set(keep[group.name]))
        gone = set(range(group.size)) - set(keep[group.name])
        assert all(scores[group.name][g] <= scores[group.name][k] for g in gone for k in keep[group.name])
    more = kept(groups, order, count + 1, multiple)
    assert all(len(more[g.name]) <= len(keep[g.name]) for g in groups)


@given(st.integers(0, 300), st.integers(0, 300))
def test_the_least_count_that_fits_is_found(most, enough):
    found = smallest_count(most, lambda count: count >= enough)
    assert found == (enough if enough <= most else None)


def test_rounds_take_equal_shares():
    assert goals(100.0, 25.0, 2) == pytest.approx([50.0, 25.0])
    assert goals(80.0, 20.0, 1) == [20.0]


@given(st.lists(st.floats(0, 100), min_size=1, max_size=8), st.floats(0, 6))
def test_the_least_important_shrinks_most(scores, span):
    factors = shrinking(scores, span)
    assert min(factors) >= 1 - 1e-12 and max(factors) <= 2**span * (1 + 1e-12)
    order = sorted(range(len(scores)), key=scores.__getitem__)
    assert all(factors[a] >= factors[b] - 1e-9 for a, b in pairwise(order))
    assert math.isclose(factors[order[-1]], 1.0)


def test_a_place_among_few_compares_with_a_place_among_many():
    groups = [Group("few", 2, "a"), Group("many", 4, "b")]
    order = ranked(groups, {"few": [1.0, 2.0], "many": [4.0, 3.0, 2.0, 1.0]}, "local")
    assert order == [("many", 3), ("few", 0), ("many", 2), ("many", 1), ("few", 1), ("many", 0)]
