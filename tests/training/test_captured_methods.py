"""Every method with captured steps, as far as a CPU shows it: no host read in a step, and the same to the bit."""

import itertools
import json

import pytest
from algorithms.chain import assert_same_tree, run_through
from algorithms.methods import METHODS
from sampling import sampled
from training.replays import pretended_captures

from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.networks.sequential import Sequential
from growsearch.runner import start
from growsearch.runner.start import prepare
from growsearch.training import Engine, cuda_graphs


def algorithm(name, *more):
    several = ["data.train_size=128"] if name == "prdarts" else []  # an epoch of one step replays nothing
    return prepare(typed(compose_run([*METHODS[name], *several, *more])))


@pytest.mark.parametrize("name", sampled(METHODS, "fixed", "densemann"))
def test_replayed_steps_change_nothing(name):
    events, end = run_through(algorithm(name))
    with pretended_captures(warm_ups=1) as cuda_streams:
        method = algorithm(name)
        replayed_events, replayed_end = run_through(method)
        assert method.bench.engine.notes == []
    assert sum(cuda_stream.replays for cuda_stream in cuda_streams) > 0
    assert replayed_events == events
    assert_same_tree(end, replayed_end)


@pytest.mark.parametrize("many", [8, 2])
def test_candidates_side_by_side_equal_one_after_another(many, monkeypatch):
    monkeypatch.setattr(cuda_graphs, "MANY", many)
    monkeypatch.setattr(cuda_graphs, "WORTH_CAPTURING", many)
    longer = "data.train_size=128"
    events, end = run_through(algorithm("ectonas", longer))
    with pretended_captures(warm_ups=1) as cuda_streams:
        method = algorithm("ectonas", "algo.interleave=4", longer)
        together, together_end = run_through(method)
    assert len(method.bench.engine.cuda_streams) == 4
    assert sum(cuda_stream.replays > 0 for cuda_stream in cuda_streams) > 1
    steps = [step for each in method.bench.engine._steps.values() for step in each.values()]
    assert any(step.replays_of_many for step in steps) == (many == 2)

    def key(event):
        return json.dumps(event, sort_keys=True)

    assert sorted(events, key=key) == sorted(together, key=key)
    assert_same_tree(end["networks"], together_end["networks"])


def test_a_run_tells_why_its_steps_stay_eager(tmp_path, monkeypatch):
    def forward(self, x):
        return plain(self, x) * (1.0 if x.sum().item() > 0 else 2.0)

    plain = Sequential.forward
    monkeypatch.setattr(Sequential, "forward", forward)
    with pretended_captures(warm_ups=1):
        start(compose_run([*METHODS["fixed"], "algo.training.epochs=1", f"output.root={tmp_path}"]))
    (path,) = tmp_path.rglob("events.jsonl")
    notes = [event["text"] for event in map(json.loads, path.read_text().splitlines()) if event["kind"] == "note"]
    assert len([note for note in notes if "not captured" in note]) == 1


def test_candidates_side_by_side_take_their_steps_by_turns_in_all_epochs(monkeypatch):
    order, train_batch = [], Engine.train_batch

    def noted(self, network, *args):
        order.append(network.id)
        train_batch(self, network, *args)

    monkeypatch.setattr(Engine, "train_batch", noted)
    longer = [f"algo.recuperation.{op}=3" for op in ("add_channels", "add_units", "add_dense", "add_cell", "identity")]
    with pretended_captures(warm_ups=1):
        method = algorithm("ectonas", "algo.interleave=3", "algo.max_generations=1", *longer)
        for _ in run_until(method, lambda: len(set(order)) > 6):
            pass
    trained = [list(steps) for id, steps in itertools.groupby(order) if id]
    assert len(trained) > 30
    assert max(map(len, trained)) <= 2


def run_until(method, enough):
    return itertools.takewhile(lambda _: not enough(), method.run())
