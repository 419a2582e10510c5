import dataclasses

import pytest
import torch
from algorithms.chain import assert_chain_holds, assert_same_tree, run_through
from algorithms.prdarts.prdarts_small import (
    ONE_CYCLE,
    TWO_CYCLES,
    events_of,
    happening,
    lines_of,
    options,
    search,
    search_network,
)
from training.replays import pretended_captures

from growsearch.algorithms.prdarts import plans
from growsearch.algorithms.prdarts.alternate import Alternation, BatchGrowth
from growsearch.algorithms.prdarts.config import LimitOverrides, PrdartsConfig
from growsearch.algorithms.prdarts.edits import transferred
from growsearch.algorithms.prdarts.morphisms import SETTINGS, MorphLimits, children
from growsearch.cli.compose import compose_run
from growsearch.config import typed
from growsearch.errors import UserError
from growsearch.events import Edit, Epoch, Measure, Phase
from growsearch.networks.darts.candidate import parse
from growsearch.networks.darts.genotype import genotype_from_json
from growsearch.networks.darts.genotype_forms import read_genotype
from growsearch.networks.darts.search import CELL_KINDS, cell_kind


def exhausted(labels, added) -> bool:
    """Whether every child of every candidate that survived is in the pool, so that a place had to stay empty."""
    parents = [parse(label) for label in labels if label not in added]
    return {c.label for p in parents for c in children(p, SETTINGS["UR"]).values()} <= set(labels)


def kinds(events, kind) -> list:
    return [event for event in events if isinstance(event, kind)]


@pytest.mark.slow
def test_nine_cycles_end_in_a_genotype():
    method = search(nodes=2, morph_limits="UR", batch_size=16, epochs=[1] * 9, grace_epochs=[0, 1, *[0] * 7])
    events = events_of(method)
    edits = kinds(events, Edit)
    assert [e.op for e in edits] == ["prune_and_replace"] * 8 + ["prune", "genotype"]
    measures = [m for m in kinds(events, Measure) if m.name == "pools"]
    assert [m.epoch for m in measures] == [*range(10)]
    for kind in CELL_KINDS:
        sizes = [[len(edge) for edge in m.values[kind]["operations"]] for m in measures]
        assert [sizes[0], *sizes[6:]] == [[4] * 5, [4] * 5, [3] * 5, [2] * 5, [1] * 4]
        for size, edit, measure in zip(sizes[1:6], edits, measures[1:6], strict=False):
            for number, change in enumerate(edit.detail[kind]):
                labels = measure.values[kind]["operations"][number]
                assert size[number] == 6 or exhausted(labels, [made[0] for made in change["added"]])
        assert measures[0].values[kind]["similarity"] == pytest.approx(1 / 3)
        assert measures[9].values[kind]["similarity"] == 1.0
        for measure in measures[:9]:
            assert all(any(parse(c).is_conv for c in edge) for edge in measure.values[kind]["operations"])
            assert sum(measure.values[kind]["types"].values()) == pytest.approx(1.0)
        assert [m.values[kind]["parent_probability"] is None for m in measures[:7]] == [True] + [False] * 5 + [True]
    outcome = method.outcome()
    record = outcome.found.method
    found = genotype_from_json(record["genotype"])
    assert len(found.normal.edges) == len(found.reduction.edges) == 4
    assert [e.phase for e in kinds(events, Epoch)] == ["search"] * 9 + ["evaluation"]
    assert [e.name for e in kinds(events, Phase)] == ["evaluation"]
    assert outcome.best.spec()["genotype"] == record["genotype"]
    assert record["operations_discoverable"] == {"by_rules": 76, "with_pointwise_dilation": 83}
    assert record["operations_discovered"]["normal"] <= 76
    assert len(record["last_test_accuracies"]) == 1
    assert outcome.found.val_accuracy is not None


def test_chain_at_every_step_with_a_growing_batch():
    def make():
        return search(gauge=lambda: 0.3, batch_interval=1, skip_dropout=[0.3], train=64, **TWO_CYCLES)

    events = assert_chain_holds(make, steps=1)
    sizes = [e["batch_size"] for e in events if e["kind"] == "epoch" and e["phase"] == "search"]
    assert sizes == [32, 32, 32]  # batches of 8 and 16, then the rest of the 32 images makes no whole one


