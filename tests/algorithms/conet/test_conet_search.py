"""The search loop on a few digits."""

import dataclasses
import itertools

import pytest
import torch
import torch.nn.functional as F
from algorithms.chain import assert_chain_holds, run_through, runner_of
from algorithms.tiny import tiny_dataset, tiny_engine
from sampling import sampled

from growsearch.algorithms.conet.config import ConetConfig
from growsearch.algorithms.conet.search import Conet
from growsearch.data.dataset import Split
from growsearch.data.normalise import Normalisation
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.training.settings import TrainingSettings

RESNET = {"family": "resnet_channels", "blocks": [1, 1], "channels": 6, "in_channels": 1}


def settings(epochs, **more):
    return TrainingSettings(
        **{"epochs": epochs, "batch_size": 16, "lr": 0.05, "nesterov": False, "crop_padding": 1, "keep": "last", **more}
    )


def conet(seed=0, spec=RESNET, train=60, epochs=2, final=1, data=None, **options):
    config = ConetConfig(
        **{
            "trials": 3,
            "start_channels": 8,
            "delta": 0.05,
            "c_min": 4,
            "search": settings(epochs),
            "final": settings(final, keep="best_val_accuracy", schedule="cosine", drop_path=0.2),
            **options,
        }
    )
    engine = tiny_engine(seed, data or tiny_dataset(train=train, val=30, test=30))
    return runner_of(Conet, config, engine, {"network": build(spec)} if spec else {})


def of_kind(events, kind, name=None):
    return [e for e in events if e["kind"] == kind and (name is None or e["name"] == name)]


def test_left_and_resumed_at_every_point_equals_uninterrupted():
    events = assert_chain_holds(lambda: conet(train=36), steps=2)
    assert len(of_kind(events, "epoch")) == 3 * 2 + 1
    assert [e["epoch"] for e in of_kind(events, "measure", "layers")] == list(range(6))
    assert len(of_kind(events, "edit")) == 2


BOTH = {"inherit": True, "final_inherit": True}


@pytest.mark.parametrize("options", sampled([BOTH, {"lr_schedule": "step", "measure_at_start": True}], BOTH))
def test_variants_are_resumable_too(options):
    assert_chain_holds(lambda: conet(train=32, trials=2, **options), steps=3)


def test_trials_are_told_whole_and_follow_the_sizes():
    algorithm = conet()
    events, _ = run_through(algorithm)
    decisions = [e["values"] for e in of_kind(events, "measure", "variables")]
    edits = of_kind(events, "edit")
    for decision, edit in zip(decisions, edits, strict=False):
        assert edit["detail"]["sizes"] == {name: one["next"] for name, one in decision.items()}
    for before, after in itertools.pairwise(decisions):
        assert {n: one["next"] for n, one in before.items()} == {n: one["size"] for n, one in after.items()}
    params = [e["params"] for e in of_kind(events, "epoch")][::2]
    assert params[1:3] == [e["params"] for e in edits]
    last = decisions[-1]
    assert all(one["next"] == one["size"] for one in last.values())  # the last trial's measurements go unused
    outcome = algorithm.outcome()
    assert outcome.found.method["sizes"] == {name: one["size"] for name, one in last.items()}
    assert outcome.best.spec()["sizes"][0][0] == outcome.found.method["sizes"]["stem"]
    assert [e["name"] for e in of_kind(events, "phase")] == ["final training"]


def test_a_larger_delta_gives_a_smaller_network():
    small, large = conet(delta=10.0), conet(delta=-1.0)
    run_through(small), run_through(large)
    begun = conet()
    begun.begin()
    start = begun.bench.networks["0"].parameter_count()
    assert small.outcome().found.params_paper < start < large.outcome().found.params_paper


def test_trials_start_from_fresh_or_from_inherited_weights():
    """With rates of zero a trial's weights at its end are those it started with."""
    still = settings(1, lr=0.0)
    starts = []
    for inherit in (False, True):
        algorithm = conet(
            delta=-1.0, inherit=inherit, search=still, lr_schedule="step", trials=2, adapt_after_last=False
        )
        algorithm.begin()
        first = algorithm.bench.networks["0"].module.stem.weight.detach().clone()
        for line in algorithm.run():
            if line is not None and line.record["kind"] == "edit":
                second = algorithm.bench.networks["1"].module.stem.weight.detach()
                assert second.shape[0] == 10 > first.shape[0]
                starts.append(torch.equal(second[: len(first)], first))
    assert starts == [False, True]


@pytest.mark.parametrize(
    ("options", "seen"),
    sampled([({}, 0), ({"final_inherit": True}, 2), (BOTH, 4)], (BOTH, 4)),
)
def test_the_final_training_may_start_from_the_last_trials_weights(options, seen):
    algorithm = conet(trials=2, final=0, spec=None, **options)
    trained = {}
    for line in algorithm.run():
        if line is not None and line.record["kind"] == "epoch":
            network = algorithm.bench.networks[str(line.event.network)]
            trained = {name: value.clone() for name, value in network.module.state_dict().items()}
    found = algorithm.bench.networks["final"].module.state_dict()
    kernels = [name for name, value in trained.items() if value.dim() == 4]
    assert {torch.equal(found[name], trained[name]) for name in kernels} == {bool(options)}
    assert algorithm.outcome().found.winner_epochs == seen


def test_adas_gives_every_convolution_a_rate_of_its_own():
    algorithm = conet(epochs=5, trials=1, train=150)
    events, _ = run_through(algorithm)
    rates = [e["values"]["adas_lr"] for e in of_kind(events, "measure", "layers")]
    assert rates[0] == rates[1] == [0.05] * len(rates[0])
    assert len(set(rates[-1])) > 1


