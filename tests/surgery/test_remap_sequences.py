"""Edits of all kinds between steps of training, on random networks."""

import random

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from random_networks import edits_keep_what_they_must

draws = st.integers(0, 2**48)
always = settings(
    deadline=None, derandomize=True, database=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck)
)


@settings(always, max_examples=20)
@given(draws)
def test_edits_between_steps_keep_what_they_must(seed):
    edits_keep_what_they_must(random.Random(seed))


@pytest.mark.slow
@pytest.mark.timeout(0)
@settings(always, max_examples=10_000)
@given(draws)
def test_edits_of_ten_thousand_networks_keep_what_they_must(seed):
    edits_keep_what_they_must(random.Random(seed + 2**50))