def test_survivors_keep_their_weights_and_the_new_have_their_parents():
    # DL never widens, so what a child starts with involves no draws
    method = search(nodes=1, epochs=[1, 1, 1], grace_epochs=[0] * 3, morphs=[3, 3, 0], keep=[6, 6, 1])
    before, checked = None, 0
    for event in happening(method, Epoch, Edit):
        if isinstance(event, Epoch) and event.phase == "search":
            before = search_network(method)
            kept = {name: tensor.clone() for name, tensor in before.module.state_dict().items()}
        if not isinstance(event, Edit) or event.op != "prune_and_replace":
            continue
        after = search_network(method).module
        assert after is not before.module
        assert search_network(method).steps == before.steps > 0
        born = set()
        for position, cell in enumerate(after.cells):
            for number, change in enumerate(event.detail[cell_kind(cell.reduction)]):
                edge = cell.edges[number]
                ids = {candidate.label: i for i, candidate in edge.pool}
                for child, parent, _ in change["added"]:
                    stack = before.module.cells[position].edges[number].get_submodule(f"c{ids[parent]}")
                    draws = torch.Generator().manual_seed(0)
                    expected = transferred(stack, parse(parent), parse(child), draws).state_dict()
                    made = edge.get_submodule(f"c{ids[child]}").state_dict()
                    assert all(torch.equal(made[name], tensor) for name, tensor in expected.items())
                    born |= {f"cells.{position}.edges.{number}.c{ids[child]}.{name}" for name in made}
        survived = {name for name in after.state_dict() if not name.startswith("alphas")} - born
        assert survived <= set(kept)
        assert all(torch.equal(after.state_dict()[name], kept[name]) for name in survived)
        assert len(born) > 50
        states = search_network(method).optimizer("weights").state.values()
        assert all(not state["momentum_buffer"].any() for state in states)
        checked += 1
    assert checked == 2


def test_weights_stay_behind_where_they_are_not_inherited():
    method = search(inherit_weights=False, **TWO_CYCLES)
    for event in happening(method, Edit):
        if event.where == "cycle 1":
            before, after = (method.bench.networks[name] for name in ("cycle 0", "cycle 1"))
            assert not torch.equal(before.module.classifier.weight, after.module.classifier.weight)
            assert after.steps == before.steps > 0
            return
    raise AssertionError("no cycle ended")


def test_grace_epochs_leave_architecture_weights_and_their_images_alone():
    method = search(epochs=[2], grace_epochs=[1], morphs=[0], keep=[1])
    method.begin()
    alphas = {k: p.detach().clone() for k, p in search_network(method).module.alphas.items()}
    moved, streams = [], []
    for line in method.run():
        if line is not None and isinstance(line.event, Epoch) and line.event.phase == "search":
            now = search_network(method).module.alphas
            moved.append(any(not torch.equal(alphas[k], now[k]) for k in alphas))
            streams.append(line.record["answer"]["alphas"] != [0, 0])
    assert moved == streams == [False, True]


def test_each_step_moves_its_own_parameters_only():
    method = search()
    method.begin()
    network, streams = search_network(method), Alternation(8)
    for role, cursor in (("weights", streams.weights), ("alphas", streams.alphas)):
        before = {name: p.detach().clone() for name, p in network.module.named_parameters()}
        method.bench.on(24).train_batch(network, cursor, plans.recipe_of(method.method.config, role), 8)
        moved = {name for name, p in network.module.named_parameters() if not torch.equal(p, before[name])}
        assert moved
        assert all(name.startswith("alphas") == (role == "alphas") for name in moved)


def test_streams_run_on_over_epochs_and_cycles():
    method = search(train=56, **TWO_CYCLES)  # 28 images a part: three pieces of 8 and a short one
    positions = [line.record["answer"]["weights"] for line in lines_of(method, "Alternate")]
    # an epoch of four pieces of 8 takes 32 images, as the last piece of 28 is a short one in the release
    assert positions == [[1, 4], [2, 8], [3, 12]]


