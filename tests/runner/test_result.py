"""Figures of result.json that are derived, not measured."""

from types import SimpleNamespace

import pytest
from algorithms.tiny import tiny_dataset, tiny_engine
from torch import nn

from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.runner.ledger import Ledger
from growsearch.runner.result import depth, make_result, picture
from growsearch.training import Network


def result(ledger: Ledger, **found):
    """The result of a small network on a few digits, after what the ledger says."""
    engine = tiny_engine(data=tiny_dataset(train=50))
    network = Network(3, build(sequential_spec([4], [6], (1, 8, 8), 10)))
    engine.place(network)
    shown = {"val_accuracy": 0.5, "val_loss": 1.0, "params_paper": None, "winner_epochs": 2.0, "method": {}}
    outcome = SimpleNamespace(best=network, found=SimpleNamespace(**{**shown, **found}), networks=[network])
    config = typed(compose_run(["algo=fixed", "data=digits", "schedule=smoke", "hardware=cpu"]))
    return make_result(config, engine, outcome, ledger, {"fingerprint": "0"}), network


def test_seconds_epochs_and_energy_follow_the_ledger():
    found, network = result(Ledger(seconds=10.0, search_seconds=7.5, images=125, steps=9, edits=2, joules=7.2e6))
    assert (found["search_seconds"], found["train_seconds"], found["epochs"]) == (7.5, 2.5, 2.5)
    assert (found["steps"], found["images"], found["edits"], found["energy_kwh"]) == (9, 125, 2, pytest.approx(2.0))
    assert found["params"] == found["params_paper"] == network.parameter_count()
    assert found["splits"] == {"train": 50, "val": 60, "test": 60}


def test_a_run_that_never_left_its_search_was_all_search():
    found, _ = result(Ledger(seconds=4.0), params_paper=0)
    assert (found["search_seconds"], found["train_seconds"]) == (4.0, 0.0)
    assert found["params_paper"] == 0 < found["params"] and found["energy_kwh"] is None


def test_depth_counts_convolutions_and_linear_layers():
    inner = nn.Sequential(nn.Conv1d(1, 1, 1), nn.ConvTranspose2d(1, 1, 1), nn.BatchNorm2d(1), nn.ReLU())
    assert depth(nn.Sequential(nn.Conv2d(1, 1, 1), inner, nn.Flatten(), nn.Linear(2, 2))) == 4


def test_a_long_architecture_is_named_by_its_file(tmp_path):
    path = tmp_path / "architecture.json"
    assert picture(path, {"family": "resnet", "depths": [1, 2]}) == "resnet [1, 2]"
    for spec in ({"depths": [1] * 60}, {"width": 3}):
        assert picture(path, {"family": "resnet", **spec}) == f"resnet, see {path}"
