"""The whole search on a few digits: seconds, and every mode of it."""

import dataclasses
from functools import cache

import pytest
import torch
from algorithms.chain import assert_chain_holds, run_through, runner_of
from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.measures import ft_log_rows
from growsearch.algorithms.densemann.plans import augmentation_of, seed_spec
from growsearch.algorithms.densemann.search import Densemann
from growsearch.errors import Diverged, UserError
from growsearch.events import from_json

FAST = {
    "growth_rate": 4,
    "bottleneck_factor": 2,
    "patience": 3,
    "re_patience": 4,
    "kcs_smoothing": 2,
    "kcs_window": 2,
    "settle_thresh": 0.02,
    "final_epochs": 2,
    "max_layers": 2,
    "block_count": 2,
    "batch_size": 50,
    "dropout": 0.1,
}


def search(seed=0, data=None, **options):
    return runner_of(Densemann, DensemannConfig(**{**FAST, **options}), tiny_engine(seed, data))


@cache
def searched():
    """A whole search that several tests look at: the run, and its events."""
    algorithm = search()
    return algorithm, run_through(algorithm)[0]


def of_kind(events, kind):
    return [event for event in events if event["kind"] == kind]


def ops(events):
    return [event["op"] for event in of_kind(events, "edit")]


def phases(events):
    return [event["name"] for event in of_kind(events, "phase")]


def test_left_and_resumed_at_every_point_equals_uninterrupted():
    events = assert_chain_holds(search)
    assert {"add_filters", "prune", "add_layer", "add_block"} <= set(ops(events))
    assert phases(events) == ["growth", "final training", "done"]


def test_the_record_says_what_was_edited_where():
    edits = of_kind(searched()[1], "edit")
    added = next(e for e in edits if e["op"] == "add_filters")
    assert (added["where"], added["detail"]) == ("block 1 layer 1", {"filters": [4]})
    layer = next(e for e in edits if e["op"] == "add_layer")
    assert layer["where"] == "block 1 layer 2"
    assert next(e for e in edits if e["op"] == "add_block")["where"] == "block 2"


def test_an_undone_pruning_and_layer_resume_too():
    options = {"impr_thresh": 0.5, "re_patience": 1, "best_loss_scope": "run", "ft_log": True, "final_epochs": 1}
    events = assert_chain_holds(lambda: search(6, **options))
    assert {"undo_pruning", "remove_layer"} <= set(ops(events))


def test_seeds_decide_everything():
    again, other = (run_through(search(seed))[0] for seed in (0, 1))
    assert searched()[1] == again
    assert again != other


def test_epochs_are_numbered_and_measured():
    _, events = searched()
    growth = [e for e in of_kind(events, "epoch") if e["phase"] == "growth"]
    measures = of_kind(events, "measure")
    assert [e["epoch"] for e in growth] == list(range(len(growth))) == [m["epoch"] for m in measures]
    for measure in measures:
        values = measure["values"]
        assert set(values["useful"]) | set(values["useless"]) <= set(values["settled"])
        assert all(0 < strength < 1.1 for strength in values["kcs"])
    judged = [m["values"] for m in measures if m["values"]["useful_from"] is not None]
    assert judged and all(v["useful_from"] >= v["useless_to"] for v in judged)


def test_outcome_is_the_network_of_least_validation_loss():
    algorithm = search(final_epochs=4)
    events, _ = run_through(algorithm)
    final = [e for e in of_kind(events, "epoch") if e["phase"] == "final training"]
    best = min(range(4), key=lambda e: final[e]["val_loss"])
    outcome = algorithm.outcome().found
    assert (outcome.val_loss, outcome.val_accuracy) == (final[best]["val_loss"], final[best]["val_accuracy"])
    network, method = algorithm.outcome().best, algorithm.method
    found = algorithm.bench.engine.evaluate(network, "val", method.val_augmentation, counter=best)
    assert found.loss == pytest.approx(outcome.val_loss)
    assert outcome.method["growth_epochs"] + outcome.method["training_epochs"] == outcome.winner_epochs
    assert outcome.method["filters"][0] == outcome.method["filters"][1]


def test_final_rates():
    def rates(**options):
        events, _ = run_through(search(max_layers=1, max_epochs=0, final_epochs=4, **options))
        return [e["lr"] for e in of_kind(events, "epoch") if e["phase"] == "final training"]

    assert rates() == pytest.approx([0.1, 0.1, 0.01, 0.001])
    assert rates(late_start=True) == pytest.approx([0.001, 0.1, 0.1, 0.01, 0.001])