@pytest.mark.parametrize(("portion", "count"), [(0.5, 24), (0.26, 12)])
def test_weights_and_architecture_weights_share_no_image(portion, count):
    method = search(train=48, train_portion=portion, **ONE_CYCLE)
    (line,) = lines_of(method, "Alternate")
    assert line.record["ask"]["parted_at"] == count
    parts, whole = method.bench.on(count), method.bench.engine.data.train
    assert torch.equal(torch.cat([parts.split(name).images for name in ("train", "val")]), whole.images)
    assert torch.equal(torch.cat([parts.split(name).labels for name in ("train", "val")]), whole.labels)
    assert [len(parts.split(name)) for name in ("train", "val")] == [count, 48 - count]


def test_caps_end_the_search_at_the_best_so_far():
    method = search(max_epochs=2, epochs=[2, 2], grace_epochs=[0, 0], morphs=[3, 0], keep=[6, 1])
    events = events_of(method)
    assert [e.phase for e in kinds(events, Epoch)] == ["search", "evaluation"]
    assert [e.op for e in kinds(events, Edit)] == ["prune", "genotype"]
    first = search(**TWO_CYCLES)
    first.begin()
    method = search(max_params=first.bench.networks["cycle 0"].parameter_count(), **TWO_CYCLES)
    events = events_of(method)
    added = [c["added"] for e in kinds(events, Edit)[:1] for kind in CELL_KINDS for c in e.detail[kind]]
    assert not any(added)
    assert len(method.outcome().found.method["genotype"]["normal"]) == 2


def test_a_cap_in_seconds_ends_the_search():
    method = search(max_seconds=1e-6, epochs=[2, 2], grace_epochs=[0, 0], morphs=[3, 0], keep=[6, 1])
    assert [e.phase for e in kinds(events_of(method), Epoch)] == ["search"]


def test_chain_of_second_order_steps():
    def make():
        return search(pool=["skip", "conv3[]"], unrolled=True, train=32, skip_dropout=[0.3], **ONE_CYCLE)

    assert_chain_holds(make, steps=1)


def test_first_order_darts_is_one_cycle_of_eight_candidates():
    method = search(pool="darts", **ONE_CYCLE)
    edits = kinds(events_of(method), Edit)
    assert [len(change["dropped"]) for change in edits[0].detail["normal"]] == [7, 7]
    assert all("none" in change["dropped"] for change in edits[0].detail["normal"])


def test_children_can_be_derived_again_in_every_cycle():
    table = {"epochs": [1, 1, 1], "grace_epochs": [0] * 3, "morphs": [2, 0, 0], "keep": [6, 6, 1]}
    derived = []
    for again in (False, True):
        method = search(reinit_children_every_cycle=again, **table)
        for event in happening(method, Edit):
            if event.where == "cycle 2":
                module = search_network(method).module
                edge, pools = module.cells[0].edges[0], method.method.pools["normal"].edges[0]
                child, parent = next(iter(pools.parents.items()))
                made = transferred(
                    edge.get_submodule(f"c{parent}"),
                    dict(edge.pool)[parent],
                    dict(edge.pool)[child],
                    torch.Generator().manual_seed(0),
                ).state_dict()
                own = edge.get_submodule(f"c{child}").state_dict()
                derived.append(all(torch.equal(own[name], made[name]) for name in own))
    assert derived == [False, True]


@pytest.mark.parametrize(("reset", "second"), [("every_cycle", 8), ("after_replacement", 24)])
def test_batch_size_starts_again(reset, second):
    table = {"epochs": [1, 1, 1], "grace_epochs": [0] * 3, "morphs": [1, 0, 0], "keep": [4, 2, 1]}
    method = search(train=96, gauge=lambda: 0.3, batch_interval=2, batch_reset=reset, batch_max=24, **table)
    assert [line.record["ask"]["batch_size"] for line in lines_of(method, "Alternate")] == [8, 8, second]


