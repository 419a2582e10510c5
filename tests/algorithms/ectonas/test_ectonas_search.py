import json
import math

import pytest
import torch
from algorithms.chain import assert_chain_holds, assert_same_tree, events_in, run_through, runner_of
from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.actions import Workbench
from growsearch.algorithms.ectonas import competition, edits
from growsearch.algorithms.ectonas.config import EctonasConfig, Recuperation
from growsearch.algorithms.ectonas.search import Ectonas
from growsearch.events import from_json
from growsearch.runner.script import Line, ScriptRunner
from growsearch.training import Engine
from growsearch.training.out_of_memory import OutOfMemory, attempt


def ectonas(seed: int = 0, train: int = 96, out_of_memory: str = "stop", **changes) -> ScriptRunner:
    settings = {
        "topology": "custom",
        "cells": [4],
        "hidden": [6],
        "budget": 2,
        "warm_up_epochs": 1,
        "rounds": 2,
        "epochs_per_round": 1,
        **changes,
    }
    engine = tiny_engine(seed, tiny_dataset(train, 40, 40), out_of_memory=out_of_memory)
    return runner_of(Ectonas, EctonasConfig(**settings), engine)


def test_left_and_resumed_at_every_point_equals_uninterrupted() -> None:
    """Through warm-up, births, fractions of an epoch (a removal gets 1.4), both phases and the final choice."""
    recuperation = Recuperation(remove_units=1.4, add_cell=0.5)
    events = assert_chain_holds(lambda: ectonas(recuperation=recuperation), steps=6)
    kinds = {(e["kind"], e.get("phase")) for e in events}
    assert {("epoch", phase) for phase in ("warm-up", "recuperation", "phase 1", "phase 2")} <= kinds
    images = {e["images"] for e in events if e["kind"] == "epoch"}
    assert {96, 32} <= images


@pytest.mark.parametrize(
    "options",
    [{"interleave": 3, "alpha": 0.5}, {"random_mode": True}],
    ids=["interleaved", "drawn"],
)
@pytest.mark.slow
def test_several_generations_of_candidates_resume_too(options) -> None:
    make = lambda: ectonas(cells=[], hidden=[5], budget=16, rounds=1, **options)  # noqa: E731
    events = assert_chain_holds(make, steps=20)
    assert sum(e["kind"] == "phase" for e in events) >= 3


