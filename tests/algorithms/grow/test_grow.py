"""``algo=grow``: every step keeps the function, the budget is met, and runs go on where they stopped."""

import copy
from types import SimpleNamespace

import pytest
import torch
from algorithms.chain import assert_chain_holds, run_through, runner_of
from algorithms.tiny import tiny_dataset, tiny_engine
from hypothesis import given, settings
from hypothesis import strategies as st

from growsearch.actions import Fit, Net
from growsearch.algorithms.budgets import example
from growsearch.algorithms.grow.config import GrowConfig
from growsearch.algorithms.grow.decisions import additions, grown, is_plateau, largest_count, weights_of
from growsearch.algorithms.grow.edits import AddBlocks, PacedFit, Widen, steps_of
from growsearch.algorithms.grow.measure import growable_groups
from growsearch.algorithms.grow.search import Grow
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.probes import cost
from growsearch.surgery import channel_groups
from growsearch.surgery.scores import LAYERS, group_weights
from growsearch.training import Network
from growsearch.training.plan import fit_plan_of, optimizer_of
from growsearch.training.settings import TrainingSettings

SHAPE = (1, 8, 8)
RESNET = {
    **{"family": "resnet", "depths": [1, 1], "width": 4, "classes": 10, "in_channels": 1},
    **{"bias": True, "norm_momentum": 0.1},
}


def training(epochs):
    return TrainingSettings(epochs=epochs, batch_size=50, lr=0.05, keep="last")


def grow(spec=None, **options):
    config = GrowConfig(**{"steps": 2, "step_epochs": 1, "training": training(1), "score_images": 16, **options})
    module = build(spec or sequential_spec([3, 4], [6], SHAPE, 10))
    return runner_of(Grow, config, tiny_engine(data=tiny_dataset(train=100, val=30)), {"network": module})


def prepared(spec):
    """A network in float64 whose every channel matters."""
    draw = torch.Generator().manual_seed(3)
    module = build(spec).double()
    with torch.no_grad():
        for name, tensor in module.state_dict().items():
            if tensor.is_floating_point():
                noise = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
                tensor.copy_(noise.abs() + 0.5 if "running_var" in name or tensor.dim() == 0 else 0.5 * noise)
    return Network(0, module)


@settings(max_examples=6, deadline=None)
@given(
    st.sampled_from([RESNET, sequential_spec([3, 4], [6], SHAPE, 10)]),
    st.sampled_from(["copies", "zero", "orthogonal"]),
    st.integers(1, 5),
    st.booleans(),
)
def test_every_step_keeps_the_function(spec, start, more, training_mode):
    network = prepared(spec)
    before = copy.deepcopy(network.module)
    groups = channel_groups(network.module, example(network.module, SHAPE), prove=False)
    names = growable_groups(network, SHAPE, [], False)
    sizes = {group.name: group.size + more for group in groups if group.name in names}
    Widen(sizes, start, 0.3, SHAPE).apply(network, lambda: torch.Generator().manual_seed(more))
    if spec is RESNET:
        AddBlocks(1).apply(network, lambda: torch.Generator().manual_seed(more))
    images = torch.randn(5, *SHAPE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    module = network.module
    outputs = [each.train(training_mode)(images) for each in (before, module)]
    assert (outputs[0] - outputs[1]).abs().max() < 1e-9 * outputs[0].abs().max()
    assert cost(module, SHAPE).params > cost(before, SHAPE).params
    again = build(module.spec())
    again.load_state_dict(module.state_dict())


def test_left_and_resumed_at_every_point_equals_uninterrupted():
    options = {"target_params": 900.0, "when": "plateau", "where": "gradient", "start": "gradmax", "step_epochs": 2}
    events = assert_chain_holds(lambda: grow(**options), steps=2)
    assert [e["op"] for e in events if e["kind"] == "edit"] == ["widen", "widen"]


@pytest.mark.parametrize(
    "options",
    [
        {"target_params": 900.0, "start": "copies", "new_rates": "norm"},
        {"target_macs": 20_000.0, "where": "random", "start": "orthogonal"},
        {"target_macs": 120_000.0, "where": "tiny", "start": "copies", "spec": RESNET, "depth": 1},
    ],
)
def test_a_budget_is_filled(options):
    options = dict(options)
    runner = grow(options.pop("spec", None), **options, training=training(0))
    run_through(runner)
    outcome, quantity = runner.outcome(), "params" if "target_params" in options else "macs"
    goal = options[f"target_{quantity}"]
    assert 0.85 * goal < getattr(cost(outcome.best.module, SHAPE), quantity) <= goal
    path = outcome.found.method["path"]
    assert [point["params"] for point in path] == sorted({point["params"] for point in path})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_params": 10.0}, r"algo\.target_params: 10 is not accepted; the network has"),
        ({}, r"algo\.target_params: no value given"),
        ({"target_params": 900.0, "depth": 1}, r"algo\.depth: 1 is not accepted; use 0"),
        (
            {"target_macs": 60_000.0, "depth": 1, "spec": RESNET},
            r"algo\.depth: 1 is not accepted, as the network has 72,016",
        ),
        ({"target_params": 900.0, "leave": ["nothing"]}, r"algo\.leave: 'nothing' names no layer"),
        ({"target_params": 900.0, "target_macs": 9.0}, r"algo\.target_macs: it is given beside"),
    ],
)
def test_what_cannot_be_done_is_said(options, message):
    with pytest.raises(UserError, match=message):
        grow(**options).begin()


