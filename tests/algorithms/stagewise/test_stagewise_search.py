from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from algorithms.chain import assert_chain_holds, assert_same_tree, by_branch, events_in, run_through, runner_of
from algorithms.tiny import tiny_dataset, tiny_engine
from runner.test_crew import with_workers
from sampling import sampled
from torchvision.models.resnet import Bottleneck, ResNet

from growsearch.algorithms.stagewise.config import StagewiseConfig, TrainingProtocol
from growsearch.algorithms.stagewise.decisions import control_stages
from growsearch.algorithms.stagewise.search import Stagewise
from growsearch.errors import Diverged, UserError
from growsearch.networks import build
from growsearch.runner.script import Line, ScriptRunner

PROTOCOL = {"epochs": 2, "batch_size": 32, "lr": 0.05, "lr_at": [1]}
DECAYING = {"time_decay": 0.01, "augment_copies": 2}
SHORT = {"iterations": 1, "protocol": {"epochs": 1, "batch_size": 48}}


def search(
    seed: int = 0, given: dict[str, Any] | None = None, val: int = 40, workers: int = 0, **options: Any
) -> ScriptRunner:
    protocol = TrainingProtocol(**{**PROTOCOL, **options.pop("protocol", {})})
    usual = {"m0": 1, "delta": 1, "width": 4, "iterations": 2, "extra_epochs": 1, "norm_momentum": 0.1}
    config = StagewiseConfig(
        **{**usual, "inference_repeats": 0, "training": protocol, "fine_tuning": protocol, **options}
    )
    return runner_of(Stagewise, config, tiny_engine(seed, tiny_dataset(96, val, 40), workers=workers), given)


@cache
def searched() -> tuple[ScriptRunner, list[Line]]:
    """A whole search that several tests look at: the run, and its lines."""
    algorithm = search()
    return algorithm, [line for line in algorithm.run() if line is not None]


def donor(depths: list[int]) -> dict[str, torch.nn.Module]:
    return {"donor": build({"family": "resnet", "depths": depths, "width": 4, "in_channels": 1})}


def run_until_edit(run: Any, op: str) -> None:
    while not ((line := next(run)) is not None and getattr(line.event, "op", "") == op):
        pass


CHAINS: dict[str, dict[str, Any]] = {
    "short": {**SHORT, "extra_epochs": 1},
    "residual": {},
    "cell": {"modules": "cell", "m0": [1, 1], "criterion": "il_fs", "score_after_extra": True, **SHORT},
    "morph": {"grow": "morph", "criterion": "inf_fs", "iterations": 1, "protocol": DECAYING},
}


@pytest.mark.parametrize("name", sampled(CHAINS, "short"))
def test_left_and_resumed_at_every_point_equals_uninterrupted(name: str) -> None:
    events = assert_chain_holds(lambda: search(**CHAINS[name]), steps=4)
    assert [e["op"] for e in events if e["kind"] == "edit"][::2] == ["deepen"] * CHAINS[name].get("iterations", 2)


@pytest.mark.slow
def test_chain_holds_with_a_donor() -> None:
    assert_chain_holds(lambda: search(given=donor([2, 1, 3]), donor="given", iterations=1), steps=4)


def test_algorithm_one() -> None:
    algorithm, lines = searched()
    events = events_in(lines)
    measures = [e["values"] for e in events if e["kind"] == "measure"]
    assert [m["role"] for m in measures] == ["initial", "temporary", "candidate", "temporary", "candidate"]
    edits = [e["detail"] for e in events if e["kind"] == "edit"]
    present = measures[0]
    for deepen, decide, temporary, candidate in zip(
        edits[::2], edits[1::2], measures[1::2], measures[2::2], strict=True
    ):
        assert deepen["depths"] == temporary["depths"] == [m + 1 for m in present["depths"]]
        assert decide["present_scores"] == present["scores"]
        assert decide["grow"] == [t > a for a, t in zip(present["scores"], temporary["scores"], strict=True)]
        grown = [m + int(more) for m, more in zip(present["depths"], decide["grow"], strict=True)]
        assert candidate["depths"] == decide["depths"] == grown
        present = candidate
    trained = [(e["phase"], e["network"]) for e in events if e["kind"] == "epoch"]
    assert trained == [
        *[("initial", 0)] * 2,
        *[("temporary", 1)] * 2,
        *[("candidate", 2)] * 2,
        *[("temporary", 3)] * 2,
        *[("candidate", 4)] * 2,
        ("final training", 2),
        ("final training", 4),
    ]
    assert algorithm.expected == len(trained)