@pytest.mark.parametrize("hardware", [{"batch_autoscaling": False}, {}])
def test_batches_do_not_grow_without_leave_or_memory(hardware):
    gauge = (lambda: 0.1) if hardware else (lambda: 1.0)
    method = search(gauge=gauge, hardware=hardware, batch_interval=1, **TWO_CYCLES)
    assert {e.batch_size for e in kinds(events_of(method), Epoch) if e.phase == "search"} == {8}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keep": [6, 6, 6, 6, 6, 4, 3, 2, 2]}, "algo.keep"),
        ({"epochs": [1, 2]}, "algo.grace_epochs"),
        ({"grace_epochs": [99] + [3] * 8}, "algo.grace_epochs"),
        ({"morph_limits": "XL"}, "algo.morph_limits"),
        ({"batch_size": 20}, "algo.batch_size"),
        ({"train_portion": 1.0}, "algo.train_portion"),
        ({"layers": 2}, "algo.layers"),
        ({"skip_dropout": [0.1, 0.2]}, "algo.skip_dropout"),
    ],
)
def test_options_that_do_not_fit_are_named(changes, message):
    with pytest.raises(UserError, match=message.replace(".", r"\.")):
        PrdartsConfig(**changes)


def test_too_few_images_and_unknown_pools_are_named():
    with pytest.raises(UserError, match="train_size: 10 images"):
        search(train=10)
    with pytest.raises(UserError, match="pool: 'other'"):
        search(pool="other")
    with pytest.raises(UserError, match="pool: 5"):
        search(pool=5)
    with pytest.raises(UserError, match="different labels"):
        search(pool=["skip", "skip"])


def test_equal_architecture_weights_and_custom_limits():
    method = search(alpha_noise=0.0, pool=["conv3[]", "skip"])
    method.begin()
    assert not any(p.any() for p in search_network(method).module.alphas.values())
    limits = plans.limits_of(options(morph_limits="DR", limits=LimitOverrides(kernel_max=5, width_max=2)))
    assert limits == MorphLimits((1, 5), depth=1, width=2, total=5)


def test_the_gauge_is_asked_at_the_stated_interval_and_its_peak_counts():
    readings = iter([9.0, 0.2, 0.9, 9.0])  # the first of an epoch is what came before it
    asked, sizes = [], []

    def gauge() -> float:
        asked.append(method.carrier.positions[""].steps)
        return next(readings)

    table = {"epochs": [1], "grace_epochs": [1], "morphs": [0], "keep": [1]}
    method = search(train=128, gauge=gauge, batch_interval=2, batch_max=64, **table)
    method.begin()
    for line in method.run():
        if line is None:
            sizes.append(method.carrier.positions[""].batch_size)
        elif isinstance(line.event, Epoch):
            break
    # 0.95 * 8 / 0.2 allows 38, a look at most doubles; at 16 the peak of the epoch, 0.9, allows no more
    assert sizes == [8, 16, 16, 16, 16]
    assert asked == [0, 2, 4]


def test_chain_of_an_evaluation_whose_batch_grows(monkeypatch):
    """On a CPU, too."""
    monkeypatch.setattr(plans, "evaluation_growth", lambda config, facts: BatchGrowth(8, 32, 1, 0.95))
    shown = {"epochs": 2, "batch_size": 8, "keep": "best_val_loss"}
    table = {**ONE_CYCLE, "grace_epochs": [1]}
    events = assert_chain_holds(lambda: search(gauge=lambda: 0.3, train=64, evaluation=shown, **table), steps=1)
    found = [e for e in events if e["kind"] == "epoch" and e["phase"] == "evaluation"]
    # 8, 16 and 32 images, then 32 and 32: the batch stays large, and 8 images are left for the next epoch
    assert [(e["batch_size"], e["images"]) for e in found] == [(32, 56), (32, 64)]


def test_evaluation_grows_on_a_gpu_only():
    facts = search(train=100).bench.facts()
    assert plans.evaluation_growth(options(), facts).largest == 0
    on_gpu = dataclasses.replace(facts, device="cuda")
    assert plans.evaluation_growth(options(), on_gpu) == BatchGrowth(8, 96, 10, facts.hardware.memory_fraction)


def test_evaluation_of_no_epochs_leaves_a_network_and_no_validation_images_none_to_judge_it():
    method = search(evaluation={"epochs": 0}, **ONE_CYCLE)
    events_of(method)
    assert method.outcome().found.val_accuracy is None
    method = search(val=0, **ONE_CYCLE)
    events_of(method)
    found = method.outcome().found
    assert found.val_accuracy is None
    assert found.method["last_test_mean"] is not None


