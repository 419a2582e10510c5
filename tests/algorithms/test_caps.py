"""Caps are kept by every method that takes them, by its first network and its result too, or refused by it."""

from dataclasses import replace
from typing import Any

import pytest
from algorithms.methods import METHODS

from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.errors import UserError
from growsearch.events import Epoch
from growsearch.probes import cost
from growsearch.registry import OWN
from growsearch.runner.start import prepare

FEW = ["data.train_size=64", "data.val_size=32", "data.test_size=32"]
"""Images of a run whose numbers mean nothing."""

COMMANDS = {
    **METHODS,
    "fixed": ["algo=fixed", "network=sequential", "network.topology=small_ffnn", *METHODS["fixed"][2:]],
}
CAPS = ("max_epochs", "max_seconds", "max_params", "max_macs", "max_layers", "max_filters")


def run(method: str, *words: str) -> dict[str, Any]:
    """What a run came to: epochs trained, and the largest of all networks that were trained."""
    config = typed(compose_run([*COMMANDS[method], *FEW, *words]))
    runner = prepare(config)
    runner.begin()
    sizes, epochs, shape = dict[str, Any](), 0, runner.bench.engine.data.image_shape
    for line in runner.run():
        if line is None:
            continue
        epochs += isinstance(line.event, Epoch)
        for network in runner.bench.networks.values():
            if network.configs:
                sizes.setdefault(str(network.spec()), cost(network.module, shape))
    (*_, result) = runner.outcome().networks
    sizes[str(result.spec())] = cost(result.module, shape)
    return {
        "max_epochs": runner.bench.engine.work.images / 64,
        "max_params": max(one.params for one in sizes.values()),
        "max_macs": max(one.macs for one in sizes.values()),
        "least": {
            "max_params": min(one.params for one in sizes.values()),
            "max_macs": min(one.macs for one in sizes.values()),
        },
        "epochs": epochs,
    }