def test_curves_may_start_at_initialisation():
    for options, length in (({}, 2), ({"measure_at_start": True, "lr_schedule": "step"}, 3)):
        events, _ = run_through(conet(trials=1, final=0, **options))
        (decision,) = of_kind(events, "measure", "variables")
        assert {len(one["curve"]) for one in decision["values"].values()} == {length}
        rates = [e["values"].get("adas_lr") for e in of_kind(events, "measure", "layers")]
        assert (rates[0] is None) == bool(options)


def test_search_ends_early_once_everything_is_frozen_and_the_result_is_the_same():
    # all shrink to c_min, where a low slope turns round, and the first turn freezes
    options = {"gamma": 1.0, "trials": 5, "delta": 10.0, "epochs": 1, "train": 32}
    early, late = conet(early_end=True, **options), conet(early_end=False, **options)
    (events_early, _), (events_late, _) = run_through(early), run_through(late)
    assert [len(one.outcome().found.method["trials"]) for one in (early, late)] == [3, 5]
    assert early.outcome().found.method["sizes"] == late.outcome().found.method["sizes"]
    assert events_early[-1] == events_late[-1]


def test_a_converged_factor_may_end_the_search():
    options = {"gamma": 1.0, "trials": 5, "delta": 10.0, "epochs": 1, "train": 32, "early_end": False}
    algorithm = conet(stop="search", **options)
    run_through(algorithm)
    assert len(algorithm.outcome().found.method["trials"]) == 3


@pytest.mark.parametrize(
    ("options", "trials"),
    [({"max_epochs": 5}, 2), ({"max_seconds": 1e-9}, 1), ({"delta": -1.0}, 3)],
)
def test_caps_end_the_search_with_the_sizes_it_has(options, trials):
    algorithm = conet(**options)
    events, _ = run_through(algorithm)
    assert len(of_kind(events, "measure", "variables")) == trials
    sizes = of_kind(events, "measure", "variables")[-1]["values"]
    assert algorithm.outcome().found.method["sizes"] == {name: one["size"] for name, one in sizes.items()}


def test_a_first_network_beyond_a_cap_is_refused():
    refused = r"algo\.max_params: 1 is too small; the first network has 2,626 parameters; use a larger cap"
    with pytest.raises(UserError, match=refused):
        run_through(conet(max_params=1))


def test_sizes_may_move_once_more_after_the_last_trial():
    algorithm = conet(trials=1, adapt_after_last=True, delta=-1.0)
    run_through(algorithm)
    assert set(algorithm.outcome().found.method["sizes"].values()) == {10}


def test_final_training_may_be_left_out():
    algorithm = conet(trials=1, final=0)
    events, _ = run_through(algorithm)
    assert len(of_kind(events, "epoch")) == 2
    found = algorithm.outcome().found
    assert found.val_accuracy is None and len(found.method["first_slope_quartiles"]) == 3


def test_without_a_network_it_sizes_darts7():
    algorithm = conet(spec=None)
    algorithm.begin()
    assert algorithm.bench.networks["0"].spec()["family"] == "channel_darts"
    assert len(algorithm.method.variables) == 48


def test_halves_stay_equal_whatever_the_rounding():
    spec = {"family": "channel_darts", "cells": 3, "channels": 8, "in_channels": 1, "genotype": "darts_plus"}
    algorithm = conet(spec=spec, train=20, trials=2, epochs=1, rounding="floor", delta=-1.0, phi=0.15, start_channels=0)
    run_through(algorithm)
    sizes = algorithm.outcome().found.method["sizes"]
    assert 9 in sizes.values()
    network = build(algorithm.outcome().networks[0].spec())
    assert network.cells[2].preprocess0.even.weight.shape == network.cells[2].preprocess0.odd.weight.shape


def as_photos(data):
    """The digits as colour images of 32x32."""

    def grown(split):
        images = F.interpolate(split.images.float(), size=32).to(torch.uint8).expand(-1, 3, -1, -1)
        return Split(images.contiguous(), split.labels)

    splits = {name: grown(getattr(data, name)) for name in ("train", "val", "test")}
    return dataclasses.replace(data, normalisation=Normalisation.constants([0.5] * 3, [0.5] * 3, "chosen"), **splits)


@pytest.mark.parametrize(
    "name",
    sampled(("resnet18", "vgg11_bn", "googlenet", "densenet121"), "resnet18"),
)
def test_sizes_networks_from_elsewhere(name):
    arguments = {"num_classes": 10, **({"aux_logits": False} if name == "googlenet" else {})}
    spec = {"family": "external", "name": f"torchvision/{name}", "arguments": arguments}
    data = as_photos(tiny_dataset(train=16, val=8, test=8))
    algorithm = conet(spec=spec, data=data, trials=2, start_channels=16, c_min=8)
    events, _ = run_through(algorithm)
    assert len({e["params"] for e in of_kind(events, "epoch")}) == 2
    network = algorithm.outcome().networks[0]
    assert build(network.spec()).spec() == network.spec()


@pytest.mark.parametrize(
    ("options", "named"),
    [({"plateau": "peak"}, "plateau"), ({"c_max": 2}, "c_max"), ({"phi": 1.0}, "phi"), ({"trials": 0}, "trials")],
)
def test_refuses_wrong_options(options, named):
    with pytest.raises(UserError, match=rf"algo\.{named}"):
        conet(**options)
