"""Damaged files in CI: a few for each reader, drawn by hypothesis; ``fuzz.py`` throws as many as time allows."""

from contextlib import nullcontext
from pathlib import Path

import pytest
from attacks.fuzz import main, readers, shoot
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sampling import part

from growsearch.errors import UserError

NAMES = [
    *("picture", "npz", "csv", "idx", "pickle", "archive"),
    *("architecture", "weights", "preprocessing", "checkpoint", "config"),
    *("report events", "report result", "report network"),
    *("last checkpoint", "resumed events", "fingerprint"),
]
SLOW = ("report events", "report result", "report network")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.parametrize("name", part(NAMES))
def test_whole_files_are_read(name: str, place: Path) -> None:
    """So that it is damage that is refused. Of the architectures the first is that of the weights beside it."""
    reader = readers(place)[name]
    assert reader.whole
    for number, content in enumerate(reader.whole):
        (place / reader.name).write_bytes(content)
        stranger = name == "architecture" and number
        with pytest.raises(UserError, match="does not fit the architecture") if stranger else nullcontext():
            reader.read(place / reader.name)


@pytest.mark.parametrize("name", part(NAMES))
def test_only_clean_errors(name: str, place: Path) -> None:
    made = readers(place)
    assert list(made) == NAMES

    @settings(max_examples=4 if name in SLOW else 60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.integers(0, 2**32))
    def fire(seed: int) -> None:
        shoot(made[name], place, seed)

    fire()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_only_clean_errors_for_a_while() -> None:
    assert main(420, []) == 0
