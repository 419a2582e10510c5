"""What the journal keeps of an action, and when a replay takes two for the same."""

import json
import math
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.actions import Build, Change, Edit, Measure, Net
from growsearch.actions.base import asked, difference

NET = Net("0", 0, {"family": "sequential"}, 100)


@dataclass(frozen=True)
class Cut(Change):
    """A change, for its name and fields."""

    op = "cut"
    channels: tuple[int, ...]


def weigh(network):
    return 1.0


def test_networks_go_by_name_changes_by_class_and_functions_by_name():
    edit = asked(Edit(NET, Cut((1, 2)), ("edit", 3), (NET,), "layer 1"))
    assert (edit["action"], edit["net"], edit["sources"]) == ("Edit", "0", ["0"])
    assert edit["change"] == {"is": "Cut", "channels": [1, 2]}
    assert asked(Measure(NET, weigh))["function"] == "weigh"
    assert json.loads(json.dumps(edit)) == edit


@given(st.floats(allow_nan=False, allow_infinity=False, width=32), st.floats(-1, 1))
def test_numbers_are_the_same_up_to_rounding_only(number, share):
    other = number * (1 + 1e-10 * share)
    assert difference({"rate": number}, {"rate": other}) is None
    far = number * (1 + 1e-6) if abs(number) > 1e-3 else number + 1e-3
    assert difference({"rate": number}, {"rate": far}) is not None


@pytest.mark.parametrize(
    ("ours", "theirs", "where"),
    [
        ({"id": 1}, {"id": 2}, "id: 1 asked, 2 recorded"),
        ({"id": 1}, {"id": True}, "id: 1 asked, True recorded"),
        ({"spec": {"filters": [[4]]}}, {"spec": {"filters": [[5]]}}, "spec.filters[0][0]: 4 asked, 5 recorded"),
        ({"a": 1}, {"b": 1}, "['a'] asked, ['b'] recorded"),
        ({"draw": ["x"]}, {"draw": ["x", 1]}, "draw"),
    ],
)
def test_a_difference_is_named(ours, theirs, where):
    assert where in difference(ours, theirs)


def test_what_is_no_number_equals_itself():
    assert difference({"loss": math.nan}, {"loss": math.nan}) is None
    assert difference({"loss": math.inf}, {"loss": -math.inf}) is not None
    assert difference(asked(Build("0", 0, {}, ("a", 1))), asked(Build("0", 0, {}, ("a", 1)))) is None
