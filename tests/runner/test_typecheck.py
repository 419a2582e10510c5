"""Values that were read from a file fit an annotation, or do not."""

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from growsearch.runner.typecheck import fits, misfit


@pytest.mark.parametrize(
    ("hint", "good", "bad"),
    [
        (Any, [None, 1, b"x"], []),
        (int, [0, -3], [True, 1.0, "1", None]),
        (float, [0.5, 2], [False, "0.5", None]),
        (bool, [True], [1]),
        (str, [""], [b"", 1]),
        (None, [None], [0, False]),
        (int | None, [None, 3], ["3", True]),
        (Literal["in", "out"], ["in"], ["over", 1]),
        (list[int], [[], [1, 2], (1,)], [[1, "2"], 1, "12", {}]),
        (tuple[int, ...], [[], [1, 2, 3]], [[1.5]]),
        (tuple[int, str], [[1, "a"]], [[1], [1, "a", 2], ["a", 1]]),
        (tuple, [[], (1, "a")], [{}]),
        (dict[str, list[float]], [{}, {"a": [1, 0.5]}], [{"a": 1}, {1: [1]}, []]),
    ],
    ids=str,
)
def test_a_value_fits_its_annotation(hint, good, bad):
    assert [fits(value, hint) for value in good] == [True] * len(good)
    assert [fits(value, hint) for value in bad] == [False] * len(bad)


@dataclass
class Small:
    count: int
    rates: list[float]


def test_the_first_field_that_does_not_fit_is_named():
    assert misfit(Small, {"count": 1, "rates": [0.1], "unknown": object()}) is None
    assert misfit(Small, {"count": 1.5, "rates": "x"}) == "count: float found"
    assert misfit(Small, {"count": 1, "rates": {}}) == "rates: dict found"