def test_a_run_of_a_version_that_played_pools_in_turn_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Left amid a step in the first bracket, and in a later one; after the phase it goes on side by side."""
    events, whole_end = run_through(ectonas())
    phases = [event.get("phase") for event in events]
    cuts, saved, lines = [phases.index("phase 1"), phases.index("phase 2") - 2], [], list[Line]()
    with monkeypatch.context() as earlier:
        earlier.setattr(competition, "isfinite", lambda limit: True)
        runner = ectonas()
        for found in runner.run():
            lines += [found] if found is not None else []
            if cuts and found is None and len(events_in(lines)) == cuts[0]:
                saved.append((runner.save(), [json.loads(json.dumps(line.record)) for line in lines]))
                del cuts[0]
    assert not cuts and all(line.record["branch"].count("/") < 2 for line in lines)
    for tree, journal in saved:
        resumed = ectonas()
        resumed.load(tree, journal)
        rest, end = run_through(resumed)
        assert by_network(events_in(lines)[: -len(rest)] + rest) == by_network(events)
        assert_same_tree(end, whole_end)


def by_network(events: list[dict]) -> dict[int, list[dict]]:
    """Events of each network in their order."""
    return {id: [event for event in events if event["network"] == id] for id in {e["network"] for e in events}}


def test_interleaved_candidates_equal_one_after_another() -> None:
    alone, together = ectonas(), ectonas(interleave=4)
    events, end = run_through(alone)
    mixed_events, mixed_end = run_through(together)
    key = lambda event: json.dumps(event, sort_keys=True)  # noqa: E731
    assert sorted(events, key=key) == sorted(mixed_events, key=key)
    assert events != mixed_events
    assert_same_tree(end["networks"], mixed_end["networks"])


def test_seeds_decide_everything() -> None:
    first, again, other = (run_through(ectonas(seed))[0] for seed in (0, 0, 1))
    assert first == again != other


def test_lineage_is_whole() -> None:
    algorithm = ectonas(budget=30, rounds=1)
    events, _ = run_through(algorithm)
    born = {0} | {e["network"] for e in events if e["kind"] == "edit"}
    fates = {e["network"]: e["values"] for e in events if e["kind"] == "measure" and e["name"] == "fate"}
    rejected = {id for id, values in fates.items() if values["fate"].startswith("rejected")}
    assert born | rejected == set(fates) and not born & rejected
    assert len(born | rejected) == 1 + algorithm.method.population.created
    assert [values["fate"] for values in fates.values()].count("won") == 1
    assert all(values["parent"] in born for id, values in fates.items() if id)
    for event in events:
        assert from_json(event).to_json() == event
    assert list(algorithm.bench.networks) == [algorithm.found.networks[0].name]


def test_outcome_records_the_way_of_the_winner() -> None:
    algorithm = ectonas(budget=30, rounds=1, alpha=0.0)
    run_through(algorithm)
    found, network = algorithm.outcome().found, algorithm.outcome().best
    record = found.method
    json.dumps(record)
    assert record["generations"] == len(record["modifications"]) == record["description"].count("**")
    assert record["history"]["params"][-1] == network.parameter_count()
    assert record["history"]["epochs"][-1] == found.winner_epochs
    assert found.val_accuracy == algorithm.bench.engine.evaluate(network).accuracy
    assert record["compression"] == pytest.approx(1 - network.parameter_count() / record["start_params"])
    assert record["charged_epochs"] == algorithm.method.population.spent > 30


def test_strict_budget_is_charged_exactly() -> None:
    algorithm = ectonas(budget=17.3, budget_mode="strict")
    run_through(algorithm)
    assert algorithm.method.population.spent == 17.3


def test_child_that_diverges_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    real = edits.morph

    def exploding(module, child, *details) -> None:
        real(module, child, *details)
        if child.op == "add_dense":
            with torch.no_grad():
                module.output.weight.fill_(1e38)

    monkeypatch.setattr(edits, "morph", exploding)
    events, _ = run_through(ectonas())
    dropped = [e["values"] for e in events if e["kind"] == "measure" and e["values"]["fate"] == "dropped: diverged"]
    assert dropped and all(values["op"] == "add_dense" for values in dropped)


@pytest.mark.parametrize(("error", "fate"), [(MemoryError(), "memory ran out"), (None, "weights that are not finite")])
def test_child_that_cannot_be_made_is_rejected(monkeypatch: pytest.MonkeyPatch, error, fate: str) -> None:
    def failing(module, child, *details) -> None:
        if child.op == "add_dense":
            if error is not None:
                raise error
            with torch.no_grad():
                module.output.bias[0] = float("nan")

    monkeypatch.setattr(edits, "morph", failing)
    events, _ = run_through(ectonas(max_generations=1, out_of_memory="skip"))
    fates = [e["values"] for e in events if e["kind"] == "measure" and fate in e["values"]["fate"]]
    assert [values["op"] for values in fates] == ["add_dense"]


def test_without_skip_a_child_that_cannot_be_made_stops_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(module, child, *details) -> None:
        raise MemoryError

    monkeypatch.setattr(edits, "morph", failing)
    with pytest.raises(OutOfMemory, match=r"the edit \w+ of network 1 \(508 parameters\)"):
        run_through(ectonas())


@pytest.mark.parametrize(
    ("phase", "run"),
    [
        ("evaluation", lambda make: run_through(make())[0]),
        *(pytest.param(phase, assert_chain_holds, marks=pytest.mark.slow) for phase in ("training", "evaluation")),
    ],
)
def test_child_that_memory_has_no_room_for_is_dropped(monkeypatch: pytest.MonkeyPatch, phase: str, run) -> None:
    """All children with another hidden layer; their parents and siblings go on, through saves and reloads too."""
    name = {"training": "train_batch", "evaluation": "evaluate"}[phase]
    real = getattr(Engine, name)

    def limited(engine, network, *details, **named):
        with attempt(phase, network, 32):
            if len(network.module.dense_layers()) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return real(engine, network, *details, **named)

    monkeypatch.setattr(Engine, name, limited)
    events = run(lambda: ectonas(max_generations=1, out_of_memory="skip"))
    fates = [e["values"] for e in events if e["kind"] == "measure" and f"ran out: {phase}" in e["values"]["fate"]]
    assert fates and {values["op"] for values in fates} == {"add_dense"}


def test_training_accuracy_can_be_the_score() -> None:
    algorithm = ectonas(score_key="train_accuracy", max_generations=1)
    run_through(algorithm)
    method = algorithm.method
    row = method.population.individuals[algorithm.found.networks[0].id]
    assert method.population.score(row) == pytest.approx(sum(r[2] for r in row.history[-3:]) / 3)


def test_tiny_fraction_of_few_batches_is_one_batch() -> None:
    events, _ = run_through(ectonas())
    recuperations = [e["images"] for e in events if e["kind"] == "epoch" and e["phase"] == "recuperation"]
    assert min(recuperations) == 32


@pytest.mark.parametrize("seconds", [1, 4, 20, 33])
def test_clock_ends_the_search_with_a_trained_network(monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    algorithm, ticks = ectonas(max_seconds=seconds, budget=1000), iter(range(10**6))
    monkeypatch.setattr(Workbench, "clock", lambda _: next(ticks))
    events, _ = run_through(algorithm)
    epochs = [e for e in events if e["kind"] == "epoch"]
    assert len(epochs) <= seconds + 1
    (winner,) = algorithm.found.networks
    assert winner.id == 0 or any(e["network"] == winner.id for e in epochs)
    assert list(algorithm.bench.networks) == [winner.name]


def test_adam_a_smoothed_loss_and_the_likelihood_as_score() -> None:
    options = {"optimizer": "adam", "lr": 0.01, "weight_decay": 1e-4, "label_smoothing": 0.1, "budget": 1}
    make = lambda: ectonas(score_key="val_likelihood", **options)  # noqa: E731
    events = assert_chain_holds(make, steps=12)
    algorithm = make()
    run_through(algorithm)
    network = algorithm.outcome().best
    assert isinstance(network.optimizer(), torch.optim.Adam)
    assert network.optimizer().param_groups[0]["weight_decay"] == 1e-4
    individual = algorithm.method.population.individuals[network.id]
    losses = [row[3] for row in individual.history][-3:]
    assert algorithm.method.population.score(individual) == pytest.approx(
        sum(math.exp(-loss) for loss in losses) / len(losses)
    )
    assert events != run_through(ectonas(budget=1))[0]