def test_all_candidates_are_handed_over() -> None:
    algorithm, _ = searched()
    outcome, found = algorithm.outcome(), algorithm.outcome().found
    rows = found.method["networks"]
    assert [row["role"] for row in rows] == ["initial", "temporary", "candidate", "temporary", "candidate"]
    assert found.method["evaluated_models"] == 5
    assert list(algorithm.bench.networks) == ["0", "2", "4"]
    handed = [row for row in rows if row["role"] != "temporary"]
    for row, network in zip(handed, outcome.networks, strict=True):
        module: Any = network.module
        assert row["depths"] == module.depths
        assert row["params"] == network.parameter_count()
        assert row["depth_conv"] == row["depth_he"] + 1 == 2 * sum(row["depths"]) + 3
        assert row["test_accuracy"] == algorithm.bench.engine.evaluate(network, "test").accuracy
    best = handed[found.best]
    assert found.best > 0
    assert best["val_accuracy"] == max(row["val_accuracy"] for row in handed[1:]) == found.val_accuracy
    assert found.params_paper == best["params_paper"] > best["params"]
    assert algorithm.bench.engine.evaluate(outcome.best, "val").accuracy == found.val_accuracy


def test_networks_that_need_no_weights_of_each_other_are_branches() -> None:
    algorithm = search(score_trainings=2, iterations=1)
    lines = [line for line in algorithm.run() if line is not None]
    measured = [line.record for line in lines if line.record["kind"] == "measure"]
    assert [(m["values"]["role"], m["branch"]) for m in measured] == [
        ("initial", "/0"),
        ("temporary", "/1"),
        ("candidate", ""),
    ]
    twins = {line.record["branch"] for line in lines if line.record.get("network", -1) > 2}
    assert twins == {"/0/0", "/1/0", "/0"}  # the candidate's is alone in its branch
    assert algorithm.expected == sum(line.record["kind"] == "epoch" for line in lines)


def test_a_run_of_a_version_without_branches_is_replayed() -> None:
    algorithm, lines = searched()
    decided = [line.record.get("op") for line in lines].index("grow")
    flat = [{**line.record, "branch": ""} if i < decided else line.record for i, line in enumerate(lines)]
    for journal in (flat, [{**line.record, "branch": ""} for line in lines]):
        again = search()
        again.load(algorithm.save(), journal)
        assert not list(again.run())
        assert again.found == algorithm.found


@pytest.mark.slow
def test_workers_give_the_same_lines_and_weights() -> None:
    one, two = (search(workers=workers, score_trainings=2, iterations=1) for workers in (1, 2))
    with_workers(two)
    lines, of_two = ([line for line in runner.run() if line is not None] for runner in (one, two))
    assert by_branch(of_two) == by_branch(lines)
    assert two.found == one.found
    assert_same_tree(one.save(), two.save())
    assert two.crew.peak_bytes > 0


def test_seeds_decide_everything() -> None:
    same, again, other = (run_through(search(seed, iterations=1))[0] for seed in (0, 0, 1))
    assert same == again
    assert same != other


def test_a_donor_lends_weights_and_limits_depths() -> None:
    given = donor([2, 1, 3])
    algorithm = search(given=given, donor="given", protocol={"lr_factor": 0.1}, iterations=2)
    algorithm.begin()
    first = algorithm.bench.networks["0"].module
    expected = given["donor"].state_dict()["stages.2.0.conv1.weight"]
    assert torch.equal(first.state_dict()["stages.2.0.conv1.weight"], expected)
    events, _ = run_through(algorithm)
    temporary = next(e["detail"] for e in events if e["kind"] == "edit")
    assert temporary["depths"] == [2, 1, 2]
    assert temporary["limited_by_donor"] == [1]
    for event in events:
        if event["kind"] == "edit" and event["op"] != "deepen":
            pairs = zip(event["detail"]["from"], event["detail"]["depths"], strict=True)
            deeper = [stage for stage, (before, after) in enumerate(pairs) if before < after]
            assert event["where"] == (", ".join(f"stage {i + 1}" for i in deeper) or "no stage")
            assert event["op"] == ("grow" if deeper else "no growth")
    rows = algorithm.outcome().found.method["networks"]
    assert all(m <= most for row in rows for m, most in zip(row["depths"], [2, 1, 3], strict=True))