def test_additions_follow_sizes_and_weights():
    order = additions({"a": 2, "b": 4}, {"a": 1.0, "b": 1.0}, 3)
    assert grown({"a": 2, "b": 4}, order, 6) == {"a": 4, "b": 8}
    assert grown({"a": 2, "b": 4}, order, len(order)) == {"a": 6, "b": 12}
    assert additions({"a": 2, "b": 2}, {"a": 0.0, "b": 1.0}, 2) == ["b", "b"]
    assert additions({"a": 2, "b": 2}, {"a": 3.0, "b": 1.0}, 3)[:2] == ["a", "a"]


@given(st.integers(0, 200), st.integers(0, 200))
def test_the_most_that_fits_is_found(most, enough):
    assert largest_count(most, lambda count: count <= enough) == min(most, enough)


def test_weights_and_plateaus():
    assert weights_of({"a": 4.0, "b": 0.0}) == {"a": 2.0, "b": 0.0}
    assert weights_of({"a": 9.0, "b": 1.0}) == {"a": 1.5, "b": 0.5}
    assert weights_of({"a": 0.0}) == {"a": 1.0}
    assert not is_plateau([3.0, 2.0, 1.0], 2)
    assert is_plateau([3.0, 1.0, 1.5, 1.0], 2)
    assert not is_plateau([1.0, 2.0], 2)


def test_steps_of_new_channels_are_scaled_by_the_norms_of_their_weights():
    module = build(sequential_spec([3, 4], [6], SHAPE, 10))
    groups = {g.name: g for g in channel_groups(module, example(module, SHAPE), prove=False)}
    group, old = groups["cells.1.conv"], 3
    history = ({group.name: old},)
    assert steps_of(group, history) == [0, 0, 0, 1]
    before = {name: p.detach().clone() for name, p in module.named_parameters()}
    plan, moved = fit_plan_of(training(1)), []
    for action in (Fit(Net("0", 0, {}, 0), plan), PacedFit(Net("0", 0, {}, 0), plan, history=history)):
        network = Network(0, copy.deepcopy(module), weights=optimizer_of(training(1)))
        engine = tiny_engine(data=tiny_dataset(train=50, val=0))
        bench = SimpleNamespace(engine=engine, networks={"0": network}, fits={}, clock=lambda: 0.0)
        list(action.steps(bench, action.position(bench)))
        moved.append({name: p.detach() - before[name] for name, p in network.module.named_parameters()})
        assert network.pace is None and network.steps == 1
    axes = {axis.name: axis for axis, _ in group_weights(module, group, LAYERS)}
    for name, weight in before.items():
        rate = torch.ones_like(weight)
        if name in axes:
            axis, new = axes[name], torch.zeros_like(weight, dtype=torch.bool)
            new.index_fill_(axis.dim, torch.tensor(group.positions(axis, old)), True)
            rate[new] = weight[new].norm() / weight[~new].norm()
        assert torch.allclose(moved[1][name], rate * moved[0][name], atol=1e-7)


def test_rates_by_norms_need_weights_that_do_not_start_at_zero():
    with pytest.raises(UserError, match=r"algo\.new_rates: norm is not accepted with start=zero"):
        GrowConfig(new_rates="norm")
