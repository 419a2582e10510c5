from growsearch.algorithms.densemann.filters import FilterHistory, Thresholds, categorise


def test_both_limits_are_inclusive():
    history = FilterHistory(strengths=[[0.25], [0.5], [0.75]])
    found = categorise(history, [0, 1, 2], Thresholds(useful=0.75, useless=0.25), born_with=3)
    assert (found.useful, found.useless) == ([2], [0])
