import pytest
import torch
from algorithms.chain import assert_chain_holds, assert_same_tree, run_through
from algorithms.tiny import tiny_dataset, tiny_engine
from prdarts.prdarts_small import TWO_CYCLES, options, search
from training.replays import pretended_captures

from growsearch.algorithms.prdarts.alternate import BatchGrowth
from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.morphisms import SETTINGS, children
from growsearch.algorithms.prdarts.search import SEARCH, Prdarts
from growsearch.algorithms.prdarts.transfer import transferred
from growsearch.errors import UserError
from growsearch.events import Edit, Epoch, Measure, Phase
from growsearch.networks.darts.candidate import parse
from growsearch.networks.darts.genotype import genotype_from_json
from growsearch.networks.darts.search import CELL_KINDS, cell_kind


def events_of(method) -> list:
    return [event for event in method.run() if event is not None]


def exhausted(labels, added) -> bool:
    """Whether every child of every candidate that survived is in the pool, so that a place had to stay empty."""
    parents = [parse(label) for label in labels if label not in added]
    return {c.label for p in parents for c in children(p, SETTINGS["UR"]).values()} <= set(labels)


def kinds(events, kind) -> list:
    return [event for event in events if isinstance(event, kind)]


def test_nine_cycles_end_in_a_genotype():
    method = search(nodes=2, morph_limits="UR", batch_size=16, epochs=[1] * 9, grace_epochs=[0, 1, *[0] * 7])
    events = events_of(method)
    edits = kinds(events, Edit)
    assert [e.op for e in edits] == ["prune_and_replace"] * 8 + ["prune", "genotype"]
    measures = kinds(events, Measure)
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
    found = genotype_from_json(method.state.genotype)
    assert len(found.normal.edges) == len(found.reduction.edges) == 4
    assert [e.phase for e in kinds(events, Epoch)] == ["search"] * 9 + ["evaluation"]
    assert [e.name for e in kinds(events, Phase)] == ["evaluation"]
    outcome = method.outcome()
    assert outcome.networks[0].spec()["genotype"] == method.state.genotype
    assert outcome.method["operations_discoverable"] == {"by_rules": 76, "with_pointwise_dilation": 83}
    assert outcome.method["operations_discovered"]["normal"] <= 76
    assert len(outcome.method["last_test_accuracies"]) == 1
    assert outcome.val_accuracy is not None


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
    for event in method.run():
        if isinstance(event, Epoch) and event.phase == "search":
            before = method.state.networks[SEARCH].module
        if not isinstance(event, Edit) or event.op != "prune_and_replace":
            continue
        after, kept = method.state.networks[SEARCH].module, before.state_dict()
        born = set()
        for position, cell in enumerate(after.cells):
            for number, change in enumerate(event.detail[cell_kind(cell.reduction)]):
                edge = cell.edges[number]
                ids = {candidate.label: i for i, candidate in edge.pool}
                for child, parent, _ in change["added"]:
                    stack = before.cells[position].edges[number].get_submodule(f"c{ids[parent]}")
                    draws = torch.Generator().manual_seed(0)
                    expected = transferred(stack, parse(parent), parse(child), draws).state_dict()
                    made = edge.get_submodule(f"c{ids[child]}").state_dict()
                    assert all(torch.equal(made[name], tensor) for name, tensor in expected.items())
                    born |= {f"cells.{position}.edges.{number}.c{ids[child]}.{name}" for name in made}
        survived = {name for name in after.state_dict() if not name.startswith("alphas")} - born
        assert survived <= set(kept)
        assert all(torch.equal(after.state_dict()[name], kept[name]) for name in survived)
        assert len(born) > 50
        assert all(not state["momentum_buffer"].any() for state in optimizer_states(method, "weights"))
        checked += 1
    assert checked == 2


def optimizer_states(method, role):
    return method.state.networks[SEARCH].optimizer(role).state.values()


def test_grace_epochs_leave_architecture_weights_and_their_images_alone():
    method = search(epochs=[2], grace_epochs=[1], morphs=[0], keep=[1])
    alphas = {k: p.detach().clone() for k, p in method.state.networks[SEARCH].module.alphas.items()}
    moved = []
    for event in method.run():
        if isinstance(event, Epoch) and event.phase == "search":
            now = method.state.networks[SEARCH].module.alphas
            moved.append(any(not torch.equal(alphas[k], now[k]) for k in alphas))
            assert (method.state.streams.alphas.position > 0 or method.state.streams.alphas.passes > 0) == moved[-1]
    assert moved == [False, True]


def test_each_step_moves_its_own_parameters_only():
    method = search()
    network, streams = method.state.networks[SEARCH], method.state.streams
    from growsearch.algorithms.prdarts.plans import recipe_of

    for role, cursor in (("weights", streams.weights), ("alphas", streams.alphas)):
        before = {name: p.detach().clone() for name, p in network.module.named_parameters()}
        method.search_engine.train_batch(network, cursor, recipe_of(method.config, role), 8)
        moved = {name for name, p in network.module.named_parameters() if not torch.equal(p, before[name])}
        assert moved
        assert all(name.startswith("alphas") == (role == "alphas") for name in moved)