def test_a_donor_of_torchvision_needs_no_spec() -> None:
    given = ResNet(Bottleneck, [2, 1, 1, 1], num_classes=10)
    given.conv1 = torch.nn.Conv2d(1, 64, 7, 2, 3, bias=False)
    algorithm = search(given={"donor": given}, donor="given", modules="bottleneck", width=64)
    algorithm.begin()
    module: Any = algorithm.bench.networks["0"].module
    assert torch.equal(module.stages[3][0].conv1.weight, given.layer4[0].conv1.weight)


def test_a_given_network_lends_its_depths() -> None:
    found = build({"family": "resnet", "depths": [1, 2, 3], "width": 8, "classes": 4})
    algorithm = search(given={"network": found}, iterations=0)
    algorithm.begin()
    module: Any = algorithm.bench.networks["0"].module
    assert module.depths == [1, 2, 3]
    assert (module.settings["width"], module.settings["classes"], module.settings["in_channels"]) == (8, 10, 1)
    list(algorithm.run())
    assert (algorithm.outcome().found.best, len(algorithm.outcome().networks)) == (0, 1)
    with pytest.raises(UserError, match=r"network: family resnet is not accepted with algo\.modules=cell; use nasnet"):
        search(given={"network": found}, modules="cell")


def test_a_search_ends_where_the_donor_does() -> None:
    algorithm = search(given=donor([1, 1, 1]), donor="given")
    list(algorithm.run())
    method = algorithm.outcome().found.method
    assert method["evaluated_models"] == 1
    assert "no stage of the donor" in method["stopped"]


def test_candidates_start_from_their_predecessor_when_morphing() -> None:
    algorithm = search(grow="morph", iterations=1, extra_epochs=0)
    run = algorithm.run()
    run_until_edit(run, "deepen")
    before, after = (algorithm.bench.networks[key] for key in ("0", "1"))
    accuracies = [algorithm.bench.engine.evaluate(network, "val") for network in (before, after)]
    assert accuracies[0] == accuracies[1]
    assert sum(after.module.depths) == 6


@pytest.mark.parametrize(
    ("options", "epochs", "reason"),
    [
        ({"max_epochs": 1}, 1, "max_epochs=1"),
        ({"max_epochs": 7}, 7, "max_epochs=7"),
        ({"max_params": 6000}, 2, "max_params=6000"),
        ({"max_layers": 9}, 2, "max_layers=9"),
        ({"max_seconds": 1e-9}, 1, "max_seconds=1e-09"),
    ],
)
def test_caps_end_the_search_at_the_best_so_far(options: dict[str, Any], epochs: int, reason: str) -> None:
    algorithm = search(**options)
    events, _ = run_through(algorithm)
    assert sum(e["kind"] == "epoch" for e in events) == epochs
    found = algorithm.outcome().found
    assert reason in found.method["stopped"]
    assert found.val_accuracy is not None


def test_time_up_drops_the_network_in_training() -> None:
    algorithm = search(max_seconds=1e9)
    run = algorithm.run()
    run_until_edit(run, "deepen")
    algorithm.bench.start_clock(2e9)
    list(run)
    assert list(algorithm.bench.networks) == ["0"]
    rows = algorithm.outcome().found.method["networks"]
    assert [(row["role"], row["epochs"]) for row in rows] == [("initial", 2), ("broken off", 1)]
    assert algorithm.outcome().found.best == 0


