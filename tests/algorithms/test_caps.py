"""Caps are kept by every method that takes them, by its first network and its result too, or refused by it."""

from functools import cache

import pytest
from algorithms.methods import METHODS
from sampling import sampled

from growsearch.algorithms.caps import beyond, last_epochs, search_epochs
from growsearch.algorithms.config import AlgoConfig
from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.errors import UserError
from growsearch.events import Epoch
from growsearch.probes.cost import Cost, cost
from growsearch.runner.start import prepare

FEW = ["data.train_size=64", "data.val_size=32", "data.test_size=32"]
"""Images of a run whose numbers mean nothing."""

SMALL = {
    "conet": ["network=darts7", "network.cells=3", "algo.search.batch_size=32", "algo.final.batch_size=32"],
}

COMMANDS = {
    **METHODS,
    "fixed": ["algo=fixed", "network=sequential", "network.topology=small_ffnn", *METHODS["fixed"][2:]],
}


def run(method: str, *words: str) -> dict[str, list[float]]:
    """What a run came to by cap: the sizes of all networks that were trained and of the result, and the epochs."""
    config = typed(compose_run([*COMMANDS[method], *FEW, *SMALL.get(method, ()), *words]))
    runner = prepare(config)
    runner.begin()
    shape, sizes = runner.bench.engine.data.image_shape, dict[str, Cost]()
    trained = [0]
    for line in runner.run():
        if line is None:
            continue
        trained[0] += isinstance(line.event, Epoch)
        for network in runner.bench.networks.values():
            if network.configs and str(network.spec()) not in sizes:
                sizes[str(network.spec())] = cost(network.module, shape)
    for network in runner.outcome().networks:
        sizes[str(network.spec())] = cost(network.module, shape)
    params, macs = ([getattr(one, name) for one in sizes.values()] for name in ("params", "macs"))
    images = runner.bench.engine.work.images / runner.bench.facts().train
    return {"max_params": params, "max_macs": macs, "max_epochs": [images], "max_seconds": trained}


REFUSING = ("fixed", "ectonas_pooling", "prune", "grow")
"""Methods that may refuse every value of a cap, as other options say how long they train and how large they get."""


@cache
def uncapped(method: str) -> dict[str, list[float]]:
    """The same without caps."""
    return run(method)


def values_of(method: str, cap: str) -> list[float]:
    """Values of a cap: one that nothing keeps, some on the way, and one that all keep."""
    if cap == "max_seconds":
        return [0.001]
    if cap == "max_epochs":
        return [1, 3]
    sizes = uncapped(method)[cap]
    return [1, (int(min(sizes)) + int(max(sizes))) // 2, int(max(sizes)) - 1, int(max(sizes))]


@pytest.mark.parametrize("cap", ["max_epochs", "max_seconds", "max_params", "max_macs"])
@pytest.mark.parametrize(
    "method",
    sampled(COMMANDS, "fixed", "densemann"),
)
def test_caps_are_kept_or_refused(method, cap):
    refused, values = 0, values_of(method, cap)
    for value in values:
        try:
            came_to = run(method, f"algo.{cap}={value}")[cap]
        except UserError as error:
            assert str(error).startswith(f"algo.{cap}: "), error
            refused += 1
            continue
        assert max(came_to) <= max(value, 1), (method, cap, value, came_to)
    assert refused < len(values) or method in REFUSING


def test_epochs_are_shared_out_between_a_search_and_its_final_training():
    shares = [search_epochs(AlgoConfig(max_epochs=cap), 6, 3) for cap in (0, 9, 8, 4, 1)]
    assert shares == [6, 6, 5, 2, 1]
    lasting = [last_epochs(AlgoConfig(max_epochs=cap), 6, 3) for cap in (0, 9, 8, 6)]
    assert lasting == [3, 3, 2, 0]
    with pytest.raises(UserError, match=r"algo\.max_epochs: 5 is too small; 6 epochs come before"):
        last_epochs(AlgoConfig(max_epochs=5), 6, 3)


def test_a_cap_may_be_reached_and_not_passed():
    config = AlgoConfig(max_params=1000, max_macs=50)
    assert beyond(config, 1000, 50) == beyond(AlgoConfig(), 10**9, 10**9) == ""
    assert beyond(config, 1001, 50) == "1,001 parameters, more than algo.max_params=1000"
    assert beyond(config, 1000, 51) == "51 multiply-accumulates, more than algo.max_macs=50"
