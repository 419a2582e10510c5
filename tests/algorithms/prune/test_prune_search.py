"""Runs of ``algo=prune`` on a few digits: saved and resumed anywhere, and every way to say how small."""

import math

import pytest
import torch
from algorithms.chain import assert_chain_holds, run_through, runner_of
from algorithms.tiny import tiny_dataset, tiny_engine

from growsearch.actions import Net
from growsearch.algorithms import budgets
from growsearch.algorithms.prune.config import PruneConfig
from growsearch.algorithms.prune.edits import Recalibrate, Shrink
from growsearch.algorithms.prune.measure import Importance, prunable_groups, score
from growsearch.algorithms.prune.search import Prune
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.sequential import sequential_spec
from growsearch.probes import cost
from growsearch.surgery import channel_groups
from growsearch.training.settings import TrainingSettings

SHAPE = (1, 8, 8)


def settings(epochs):
    return TrainingSettings(epochs=epochs, batch_size=64, lr=0.05, keep="last")


def prune(module=None, engine=None, **options):
    config = PruneConfig(
        **{
            "training": settings(1),
            "finetune": settings(1),
            "between_epochs": 1,
            "score_images": 16,
            "recalibrate": 1,
            **options,
        }
    )
    network = module or build(sequential_spec([6, 8], [10], SHAPE, 10))
    return runner_of(Prune, config, engine or tiny_engine(data=tiny_dataset(train=100)), {"network": network})


def result(**options):
    runner = prune(**options)
    events, _ = run_through(runner)
    return runner.outcome(), events


def test_left_and_resumed_at_every_point_equals_uninterrupted():
    options = {"rounds": 2, "importance": "taylor", "distill": 0.5, "sparsity_epochs": 2}
    events = assert_chain_holds(lambda: prune(**options), steps=2)
    assert [e["name"] for e in events if e["kind"] == "phase"] == ["training", "pruning", "final training"]
    assert [e["op"] for e in events if e["kind"] == "edit"] == ["prune", "prune"]


@pytest.mark.parametrize(
    ("options", "quantity", "most"),
    [
        ({"target": 0.4}, "macs", None),
        ({"target_macs": 9_000.0}, "macs", 9_000),
        ({"target_params": 500.0, "ranking": "isomorphic", "importance": "rank"}, "params", 500),
        ({"target": 0.5, "ranking": "global", "importance": "hessian", "rounds": 2}, "macs", None),
    ],
)
def test_a_budget_is_met_and_hardly_undercut(options, quantity, most):
    whole = cost(build(sequential_spec([6, 8], [10], SHAPE, 10)), SHAPE)
    outcome, _ = result(**options, training=settings(0), finetune=settings(0), between_epochs=0)
    left = getattr(cost(outcome.best.module, SHAPE), quantity)
    most = most or options["target"] * whole.macs
    assert 0.75 * most < left <= most
    assert outcome.found.method["path"][-1][quantity] == left


def test_a_latency_is_met_by_networks_that_are_timed_with_their_weights(monkeypatch):
    def timed(module, shape, repeats=50):
        assert not any(tensor.is_meta for tensor in module.state_dict().values())
        return cost(module, shape).macs / 1000 + 5

    monkeypatch.setattr(budgets, "forward_milliseconds", timed)
    untrained = {"training": settings(0), "finetune": settings(0), "between_epochs": 0}
    whole = timed(build(sequential_spec([6, 8], [10], SHAPE, 10)), SHAPE)
    goal = 5 + 0.4 * (whole - 5)
    outcome, events = result(target_latency=goal, rounds=2, **untrained)
    assert 0.85 * goal < timed(outcome.best.module, SHAPE) <= goal
    left = [event["detail"]["left"] for event in events if event["kind"] == "edit"]
    assert goal < left[0] <= math.sqrt(goal * whole)
    assert left[1] == timed(outcome.best.module, SHAPE)
    slower = prune(target_latency=goal, **untrained)
    slower.begin()
    monkeypatch.setattr(budgets, "forward_milliseconds", lambda *words: 100.0)
    with pytest.raises(
        UserError, match=r"algo\.target_latency: \S+ was not reached; the smallest network takes 100 ms"
    ):
        run_through(slower)
    monkeypatch.setattr(budgets, "forward_milliseconds", timed)
    with pytest.raises(UserError, match=r"algo\.target_latency: 1 cannot be reached; \S+ milliseconds are left of"):
        prune(target_latency=1.0).begin()
    with pytest.raises(
        UserError, match=r"algo\.target_latency: 1000 is not accepted; the network has \S+ milliseconds"
    ):
        prune(target_latency=1000.0).begin()