def test_a_batch_that_grows_does_so_with_captured_steps_too():
    """The first steps of every size are eager, and only they are shown by the gauge."""
    table = {"epochs": [4], "grace_epochs": [0], "morphs": [0], "keep": [1]}

    def grown():
        method = search(train=96, gauge=lambda: 0.3, batch_interval=2, batch_max=24, **table)
        events, end = run_through(method)
        assert {e["batch_size"] for e in events if e["kind"] == "epoch"} == {24, 32}
        return events, end

    eager = grown()
    with pretended_captures(warm_ups=2) as lanes:
        captured = grown()
    assert sum(lane.replays for lane in lanes) > 0
    assert captured[0] == eager[0]
    assert_same_tree(captured[1], eager[1])


def test_batch_sizes_by_cycle_need_no_memory_gauge():
    runner = search(**TWO_CYCLES, batch_sizes=[16, 24], gauge=lambda: 0.01, evaluation={"epochs": 0})
    events = events_of(runner)
    assert [e.batch_size for e in events if isinstance(e, Epoch) and e.phase == "search"] == [16, 16, 24]
    alphas = [e for e in events if isinstance(e, Measure) and e.name == "alphas"]
    assert [e.epoch for e in alphas] == [0, 1, 2]
    assert [len(row) for row in alphas[-1].values["normal"]["alphas"]] == [5, 5]
    for row, shares in zip(*(alphas[0].values["reduction"][key] for key in ("alphas", "probabilities")), strict=True):
        assert shares == pytest.approx(torch.tensor(row).softmax(0).tolist(), abs=2e-6)
    assert alphas[1].values != alphas[0].values
    with pytest.raises(UserError, match=r"algo\.batch_sizes"):
        options(**TWO_CYCLES, batch_sizes=[16])
    with pytest.raises(UserError, match=r"algo\.batch_sizes: \[16, 12\].*multiples of"):
        options(**TWO_CYCLES, batch_sizes=[16, 12])


def test_figure_2_has_the_papers_number_of_alpha_steps():
    config = typed(compose_run(["algo=prdarts_figure2", "data=cifar10", "schedule=paper"])).algo
    cycles = zip(config.batch_sizes, config.epochs, config.grace_epochs, strict=True)
    assert sum((epochs - grace) * (25000 // size) for size, epochs, grace in cycles) == 22514
    assert sum((e - g) * (25000 // 128) for e, g in zip(config.epochs, config.grace_epochs, strict=True)) == 13455


def test_found_cells_are_written_in_both_published_forms():
    runner = search(**ONE_CYCLE, pool="darts", nodes=2, evaluation={"epochs": 0})
    lines = lines_of(runner)
    files = runner.method.files((0.0, line.event) for line in lines if line.event is not None)
    found = runner.outcome().found.method["genotype"]
    assert set(files) == {"genotype.json", "genotype.txt"}
    assert all(read_genotype(text).to_json() == found for text in files.values())
    assert runner.method.files([]) == {}


def test_search_networks_may_grow_between_cycles_and_leave_weights_behind():
    method = search(**TWO_CYCLES, add_width=[0, 2], add_layers=[1], evaluation={"epochs": 0})
    sizes = []
    for event in happening(method, Measure, Edit):
        if isinstance(event, Measure) and event.name == "alphas":
            sizes.append((search_network(method).module.spec()["channels"], len(search_network(method).module.cells)))
        elif isinstance(event, Edit) and event.where == "cycle 1":
            before, after = (method.bench.networks[name] for name in ("cycle 0", "cycle 1"))
            assert after.module.classifier.in_features > before.module.classifier.in_features
            assert after.steps == before.steps > 0
    assert sizes == [(4, 4), (4, 4), (6, 4)]
    assert method.bench.networks["found"].module.spec()["channels"] == 4
    with pytest.raises(UserError, match=r"algo\.add_layers"):
        options(**TWO_CYCLES, add_layers=[0, 1, 2])
