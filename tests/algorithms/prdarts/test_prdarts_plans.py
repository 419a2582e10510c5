import math

import pytest

from growsearch.algorithms.prdarts.plans import Cycle


def test_skip_dropout_falls_in_a_line_during_grace_and_then_exponentially():
    cycle = Cycle(epochs=4, grace=2, morphs=0, keep=1, skip_dropout=0.8)
    expected = [0.8 * 3 / 4, 0.8 * 2 / 4, 0.8, 0.8 * math.exp(-0.2)]
    assert [cycle.dropout(epoch) for epoch in range(4)] == pytest.approx(expected)