@pytest.mark.parametrize(("late", "role"), [(0, "broken off"), (1, "candidate")])
def test_a_candidate_counts_once_it_is_trained(late: int, role: str) -> None:
    """Time is up in its first epoch, or in its last."""
    algorithm = search(max_seconds=1e9, min_gain=-1.0)
    run = algorithm.run()
    run_until_edit(run, "grow")
    while late:
        line = next(run)
        late -= line is not None and line.event is not None
    algorithm.bench.start_clock(2e9)
    list(run)
    rows = algorithm.outcome().found.method["networks"]
    assert [row["role"] for row in rows] == ["initial", "temporary", role]
    assert rows[-1]["scores"] == []
    assert algorithm.outcome().found.best == int(role == "candidate")


def test_time_up_in_the_extra_epochs_keeps_every_candidate() -> None:
    algorithm = search(max_seconds=1e9, extra_epochs=3)
    run = algorithm.run()
    while not ((line := next(run)) is not None and line.event is not None and line.event.kind == "phase"):
        pass
    next(run)
    algorithm.bench.start_clock(2e9)
    epochs = [e for e in events_in([line for line in run if line is not None]) if e["kind"] == "epoch"]
    assert [(e["network"], e["phase"]) for e in epochs] == [(2, "final training")]
    assert len(algorithm.outcome().networks) == 3


def test_a_start_beyond_a_cap_is_refused() -> None:
    with pytest.raises(UserError, match=r"algo\.max_params: 100 is too small; the network of algo\.m0=\[1, 1, 1\] has"):
        search(max_params=100).begin()


def test_a_network_beyond_all_limits_ends_the_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("growsearch.networks.limits.MOST_LAYERS", 2)
    algorithm = search(criterion="all", iterations=4, protocol={"epochs": 0}, extra_epochs=0)
    assert [line for line in algorithm.run() if line is not None]
    method = algorithm.outcome().found.method
    assert method["stopped"].startswith("depths [3, 3, 3] come to more than any network may have (network.depths: 3")
    assert method["depths"] == [2, 2, 2]


def test_without_growth_the_search_goes_on_or_stops() -> None:
    algorithm = search(min_gain=1.0)
    list(algorithm.run())
    rows = algorithm.outcome().found.method["networks"]
    assert [row["depths"] for row in rows if row["role"] == "candidate"] == [[1, 1, 1]] * 2
    algorithm = search(min_gain=1.0, stop_if_no_growth=True)
    list(algorithm.run())
    method = algorithm.outcome().found.method
    assert [row["role"] for row in method["networks"]] == ["initial", "temporary"]
    assert method["stopped"] == "no stage grew"


def test_without_a_validation_split_the_last_candidate_counts() -> None:
    algorithm = search(val=0)
    list(algorithm.run())
    assert (algorithm.outcome().found.best, algorithm.outcome().found.val_accuracy) == (2, None)


def test_carbon_is_counted_where_asked_for() -> None:
    algorithm = search(power_w=250.0, iterations=1, extra_epochs=0, inference_repeats=2)
    list(algorithm.run())
    for row in algorithm.outcome().found.method["networks"]:
        assert row["co2_kg"] > 0
        assert ("cpu_inference_ms" in row) == (row["role"] != "temporary")


def test_time_decay_falls_with_every_update() -> None:
    algorithm = search(protocol=DECAYING, iterations=0)
    algorithm.begin()
    network, used, told = algorithm.bench.networks["0"], [], []
    for line in algorithm.run():
        if line is None:
            used.append(float(network.optimizer().param_groups[0]["lr"]))
        elif line.record["kind"] == "epoch":
            told.append(line.record["lr"])
    steps = 2 * 96 // 32
    rates = [(0.05 if step < steps else 0.005) / (1 + 0.01 * step) for step in range(2 * steps)]
    assert used == pytest.approx(rates, rel=1e-6)
    assert told == pytest.approx([rates[steps - 1], rates[-1]])


def test_decay_of_cells_spares_separable_convolutions() -> None:
    algorithm = search(modules="cell", m0=[2, 1], iterations=0)
    algorithm.begin()
    network = algorithm.bench.networks["0"]
    rates = {id(p): group["weight_decay"] for group in network.optimizer().param_groups for p in group["params"]}
    decays = {name for name, parameter in network.module.named_parameters() if rates[id(parameter)] == 1e-3}
    spared = {name for name, parameter in network.module.named_parameters() if rates[id(parameter)] == 0}
    assert len(decays) + len(spared) == len(list(network.module.parameters()))
    assert {"stem.0.weight", "classifier.weight", "stages.0.0.squeeze.1.weight"} <= decays
    assert {"reductions.0.adjust.1.weight", "stages.1.0.adjust.straight.weight"} <= decays
    assert not any("depthwise" in name or "pointwise" in name or name.endswith("bias") for name in decays)
    assert all(parameter.dim() > 1 for name, parameter in network.module.named_parameters() if name in decays)


