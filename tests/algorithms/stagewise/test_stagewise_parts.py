import math
from typing import Any

import pytest
import torch
from algorithms.tiny import tiny_engine
from torch import nn

from growsearch.algorithms.stagewise.config import IlFsSettings, PlsSettings, StagewiseConfig, TrainingProtocol
from growsearch.algorithms.stagewise.decisions import appended_modules
from growsearch.algorithms.stagewise.edits import AppendBlock
from growsearch.algorithms.stagewise.importance import (
    Criterion,
    pooled_features,
    scoring_batches,
    stage_importance,
    stage_scores,
)
from growsearch.algorithms.stagewise.networks import fit_plan
from growsearch.algorithms.stagewise.report import carbon_kg, cpu_inference_ms
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.ensemble import Ensemble, mean_of_softmax
from growsearch.probes import il_fs, inf_fs, vip
from growsearch.training import Network
from growsearch.training.optimizer import build_optimizer
from growsearch.training.plan import optimizer_of


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small(family: str = "resnet", **changes: Any) -> Any:
    depths = [1, 2, 1, 1] if family == "bottleneck" else [1, 2, 1]
    return build({"family": family, "depths": depths, "width": 4, "in_channels": 1, "classes": 10, **changes})


@pytest.mark.parametrize("point", ["add", "relu"])
@pytest.mark.parametrize("criterion", ["pls", "inf_fs", "il_fs"])
def test_stage_scores_are_means_over_pooled_features(criterion: str, point: str) -> None:
    network = small().train()
    images, labels = torch.randn(60, 1, 32, 32, generator=generator(0)), torch.arange(60) % 3
    how = Criterion.of(StagewiseConfig(criterion=criterion, feature_point=point))
    batches = zip(images.split(25), labels.split(25), strict=True)
    found = stage_scores(network, batches, 3, how)
    assert network.training
    for score, maps in zip(found, network.eval().stage_outputs(images, point), strict=True):
        x = pooled_features(maps.detach())
        assert x.shape == (60, maps.shape[1] * (maps.shape[2] // 8) ** 2)
        expected = {
            "pls": lambda x=x: vip(x, labels),
            "inf_fs": lambda x=x: inf_fs(x),
            "il_fs": lambda x=x: il_fs(x, labels),
        }
        assert score == pytest.approx(float(expected[criterion]().mean()), rel=1e-5)


def test_options_of_the_criteria_reach_them() -> None:
    network, labels = small(), torch.arange(40) % 3
    images = torch.randn(40, 1, 32, 32, generator=generator(0))

    def score(**options: Any) -> list[float | None]:
        return stage_scores(network, [(images, labels)], 3, Criterion.of(StagewiseConfig(**options)))

    base = score()
    assert score(pls=PlsSettings(n_components=1)) != base
    assert score(pls=PlsSettings(backend="sklearn")) == pytest.approx(base, abs=0.02)
    assert score(pls=PlsSettings(backend="sklearn")) != base
    assert score(feature_pool=4) != base
    assert score(criterion="il_fs") != score(criterion="il_fs", il_fs=IlFsSettings(tokens=6))


@pytest.mark.parametrize(
    "options", [{}, {"pls": PlsSettings(backend="sklearn")}, {"criterion": "inf_fs"}, {"criterion": "il_fs"}]
)
def test_weights_that_overflowed_have_no_score(options: dict[str, Any]) -> None:
    network, labels = small(), torch.arange(40) % 3
    for parameter in network.parameters():
        parameter.data.fill_(1e38)
    images = torch.randn(40, 1, 32, 32, generator=generator(0))
    assert stage_scores(network, [(images, labels)], 3, Criterion.of(StagewiseConfig(**options))) == [None] * 3


def test_pooling_clamps_to_the_map() -> None:
    maps = torch.arange(2 * 3 * 4 * 4, dtype=torch.float32).view(2, 3, 4, 4)
    assert torch.equal(pooled_features(maps), maps.mean((2, 3)))


def test_scoring_images_are_plain_and_the_same_for_all_networks() -> None:
    engine = tiny_engine()
    whole = [torch.cat(parts) for parts in zip(*scoring_batches(engine), strict=True)]
    assert torch.equal(whole[0], engine.data.normalisation(engine.data.train.images))
    assert torch.equal(whole[1], engine.data.train.labels)
    some, again = ([torch.cat(p) for p in zip(*scoring_batches(engine, 40), strict=True)] for _ in range(2))
    assert some[0].shape[0] == 40
    assert torch.equal(some[0], again[0])
    assert len(torch.cat([image for image, _ in scoring_batches(engine, 10_000)])) == len(engine.data.train)
    network, how = small(), Criterion.of(StagewiseConfig(score_samples=40))
    expected = stage_scores(network, [(some[0], some[1])], 10, how)
    assert stage_importance(Network(0, network), engine, how) == pytest.approx(expected)


def deepen(network: Any, depths: list[int]) -> None:
    for number, (stage, _) in enumerate(appended_modules(network.depths, depths)):
        AppendBlock(stage).apply(Network(0, network), lambda number=number: generator(number))


@pytest.mark.parametrize("family", ["resnet", "bottleneck"])
def test_deepening_keeps_the_function(family: str) -> None:
    network = small(family).double()
    images = torch.randn(4, 1, 32, 32, generator=generator(1), dtype=torch.float64)
    network(images)  # statistics of norms away from their start
    depths = [m + 1 + index % 2 for index, m in enumerate(network.depths)]
    before = [network.eval()(images), network.train()(images)]
    parameters = {name: p.clone() for name, p in network.named_parameters()}
    deepen(network, depths)
    assert network.depths == depths
    torch.testing.assert_close(network.train()(images), before[1], rtol=1e-12, atol=1e-12)
    for name, parameter in parameters.items():
        assert torch.equal(dict(network.named_parameters())[name], parameter)
    assert build(network.spec()).spec() == network.spec()
    network(images).square().sum().backward()
    assert network.stages[0][-1].tail.weight.grad.abs().sum() > 0


def test_deepened_network_evaluates_alike() -> None:
    network = small().eval()
    images = torch.randn(4, 1, 32, 32, generator=generator(1))
    before = network(images)
    deepen(network, [3, 2, 3])
    assert network.depths == [3, 2, 3]
    assert torch.equal(network.eval()(images), before)


def test_ensemble_averages_probabilities() -> None:
    first, second = torch.tensor([[0.0, 100.0], [1.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    found = mean_of_softmax([first, second]).softmax(1)
    expected = (first.softmax(1) + second.softmax(1)) / 2
    torch.testing.assert_close(found, expected)
    members = [small(), small("nasnet")]
    images = torch.randn(3, 1, 32, 32, generator=generator(0))
    ensemble = Ensemble(members).eval()
    expected = sum(member(images).softmax(1) for member in members) / 2
    torch.testing.assert_close(ensemble(images).exp(), expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(ensemble(images).exp().sum(1), torch.ones(3), atol=1e-5, rtol=1e-5)


def test_ensembles_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UserError, match="ensemble"):
        Ensemble([])
    with pytest.raises(UserError, match=r"have \[5, 10\] classes"):
        Ensemble([small(), small(classes=5)])(torch.zeros(2, 1, 32, 32))


def test_an_ensemble_is_its_spec() -> None:
    ensemble = Ensemble([small(), small("nasnet")])
    twin: Any = build(ensemble.spec(), generator(3))
    assert twin.spec() == ensemble.spec()
    assert twin.params_paper == ensemble.params_paper == sum(member.params_paper for member in ensemble.members)


def test_carbon_of_the_paper() -> None:
    assert carbon_kg(8.7 * 3600, 250, 0.432) == pytest.approx(0.94, abs=0.001)


def test_inference_time_leaves_the_network() -> None:
    network = small().train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    assert cpu_inference_ms(Network(0, network), (1, 8, 8), repeats=3) > 0
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())


def test_defaults_of_the_module_types() -> None:
    for modules, decay in (("residual", 2e-4), ("cell", 1e-3), ("bottleneck", 2e-4)):
        config = StagewiseConfig(modules=modules)
        settings = config.protocol.settings(modules)
        assert (settings.weight_decay, settings.nesterov, settings.batch_size) == (decay, True, 128)
    plan = fit_plan(StagewiseConfig(training=TrainingProtocol(augment_copies=3)), 5, "candidate")
    assert (plan.recipe.copies, plan.recipe.augmentation.pad_value, plan.keep) == (3, "mean", "last")


def test_only_kernels_decay() -> None:
    network = small()
    groups = build_optimizer(
        dict(network.named_parameters()), optimizer_of(TrainingProtocol().settings("residual"))
    ).param_groups
    decays = {id(parameter): group["weight_decay"] for group in groups for parameter in group["params"]}
    kernels = {id(m.weight) for m in network.modules() if isinstance(m, nn.Conv2d)}
    for parameter in network.parameters():
        assert decays[id(parameter)] == (2e-4 if id(parameter) in kernels else 0.0)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"modules": "dense"}, "algo.modules"),
        ({"m0": [2, 2], "modules": "bottleneck"}, "algo.m0"),
        ({"m0": 0}, "algo.m0"),
        ({"m0": "6"}, "algo.m0"),
        ({"delta": 0}, "algo.delta"),
        ({"criterion": "vip"}, "algo.criterion"),
        ({"iterations": -1}, "algo.iterations"),
        ({"grow": "morph", "modules": "cell"}, "algo.grow"),
        ({"grow": "morph", "donor": "run"}, "algo.grow"),
        ({"donor_pick": "best"}, "algo.donor_pick"),
        ({"norm_momentum": 0.0}, "algo.norm_momentum"),
        ({"max_layers": -1}, "algo.max_layers"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named.replace(".", r"\.")):
        StagewiseConfig(**options)


def test_bad_protocols_are_named() -> None:
    with pytest.raises(UserError, match="augment_copies"):
        TrainingProtocol(augment_copies=0)
    with pytest.raises(UserError, match="time_decay"):
        TrainingProtocol(time_decay=-1)


def test_carbon_is_linear() -> None:
    assert math.isclose(carbon_kg(7200, 100, 0.5), 2 * carbon_kg(3600, 100, 0.5))
