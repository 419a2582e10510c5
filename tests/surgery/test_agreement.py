"""Whether two runs of a network agree."""

from math import inf, nan

import pytest
import torch

from growsearch.surgery.agreement import TOLERANCE, compared

LARGE = 1e6


@pytest.mark.parametrize(
    ("before", "after", "agree"),
    [
        ([], [], True),
        ([1.0, -2.0], [1.0, -2.0], True),
        ([1.0, -LARGE], [1.0 + TOLERANCE * LARGE / 2, -LARGE], True),
        ([1.0, -2.0], [1.0 + 4 * TOLERANCE, -2.0], False),
        ([1.0, -3.0], [1.0, -3.1], False),
        ([0.0, 0.0], [0.0, 1e-300], False),
        ([1.0, nan], [1.0, nan], True),
        ([1.0, nan], [1.0, 2.0], False),
        ([1.0, 2.0], [1.0, nan], False),
        ([nan, nan], [nan, nan], False),
        ([1.0, inf], [1.0, inf], True),
        ([1.0, inf], [1.0, -inf], False),
        ([1.0, inf], [1.1, inf], False),
        ([1e308, 1.0], [-1e308, 1.0], False),
    ],
)
@pytest.mark.parametrize("kind", [torch.float64, torch.complex128])
def test_entries_are_equal_to_the_tolerance_and_what_is_no_number_lies_in_the_same_places(before, after, agree, kind):
    if kind is torch.complex128 and any(abs(each) == inf for each in (*before, *after)):
        pytest.skip("differences of complex infinities are undefined")
    first, second = (torch.tensor(each, dtype=kind) for each in (before, after))
    assert (compared([(first, [first])], [(second, [second])], "") is None) == agree


def test_whole_numbers_are_equal_exactly():
    first, second = torch.tensor([3, 10**12]), torch.tensor([3, 10**12 + 1])
    assert compared([(first, [first])], [(first.clone(), [first.clone()])], "") is None
    assert compared([(first, [first])], [(second, [second])], "now") == "its output changes now"