def test_streams_run_on_over_epochs_and_cycles():
    method = search(train=56, **TWO_CYCLES)  # 28 images a part: three pieces of 8 and a short one
    positions = [
        (method.state.streams.weights.passes, method.state.streams.weights.position)
        for event in method.run()
        if isinstance(event, Epoch) and event.phase == "search"
    ]
    # an epoch of four pieces of 8 takes 32 images, as the last piece of 28 is a short one in the release
    assert positions == [(1, 4), (2, 8), (3, 12)]


def test_caps_end_the_search_at_the_best_so_far():
    method = search(max_epochs=1, epochs=[2, 2], grace_epochs=[0, 0], morphs=[3, 0], keep=[6, 1])
    events = events_of(method)
    assert [e.phase for e in kinds(events, Epoch)] == ["search", "evaluation"]
    assert [e.op for e in kinds(events, Edit)] == ["prune", "genotype"]
    method = search(max_params=1, **TWO_CYCLES)
    events = events_of(method)
    added = [c["added"] for e in kinds(events, Edit)[:1] for kind in CELL_KINDS for c in e.detail[kind]]
    assert not any(added)
    assert len(method.state.genotype["normal"]) == 2


def test_first_order_darts_is_one_cycle_of_eight_candidates():
    method = search(pool="darts", epochs=[1], grace_epochs=[0], morphs=[0], keep=[1])
    edits = kinds(events_of(method), Edit)
    assert [len(change["dropped"]) for change in edits[0].detail["normal"]] == [7, 7]
    assert all("none" in change["dropped"] for change in edits[0].detail["normal"])


def test_children_can_be_derived_again_in_every_cycle():
    table = {"epochs": [1, 1, 1], "grace_epochs": [0] * 3, "morphs": [2, 0, 0], "keep": [6, 6, 1]}
    derived = []
    for again in (False, True):
        method = search(reinit_children_every_cycle=again, **table)
        for event in method.run():
            if isinstance(event, Edit) and event.where == "cycle 2":
                module = method.state.networks[SEARCH].module
                edge, pools = module.cells[0].edges[0], method.state.pools["normal"].edges[0]
                child, parent = next((int(c), p) for c, p in pools.parents.items())
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
    starts = [
        method.state.streams.batch_size for event in method.run() if isinstance(event, Edit) and "cycle" in event.where
    ]
    assert starts[:2] == [8, second]


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
    assert not any(p.any() for p in method.state.networks[SEARCH].module.alphas.values())
    from growsearch.algorithms.prdarts.config import LimitOverrides
    from growsearch.algorithms.prdarts.morphisms import MorphLimits
    from growsearch.algorithms.prdarts.plans import limits_of

    limits = limits_of(options(morph_limits="DR", limits=LimitOverrides(kernel_max=5, width_max=2)))
    assert limits == MorphLimits((1, 5), depth=1, width=2, total=5)


def test_the_gauge_is_asked_at_the_stated_interval_and_its_peak_counts():
    readings = iter([9.0, 0.2, 0.9, 9.0])  # the first of an epoch is what came before it
    asked = []

    def gauge() -> float:
        asked.append(method.state.streams.steps)
        return next(readings)

    table = {"epochs": [1], "grace_epochs": [1], "morphs": [0], "keep": [1]}
    method = search(train=128, gauge=gauge, batch_interval=2, batch_max=64, **table)
    sizes = [method.state.streams.batch_size for event in method.train_epoch() if event is None]
    # 0.95 * 8 / 0.2 allows 38, a look at most doubles; at 16 the peak of the epoch, 0.9, allows no more
    assert sizes == [8, 16, 16, 16, 16]
    assert asked == [0, 2, 4]


def grown():
    """A method whose evaluation may grow its batch on the CPU, too."""
    method = search(gauge=lambda: 0.3, train=64, epochs=[1], grace_epochs=[1], morphs=[0], keep=[1])
    training = method.config.evaluation.training
    training.epochs, training.batch_size = 2, 8
    growth = BatchGrowth(8, 32, 1, 0.95)
    method.evaluation_growth = lambda: growth
    return method


def test_chain_of_an_evaluation_whose_batch_grows():
    events = assert_chain_holds(grown, steps=1)
    found = [e for e in events if e["kind"] == "epoch" and e["phase"] == "evaluation"]
    # 8, 16 and 32 images, then 32 and 32: the batch stays large, and 8 images are left for the next epoch
    assert [(e["batch_size"], e["images"]) for e in found] == [(32, 56), (32, 64)]


def test_evaluation_of_no_epochs_leaves_a_network_and_no_validation_images_none_to_judge_it():
    method = search(epochs=[1], grace_epochs=[0], morphs=[0], keep=[1])
    method.config.evaluation.training.epochs = 0
    events_of(method)
    assert method.outcome().val_accuracy is None
    engine = tiny_engine(0, tiny_dataset(train=48, val=0, test=20))
    method = Prdarts(options(epochs=[1], grace_epochs=[0], morphs=[0], keep=[1]), engine)
    events_of(method)
    outcome = method.outcome()
    assert outcome.val_accuracy is None
    assert outcome.method["last_test_mean"] is not None


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
