"""A short sample of long tests in every run; all of them with ``-m slow``."""

import random
from collections.abc import Iterable
from typing import Any

import pytest

from growsearch.release import RELEASE


def drawn(cases: Iterable[Any], count: int) -> list[Any]:
    """So many of the cases, others in each version."""
    return random.Random(RELEASE).sample(list(cases), count)


def sampled(cases: Iterable[Any], *always: Any) -> list[Any]:
    """Cases of a parametrised test: those that are named run always, the others with the slow tests alone.

    A case is a value, or a tuple of the values of several parameters. The others are marked as ``further`` too: they
    take no longer than those that run always, and planted faults are looked for with all of them.
    """
    found = list(cases)
    unknown = [case for case in always if case not in found]
    assert not unknown, f"{unknown} are among no cases of this test"
    marks = [() if case in always else (pytest.mark.slow, pytest.mark.further) for case in found]
    return [pytest.param(*(c if isinstance(c, tuple) else (c,)), marks=m) for c, m in zip(found, marks, strict=True)]


def part(cases: Iterable[Any], share: int = 2) -> list[Any]:
    """As :func:`sampled`, for so many like cases that one in ``share`` runs always, others in each version."""
    found = list(cases)
    return sampled(found, *drawn(found, len(found) // share))
