import json
from pathlib import Path

import pytest

from growsearch.algorithms.ectonas.decisions import (
    Candidate,
    affordable,
    bracket_groups,
    fitness,
    groups,
    rolling_score,
    round_groups,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ectonas.json").read_text())


@pytest.mark.parametrize("case", GOLDEN["brackets"], ids=lambda c: f"{c['n']}-{c['winners_wanted']}")
def test_brackets(case: dict) -> None:
    members, trainings = list(range(case["n"])), 0
    for round, expected in enumerate(case["rounds"]):
        drawn = [[members[i] for i in group] for group in groups(len(members), case["winners_wanted"], round, 3)]
        assert drawn == expected
        assert sum(len(group) == 1 for group in drawn) == case["lucky_tickets"][round]
        trainings += len(members)
        members = [group[0] for group in drawn]
    assert (trainings, 5 * trainings, len(members)) == (case["trainings"], case["epochs"], case["winners"])
    sizes = [case["n"], *map(len, bracket_groups(case["n"], case["winners_wanted"], 3, "code"))]
    assert (sum(sizes[:-1]), sizes[-1]) == (case["trainings"], case["winners"])


@pytest.mark.parametrize("case", GOLDEN["fitness"])
def test_fitness(case: dict) -> None:
    candidate = Candidate(1, "identity", case["p"], case["v"], case["p_parent"], case["v_parent"])
    assert fitness(candidate, case["alpha"]) == pytest.approx(case["s"], abs=1e-12)
    assert fitness(candidate, 1.0) == case["s_phase1"]


def test_absolute_changes() -> None:
    candidate = Candidate(1, "identity", 120, 0.6, 100, 0.5)
    assert fitness(candidate, 0.5, "absolute") == pytest.approx(0.5 * 0.1 - 0.5 * 20)


def test_start_network_is_compared_by_its_score() -> None:
    assert fitness(Candidate(0, "start", 10, 0.4), 0.0) == 0.4


def test_rolling_score() -> None:
    assert rolling_score([0.1, 0.2, 0.3, 0.7], 3) == pytest.approx(0.4)
    assert rolling_score([0.5], 3) == 0.5
    assert rolling_score([], 3) == 0.0


def paper_rounds(members: int, winners: int) -> list[list[int]]:
    rounds = []
    while (drawn := round_groups(members, winners, len(rounds), 3, "paper")) is not None:
        assert sorted(i for group in drawn for i in group) == list(range(members))
        rounds.append([len(group) for group in drawn])
        members = len(drawn)
    assert members == min(winners, members)
    return rounds


def test_brackets_of_the_paper_end_when_the_wanted_number_is_left() -> None:
    assert paper_rounds(1, 1) == []
    assert paper_rounds(5, 1) == [[2, 2, 1], [2, 1], [2]]
    assert paper_rounds(9, 2) == [[2, 2, 2, 2, 1], [2, 2, 1], [2, 1]]
    assert paper_rounds(3, 2) == [[2, 1]]
    assert paper_rounds(7, 5) == [[2, 2, 1, 1, 1]]
    assert paper_rounds(15, 5) == [[2] * 7 + [1], [2, 2, 2, 1, 1]]
    for members in range(1, 20):
        for winners in range(1, 7):
            paper_rounds(members, winners)


def test_the_codes_brackets_end_after_their_rounds() -> None:
    assert round_groups(1, 1, 3, 3, "code") is None
    assert round_groups(1, 1, 2, 3, "code") == [[0]]


def test_strict_budget_cuts_the_last_call_and_leaves_out_the_rest() -> None:
    calls = [(1, 5.0), (2, 0.25), (3, 5.0), (4, 5.0)]
    assert affordable(calls, 10.0, 17.75) == [(1, 5.0), (2, 0.25), (3, 2.5)]
    assert affordable(calls, 10.0, 10.0) == []
    assert affordable(calls, 0.0, 100.0) == calls