def test_divergence_stops_the_run() -> None:
    algorithm = search(protocol={"weight_decay": 1e30})
    with pytest.raises(Diverged):
        list(algorithm.run())


def test_a_named_donor_must_be_handed_in() -> None:
    with pytest.raises(UserError, match=r"algo\.donor"):
        search(donor="outputs/somewhere")
    with pytest.raises(UserError, match=r"algo\.donor"):
        search(given=donor([2, 2, 2]))


@pytest.mark.parametrize("criterion", ["all", "random"])
def test_controls_grow_without_scores_and_temporary_networks(criterion: str) -> None:
    algorithm = search(criterion=criterion, iterations=3, extra_epochs=0, protocol={"epochs": 1})
    events, _ = run_through(algorithm)
    method = algorithm.outcome().found.method
    rows = method["networks"]
    assert [row["role"] for row in rows] == ["initial", *["candidate"] * 3]
    assert method["evaluated_models"] == 4 == algorithm.expected == sum(e["kind"] == "epoch" for e in events)
    assert not any(row["scores"] for row in rows) and not any(e["kind"] == "measure" for e in events)
    depths = [row["depths"] for row in rows]
    grows = [[int(b > a) for a, b in zip(before, after, strict=True)] for before, after in pairwise(depths)]
    if criterion == "all":
        assert depths[-1] == [4, 4, 4]
    else:
        drawn = [control_stages("random", 3, 0, iteration) for iteration in (1, 2, 3)]
        assert grows == [[int(grow) for grow in stages] for stages in drawn]
        assert 0 < sum(map(sum, grows)) < 9


def test_scores_are_averaged_over_trainings() -> None:
    options: dict[str, Any] = {"iterations": 1, "extra_epochs": 0}
    once, thrice = search(**options), search(**options, score_trainings=3)
    list(once.run())
    events, _ = run_through(thrice)
    rows, single = (each.outcome().found.method["networks"] for each in (thrice, once))
    for row in rows:
        assert len(row["every_score"]) == 3 and len({tuple(scores) for scores in row["every_score"]}) == 3
        assert row["scores"] == pytest.approx([sum(stage) / 3 for stage in zip(*row["every_score"], strict=True)])
    assert [row["every_score"][0] for row in rows[:2]] == [row["scores"] for row in single[:2]]
    assert thrice.outcome().found.method["evaluated_models"] == 9
    assert sum(e["kind"] == "epoch" for e in events) == thrice.expected == 18
    assert list(thrice.bench.networks) == ["0", "2"]
    with pytest.raises(UserError, match=r"algo\.score_trainings: 2 .*random"):
        search(criterion="random", score_trainings=2)


@pytest.mark.slow
def test_averaged_scores_resume() -> None:
    assert_chain_holds(lambda: search(iterations=1, extra_epochs=0, score_trainings=3), steps=8)


def test_epochs_of_further_trainings_count_for_the_cap() -> None:
    algorithm = search(iterations=1, extra_epochs=0, score_trainings=2, max_epochs=5)
    events, _ = run_through(algorithm)
    assert sum(e["kind"] == "epoch" for e in events) == 4
    assert "max_epochs=5" in algorithm.outcome().found.method["stopped"]


def test_the_rate_starts_anew_at_restarts() -> None:
    protocol = {"schedule": "restarts", "lr_at": [1, 3], "lr_min": 0.01, "epochs": 7}
    algorithm = search(protocol=protocol, iterations=0)
    rates = [e["lr"] for e in run_through(algorithm)[0] if e["kind"] == "epoch"]
    assert rates == pytest.approx([0.05, 0.05, 0.03, 0.05, 0.0441421, 0.03, 0.0158579], abs=1e-6)
