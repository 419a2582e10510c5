"""What a run has spent, counted from its events."""

from dataclasses import asdict

import pytest

from growsearch.events import Edit, Epoch, Note, Phase
from growsearch.runner.ledger import FINAL_PHASES, Ledger


def epoch(images: int) -> Epoch:
    return Epoch(0, "search", 0, 1.0, 0.5, None, None, 0.1, 10, images, 100)


def test_epochs_images_and_edits_add_up():
    ledger = Ledger()
    for event in (epoch(30), Edit(0, "add_layer", "block 1", 1, 120), epoch(12), Note(0, "a remark"), None):
        ledger.count(event)
    assert (ledger.epochs, ledger.images, ledger.edits) == (2, 42, 1)


def test_the_search_ends_with_the_first_final_phase():
    ledger = Ledger(seconds=5.0)
    ledger.count(Phase(0, "growth", 3))
    assert ledger.search_seconds is None
    for seconds, name in ((8.0, FINAL_PHASES[0]), (9.5, FINAL_PHASES[1])):
        ledger.seconds = seconds
        ledger.count(Phase(0, name, 4))
    assert ledger.search_seconds == 8.0


def test_energy_that_is_unknown_once_stays_unknown():
    ledger = Ledger(joules=1.0)
    ledger.use(2.5)
    assert ledger.joules == 3.5
    ledger.use(None)
    ledger.use(1.0)
    assert ledger.joules is None


def test_it_is_restored_from_plain_types_of_its_own_alone():
    ledger = Ledger(3.0, None, 42, 7, 2, 1, None, 1.5)
    assert Ledger.restored(asdict(ledger)) == ledger
    for wrong in ({"steps": "7"}, {"images": 4.5}, {"joules": True}):
        with pytest.raises(TypeError, match=f"ledger, {next(iter(wrong))}"):
            Ledger.restored({**asdict(ledger), **wrong})
    with pytest.raises(TypeError):
        Ledger.restored({**asdict(ledger), "more": 1})