def test_an_accuracy_floor_takes_rounds_and_goes_back_to_the_last_network_above_it():
    floor = {"rounds": 3, "round_share": 0.5, "finetune": settings(0), "between_epochs": 0, "training": settings(3)}
    outcome, _ = result(max_loss=100.0, **floor)
    path = outcome.found.method["path"]
    assert [
        point["macs"] <= share * path[0]["macs"] for point, share in zip(path[1:4], (0.5, 0.25, 0.125), strict=True)
    ]
    assert path[-1]["macs"] == path[3]["macs"]
    outcome, _ = result(max_loss=0.0, importance="random", **floor)
    path = outcome.found.method["path"]
    best = max(path[:-1], key=lambda point: (point["accuracy"] >= path[0]["accuracy"], -point["macs"]))
    assert path[-1]["macs"] == best["macs"]
    assert outcome.found.val_accuracy == pytest.approx(best["accuracy"])


def test_limits_hold_and_layers_are_left_alone():
    limits = {"leave": ["*1*"], "min_channels": 2, "multiple_of": 2}
    outcome, _ = result(target=0.9, training=settings(0), finetune=settings(0), **limits)
    sizes = outcome.found.method["sizes"]
    same = [name for name in sizes["before"] if sizes["before"][name] == sizes["after"][name]]
    assert any("1" in name for name in same)
    assert all(size % 2 == 0 for size in sizes["after"].values())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target_params": 10.0}, r"algo\.target_params: 10 cannot be reached; \S+ params are left of"),
        ({"target_macs": 1e9}, r"algo\.target_macs: 1e\+09 is not accepted; the network has"),
        ({"leave": ["nothing"]}, r"algo\.leave: 'nothing' names no layer"),
        ({"leave": ["*"]}, r"none of its channels may be cut"),
        ({"importance": "bn", "module": torch.nn.Sequential}, r"algo\.importance: bn"),
    ],
)
def test_what_cannot_be_done_is_said(options, message):
    if "module" in options:
        options["module"] = build(sequential_spec([], [8, 8], (1, 8, 8), 10))
        with pytest.raises(UserError, match=message):
            run_through(prune(**options, training=settings(0)))
    else:
        with pytest.raises(UserError, match=message):
            prune(**options).begin()


def test_options_that_exclude_each_other():
    with pytest.raises(UserError, match=r"algo\.target_params: it is given beside algo\.target;"):
        PruneConfig(target=0.5, target_params=100.0)
    with pytest.raises(UserError, match=r"algo\.max_params: 5"):
        PruneConfig(max_params=5)
    assert PruneConfig().target == 0.5


def test_importances_differ_and_random_draws_anew_for_each_cut():
    module = build(sequential_spec([6, 8], [10], SHAPE, 10))
    runner = prune(module)
    runner.begin()
    network, engine = runner.bench.networks["0"], runner.bench.engine
    groups = channel_groups(module, torch.zeros(8, *SHAPE))
    names = PruneConfig.__dataclass_fields__["importance"].metadata["option"].choices
    free = [g for g in groups if g.unprunable is None and g.producers and g.layers("norm")]
    found = {name: score(network, engine, free, Importance(name, "local", 8, 1)) for name in names}
    assert all(len(scores[g.name]) == g.size for scores in found.values() for g in free)
    assert len({str(scores) for scores in found.values()}) == len(names)
    again = score(network, engine, free, Importance("random", "local", 8, 1), counter=1)
    assert again != found["random"]


def test_recalibrated_norms_have_the_statistics_of_the_batches():
    runner = prune()
    runner.begin()
    net, network, engine = Net("0", 0, {}, 0), runner.bench.networks["0"], runner.bench.engine
    norm = next(m for m in network.module.modules() if isinstance(m, torch.nn.BatchNorm2d))
    norm.running_mean.fill_(7.0)
    Recalibrate(net, batches=1, batch_size=100).perform(runner.bench)
    seen = []
    handle = norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    engine.evaluate(network, "train")
    handle.remove()
    assert torch.allclose(norm.running_mean, seen[0].mean((0, 2, 3)), atol=1e-5)
    assert norm.momentum == 0.01


def test_shrinking_multiplies_each_channel_and_keeps_the_important_one_nearly():
    runner = prune()
    runner.begin()
    network = runner.bench.networks["0"]
    before = {name: p.detach().clone() for name, p in network.module.named_parameters()}
    rows = prunable_groups(network, SHAPE, [], 1, 1.0, False)
    Shrink((rows[0]["name"],), SHAPE, 0.01, 4.0).apply(network, lambda: torch.Generator())
    changed = {
        name: p / before[name] for name, p in network.module.named_parameters() if not torch.equal(p, before[name])
    }
    ratios = torch.cat([r[before[n] != 0].flatten() for n, r in changed.items()])
    assert ratios.max().item() == pytest.approx(math.exp(-0.01), rel=1e-5)
    assert ratios.min().item() == pytest.approx(math.exp(-0.01 * 2**4), rel=1e-5)