@pytest.mark.parametrize(
    "mode, expected",
    [
        ("brutal_copy", ["growth", "final training", "done"]),
        ("reset_copy", ["growth", "final training", "done"]),
        ("incremental_copy", ["growth", "training of a copy", "final training", "done"]),
        ("from_scratch", ["growth", "growth", "growth", "done"]),
    ],
)
def test_modes_of_replication(mode, expected):
    algorithm = search(new_block_mode=mode, block_count=3, max_layers=1)
    events, _ = run_through(algorithm)
    assert phases(events) == expected
    filters = algorithm.outcome().found.method["filters"]
    assert len(filters) == 3
    assert ("redraw" in ops(events)) == (mode == "reset_copy")
    assert algorithm.outcome().networks[0].spec()["init"] == ("standard" if mode == "reset_copy" else "growing")
    if mode != "from_scratch":
        assert filters[1] == filters[2] == filters[0]


@pytest.mark.parametrize("mode", ["incremental_copy", pytest.param("from_scratch", marks=pytest.mark.slow)])
def test_several_phases_resume_too(mode):
    assert_chain_holds(lambda: search(new_block_mode=mode, max_layers=1, final_epochs=1, max_epochs=16), steps=1000)


def test_one_block_is_neither_copied_nor_trained_further():
    algorithm = search(block_count=1)
    events, _ = run_through(algorithm)
    assert phases(events) == ["growth", "done"]
    network = algorithm.outcome().networks[0]
    assert len(network.spec()["filters"]) == 1
    assert ops(events)[-1] == "remove_layer"
    added = next(e for e in of_kind(events, "edit") if e["op"] == "add_layer")
    assert algorithm.outcome().found.val_accuracy == added["accuracy"]
    assert algorithm.outcome().networks[0].spec()["filters"][0] == of_kind(events, "phase")[-1]["detail"]["filters"][0]


@pytest.mark.parametrize("cap", [1, 7, 11])
def test_cap_on_epochs_leaves_room_for_the_final_training(cap):
    algorithm = search(max_epochs=cap, final_epochs=3)
    events, _ = run_through(algorithm)
    final = [e for e in of_kind(events, "epoch") if e["phase"] == "final training"]
    assert len(of_kind(events, "epoch")) == cap
    assert len(final) == min(3, cap - 1)
    assert any("max_epochs" in event["text"] for event in of_kind(events, "note"))


def test_cap_on_epochs_returns_to_the_better_network():
    events, _ = run_through(search(max_epochs=40, final_epochs=1))
    capped = [e for e in of_kind(events, "epoch") if e["phase"] == "growth"]
    assert phases(events) == ["growth", "final training", "done"]
    assert len(capped) <= 39


def test_cap_on_seconds_ends_at_once():
    algorithm = search(max_seconds=1e-6)
    events, _ = run_through(algorithm)
    assert len(of_kind(events, "epoch")) == 1
    assert phases(events)[-1] == "done"
    assert algorithm.outcome().networks[0].spec()["filters"] == [[4]]


def test_cap_on_parameters_holds_for_the_final_network():
    algorithm = search(max_params=1700, max_layers=4)
    events, _ = run_through(algorithm)
    assert algorithm.outcome().networks[0].parameter_count() <= 1700
    assert "add_block" in ops(events)


def test_caps_on_layers_and_filters():
    algorithm = search(max_layers=1, max_filters=4)
    events, _ = run_through(algorithm)
    assert not {"add_layer", "add_filters"} & set(ops(events))
    assert algorithm.outcome().found.method["layers_per_block"] == [1, 1]


def test_a_loss_that_is_not_finite_stops_the_run():
    algorithm = search(lr=1e18, classifier_init="library")
    lines = []
    with pytest.raises(Diverged, match="growth, network 0, epoch 0"):
        lines.extend(line.record for line in algorithm.run() if line is not None)
    resumed = search(lr=1e18, classifier_init="library")
    resumed.load(algorithm.save(), lines)
    with pytest.raises(Diverged):
        run_through(resumed)


def test_no_validation_images_is_an_error():
    data = tiny_dataset()
    with pytest.raises(UserError, match=r"data\.val_size"):
        search(data=dataclasses.replace(data, val=dataclasses.replace(data.val, images=data.val.images[:0])))


def test_blocks_of_zeros_are_warned_of():
    assert "zeros" in of_kind(run_through(search(new_block_init="zeros"))[0], "note")[0]["text"]


