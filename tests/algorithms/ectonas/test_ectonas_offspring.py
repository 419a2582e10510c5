import json
from collections.abc import Callable
from pathlib import Path

import pytest

from growsearch.algorithms.ectonas.config import Amounts, EctonasConfig, Limits, MorphChoices, Recuperation
from growsearch.algorithms.ectonas.decisions import partial_batches, recuperation_epochs, rejection
from growsearch.algorithms.ectonas.offspring import (
    OPERATIONS,
    channel_target,
    child_spec,
    offspring,
    parameter_count,
    unit_target,
)
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import TOPOLOGIES, sequential_spec, start_topology

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ectonas.json").read_text())
SHAPES = {"mnist": ((1, 28, 28), 10), "cifar100": ((3, 32, 32), 100), "adult": ((1, 10, 10), 2)}
NAMES = {
    "identity": "IDENTITY",
    "remove_cell": "REMOVE_CONV_BLOCK",
    "add_cell": "ADD_CONV_BLOCK",
    "add_channels": "ADD_CHANNELS",
    "remove_channels": "REMOVE_CHANNELS",
    "add_units": "ADD_UNITS",
    "remove_units": "REMOVE_UNITS",
    "add_dense": "ADD_FC",
    "remove_dense": "REMOVE_FC",
}


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("data", SHAPES)
def test_first_generation(data: str, topology: str) -> None:
    golden = GOLDEN["offspring_first_generation"][data][topology]
    shape, classes = SHAPES[data]
    parent = start_topology(topology, shape, classes)
    assert parameter_count(parent) == golden["parent_params"]

    children = [(child, child_spec(parent, child)) for child in offspring(parent, Amounts())]
    rejected = [rejection(spec, parameter_count(parent), Limits(), 7_999_999) is not None for _, spec in children]
    found = [
        {"op": NAMES[child.op], "text": child.text, "params": parameter_count(spec), "rejected": out}
        for (child, spec), out in zip(children, rejected, strict=True)
    ]
    assert found == golden["children"]

    counts: dict[str, int] = {}
    for (child, _), out in zip(children, rejected, strict=True):
        if not out:
            counts[child.op] = counts.get(child.op, 0) + 1
    assert {NAMES[op]: n for op, n in counts.items()} == golden["type_counts"]


def test_targets() -> None:
    for case in GOLDEN["unit_targets"]:
        assert unit_target(case["units"], 1, Amounts()) == case["add"]
        assert unit_target(case["units"], -1, Amounts()) == case["remove"]
    for case in GOLDEN["channel_targets"]:
        assert channel_target(case["channels"], 1, Amounts()) == case["add"]
        assert channel_target(case["channels"], -1, Amounts()) == case["remove"]


def test_partial_batches() -> None:
    for case in GOLDEN["partial_epoch_batches"]:
        assert partial_batches(case["n_batches"], case["fraction"]) == case["batches"]
    assert partial_batches(4, 0.1) == 1


def test_every_operation_has_its_recuperation() -> None:
    table = Recuperation()
    assert {op: recuperation_epochs(op, table) for op in OPERATIONS if op.startswith("remove")} == {
        op: 1.0 for op in OPERATIONS if op.startswith("remove")
    }
    assert recuperation_epochs("add_cell", table) == 0.25 and recuperation_epochs("identity", table) == 0.1


@pytest.mark.parametrize("shape", [(3, 9, 6), (9, 6)])
def test_described_children_can_be_built(shape: tuple[int, ...]) -> None:
    parent = sequential_spec([4, 2], [12, 3], shape, 5)
    for child in offspring(parent, Amounts()):
        spec = child_spec(parent, child)
        assert sum(p.numel() for p in build(spec).parameters()) == parameter_count(spec)


def test_added_cell_brings_the_channel_axis_which_stays() -> None:
    parent = sequential_spec([], [10], (10, 10), 2)
    (adding,) = (child for child in offspring(parent, Amounts()) if child.op == "add_cell")
    assert adding.text == "+ CB L 0"
    grown = child_spec(parent, adding)
    assert grown["reshape"] and grown["cells"][0]["channels"] == 1
    texts = [child.text for child in offspring(grown, Amounts())]
    assert "- CB L 1 - 4" in texts and "+ CB L 1" in texts and "+ CB L 5" in texts and "+ 12 U L 6" in texts
    (removing,) = (child for child in offspring(grown, Amounts()) if child.op == "remove_cell")
    assert child_spec(grown, removing)["reshape"]


def test_no_cell_is_added_where_maps_are_one_pixel_high_or_wide() -> None:
    for shape in ((1, 1, 4), (1, 4, 1)):
        ops = {child.op for child in offspring(sequential_spec([], [5], shape, 2), Amounts())}
        assert "add_cell" not in ops
    assert "add_cell" in {child.op for child in offspring(sequential_spec([], [5], (1, 2, 2), 2), Amounts())}


def test_without_hidden_layers_no_dense_layer_can_come_back() -> None:
    ops = [child.op for child in offspring(sequential_spec([2], [], (1, 4, 4), 2), Amounts())]
    assert ops == ["identity", "remove_cell", "add_channels", "add_cell", "add_cell"]


def test_removed_units_stop_at_the_rank() -> None:
    parent = sequential_spec([], [20], (1, 2, 2), 2)
    (child,) = (child for child in offspring(parent, Amounts()) if child.op == "remove_units")
    assert child.size == 18 and child_spec(parent, child)["hidden"] == [4]


@pytest.mark.parametrize(
    ("limits", "max_params", "reason"),
    [
        (Limits(), 0, None),
        (Limits(), 223, "too many parameters"),
        (Limits(), 224, None),
        (Limits(growth_percent=123.0), 0, "grown too much"),
        (Limits(growth_percent=123.1), 0, None),
        (Limits(layers=2), 0, "too many layers"),
        (Limits(layers=3), 0, None),
        (Limits(channels=4), 0, "too many channels"),
        (Limits(units=6), 0, "too many units"),
    ],
)
def test_rejection(limits: Limits, max_params: int, reason: str | None) -> None:
    spec = sequential_spec([5], [7], (1, 4, 4), 2)
    assert parameter_count(spec) == 223
    assert rejection(spec, 100, limits, max_params) == reason


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: EctonasConfig(budget_mode="exact"), "algo.budget_mode: 'exact'"),
        (lambda: EctonasConfig(rounds=0), "algo.rounds: 0"),
        (lambda: EctonasConfig(hidden=[3]), "use custom"),
        (lambda: EctonasConfig(lr=0.0), "algo.lr"),
        (lambda: EctonasConfig(budget=0.0), "algo.budget"),
        (lambda: MorphChoices(pool_choice="mean"), "algo.morphs.pool_choice: 'mean'"),
        (lambda: Amounts(channels=0), "algo.amounts.channels"),
        (lambda: Recuperation(add_cell=0.0), "algo.recuperation.add_cell"),
    ],
)
def test_settings_that_no_run_can_mean(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make()