def test_code_keeps_the_untrained_copy_if_growth_had_the_smaller_loss():
    algorithm = search(best_loss_scope="run", final_epochs=1)
    events, _ = run_through(algorithm)
    network = algorithm.outcome().networks[0]
    assert any("least validation loss" in e["text"] for e in of_kind(events, "note"))
    assert (network.module.classifier.weight == 1).all()
    method, found = algorithm.method, algorithm.outcome().found
    val = algorithm.bench.engine.evaluate(network, "val", method.val_augmentation, counter=method.grown.epochs)
    assert (found.val_loss, found.val_accuracy) == (val.loss, val.accuracy)


def test_treatment_of_images_follows_the_publication():
    config, tiny = DensemannConfig(), tiny_dataset()
    cifar, fashion = (augmentation_of(config, name) for name in ("cifar10", "fashion_mnist"))
    assert (cifar.crop_padding, cifar.flip, cifar.cutout) == (4, True, 16)
    assert (fashion.crop_padding, fashion.flip, fashion.cutout) == (0, False, 16)
    assert seed_spec(config, dataclasses.replace(tiny, name="cifar10"))["dropout"] == 0.0
    assert seed_spec(config, dataclasses.replace(tiny, name="svhn"))["dropout"] == 0.2
    assert augmentation_of(DensemannConfig(crop_padding=1, flip=True, cutout=0), "svhn").crop_padding == 1


def test_stem_follows_the_size_of_images():
    tiny = tiny_dataset()
    wide = dataclasses.replace(tiny, train=dataclasses.replace(tiny.train, images=torch.zeros(4, 3, 64, 64)))
    assert seed_spec(DensemannConfig(), tiny)["stem"] == "small"
    assert seed_spec(DensemannConfig(), wide)["stem"] == "large"


def test_feature_log_has_a_row_per_epoch_and_pruning():
    algorithm = search(ft_log=True)
    records, _ = run_through(algorithm)
    events = [from_json(record) for record in records]
    epochs, prunings = len(of_kind(records, "epoch")), ops(records).count("prune")
    rows = ft_log_rows(events, seconds=[1.5] * epochs)
    assert rows[0][:5] == ["epoch", "train_loss", "valid_loss", "accuracy", "time"]
    assert len(rows) == 1 + epochs + prunings
    assert [row for row in rows if row[0].startswith('"Pruned: [')].__len__() == prunings
    last, spec = rows[-1], algorithm.outcome().networks[0].spec()
    layers = sum(map(len, spec["filters"]))
    strengths = sum(map(sum, spec["filters"]))
    assert len(last) == 5 + layers + strengths + (len(spec["filters"]) - 1)
    assert last[4] == "1,5" and "." not in "".join(last)


def test_plain_densenet_grows_without_bottlenecks_and_keeps_its_channels():
    algorithm = search(bottleneck=False, dropout=0.0, stem_filters=6)
    events, _ = run_through(algorithm)
    spec = algorithm.outcome().networks[0].spec()
    assert spec["bottlenecks"] is None
    assert spec["transitions"] == [6 + sum(spec["filters"][0])]
    assert "prune" in ops(events)


def test_transition_keeps_the_share_that_compression_says():
    algorithm = search(compression=0.25, max_layers=1)
    run_through(algorithm)
    spec = algorithm.outcome().networks[0].spec()
    assert spec["transitions"] == [int(0.25 * (8 + spec["filters"][0][0]))]


def test_a_transition_keeps_at_least_one_channel():
    algorithm = search(compression=1e-30, max_layers=1)
    run_through(algorithm)
    assert algorithm.outcome().networks[0].spec()["transitions"] == [1]


@pytest.mark.slow
def test_random_growth_resumes_and_its_schedule_repeats_it():
    options = {"growth": "random", "complementary": False, "addition_chance": 0.3, "final_epochs": 1}
    events = assert_chain_holds(lambda: search(**options), steps=8)
    assert "add_filters" in ops(events) and not {"prune", "undo_pruning"} & set(ops(events))
    grown = search(**options)
    run_through(grown)
    record = grown.outcome().found.method
    again = search(**{**options, "growth": "scheduled", "additions": record["additions"]})
    run_through(again)
    repeated = again.outcome().found.method
    assert repeated["filters"] == record["filters"] and repeated["additions"] == record["additions"]


def test_the_record_has_the_moments_of_additions():
    algorithm, events = searched()
    layers, born = [[]], 0
    for event in of_kind(events, "edit"):
        if event["op"] in ("add_filters", "add_layer"):
            layers[-1].append(event["epoch"] - born)
        if event["op"] == "add_layer":
            born = event["epoch"]
            layers.append([])
    found = algorithm.outcome().found.method
    additions, layers[-1] = found["additions"], [*layers[-1], found["growth_epochs"] - born]
    assert additions == (layers if len(found["filters"][0]) == len(layers) else layers[:-1])
