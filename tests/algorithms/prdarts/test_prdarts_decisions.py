import json
from collections import Counter
from pathlib import Path

import pytest
import torch

from growsearch.algorithms.prdarts import decisions
from growsearch.algorithms.prdarts.alternate import next_batch_size
from growsearch.algorithms.prdarts.decisions import (
    ATTEMPTS,
    PATIENCE,
    CellPools,
    CycleEnd,
    EdgePool,
    Morph,
    cell_genotype,
    kept_edges,
    parents_of,
    propose,
    renew,
    survivors,
)
from growsearch.algorithms.prdarts.morphisms import (
    SETTINGS,
    MorphLimits,
    children,
    morphism_between,
    reachable,
)
from growsearch.algorithms.prdarts.statistics import cell_statistics, mean_similarity
from growsearch.networks.darts.candidate import conv, from_json, parse
from growsearch.networks.darts.genotypes import PUBLISHED
from growsearch.networks.darts.pools import initial_pool
from growsearch.training.schedules import Cosine

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "prdarts.json").read_text())
START = conv(3)


def candidates(records):
    return [from_json(record) for record in records]


def draws(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("setting", ["DL", "DR", "UR"])
def test_reachable_counts(setting):
    expected = GOLDEN["reachable_counts"][setting]
    assert [len(found) for found in reachable(START, SETTINGS[setting], 5)] == expected["by_rules"]
    limits = SETTINGS[setting]
    relaxed = MorphLimits(limits.kernel, limits.dilation, limits.depth, limits.width, limits.total, True)
    assert len(reachable(START, relaxed, 5)[-1]) == expected["paper_total"]


@pytest.mark.parametrize("case", GOLDEN["morph_children"], ids=lambda c: c["setting"] + json.dumps(c["candidate"]))
def test_morph_children(case):
    found = children(from_json(case["candidate"]), SETTINGS[case["setting"]])
    assert set(found.values()) == set(candidates(case["children"]))
    assert len(found) == len(case["children"])
    for name, child in found.items():
        assert morphism_between(from_json(case["candidate"]), child) == name


@pytest.mark.parametrize("case", GOLDEN["similarity"], ids=lambda c: f"{c['similarity']:.4f}")
def test_similarity(case):
    assert mean_similarity(case["candidates"]) == pytest.approx(case["similarity"], abs=1e-12)


@pytest.mark.parametrize("case", GOLDEN["prune"])
def test_survivors(case):
    pool = candidates(case["candidates"])
    assert survivors(pool, case["probs"], case["keep"], case["morphs"], case["protect"]) == case["survivors"]


def test_a_negative_number_of_drops_drops_nothing():
    assert survivors(initial_pool("prdarts4"), [0.1, 0.2, 0.3, 0.4], keep=8, morphs=3, protect=True) == [0, 1, 2, 3]


def test_none_goes_first_where_darts_asks_for_it():
    pool = [parse("none"), parse("skip"), START]
    assert survivors(pool, [0.8, 0.1, 0.1], keep=1, morphs=0, protect=False, none_last=True) == [2]
    assert survivors(pool, [0.8, 0.1, 0.1], keep=1, morphs=0, protect=False) == [0]


@pytest.mark.parametrize("case", GOLDEN["final_edges"])
def test_final_edges(case):
    assert kept_edges(case["scores"]) == case["kept"]


def test_genotype_lists_two_edges_a_node_in_edge_order():
    scores = GOLDEN["final_edges"][0]["scores"]
    cell = cell_genotype([START] * 14, scores)
    assert [(edge.node, edge.input) for edge in cell.edges] == [
        (n, i) for n, i in zip([0, 0, 1, 1, 2, 2, 3, 3], [0, 1, 0, 1, 1, 2, 0, 3], strict=True)
    ]
    assert cell.concat == (2, 3, 4, 5)


@pytest.mark.parametrize("case", GOLDEN["autoscale"])
def test_autoscale(case):
    assert next_batch_size(case["b"], case["usage"], case["b_mult"], case["b_max"]) == case["new_b"]


@pytest.mark.parametrize("case", GOLDEN["lr_per_epoch"])
def test_learning_rate_of_a_cycle(case):
    schedule = Cosine(0.025, 0.01)
    assert [schedule.rate(e, case["E"]) for e in range(case["E"])] == pytest.approx(case["lr"], abs=1e-6)


def test_propose_draws_parents_by_probability_and_morphs_evenly():
    pool = [parse("skip"), conv(3), conv(5, 1, (1,))]
    first = [
        propose(pool, [0.5, 0.1, 0.4], pool, 1, SETTINGS["UR"], generator)[0] for generator in map(draws, range(3000))
    ]
    parents = Counter(morph.parent for morph in first)
    assert parents[0] == 0
    share = parents[2] / 3000  # 0.4 / 0.5, and no child is refused
    assert share == pytest.approx(0.8, abs=0.03)
    of_second = Counter(morph.morphism for morph in first if morph.parent == 2)
    assert set(of_second) == {"kernel_up", "kernel_down", "dilation_up", "insert", "widen"}
    assert min(of_second.values()) / max(of_second.values()) > 0.8
    assert first[0].probability == pytest.approx({1: 0.1, 2: 0.4}[first[0].parent])


def test_propose_prefers_the_new_and_readmits_the_dropped_late():
    pool = [conv(3)]
    new = children(conv(3), SETTINGS["DL"])
    two = list(new.values())[:2]
    made = propose(pool, [1.0], [*pool, *two], 3, SETTINGS["DL"], draws())
    assert made[0].child == list(new.values())[2]
    assert {m.child for m in made[1:]} == set(two)  # dropped earlier: only after many refusals
    assert len({m.child for m in made}) == 3
    assert not {m.child for m in made} & set(pool)


@pytest.mark.parametrize("nothing", [0.0, float("nan")])
def test_propose_takes_any_parent_where_no_survivor_has_a_share(nothing):
    pool = [parse("skip"), conv(3), conv(5, 1, (1,))]
    made = [propose(pool, [nothing] * 3, pool, 1, SETTINGS["UR"], draws(i))[0] for i in range(200)]
    assert Counter(morph.parent for morph in made)[1] == pytest.approx(100, abs=30)
    assert {morph.parent for morph in made} == {1, 2}


def test_propose_leaves_a_place_empty_when_everything_is_in_the_pool():
    pool = [conv(3), *children(conv(3), SETTINGS["DL"]).values()]
    weights = [1.0] + [1e-12] * 3
    made = propose(pool, weights, pool, 3, SETTINGS["DL"], draws())
    assert made == []


def test_readmission_waits_for_the_stated_number_of_draws():
    limits = MorphLimits((3, 5), dilation=1, depth=0)
    generator, twin = draws(4), draws(4)
    made = propose([conv(3)], [1.0], [conv(3), conv(5)], 1, limits, generator)
    assert [m.child for m in made] == [conv(5)]
    for _ in range(PATIENCE + 1):
        torch.multinomial(torch.ones(1), 1, generator=twin)
        torch.randint(1, (), generator=twin)
    assert torch.equal(generator.get_state(), twin.get_state())


def test_propose_without_convs_makes_nothing():
    assert propose([parse("skip")], [1.0], [], 3, SETTINGS["UR"], draws()) == []


def test_statistics_of_the_initial_pools_and_of_dl2():
    start = cell_statistics([initial_pool("prdarts4")] * 14, [0.25, 0.75])
    assert start["similarity"] == pytest.approx(1 / 3)
    assert start["types"] == {"conv": 0.25, "skip": 0.25, "pool": 0.5, "none": 0.0}
    assert start["kernels"][0] == {"3": 1.0}
    assert start["parent_probability"] == 0.5
    for cell, shares in ((PUBLISHED["DL2"].normal, (7, 1, 0)), (PUBLISHED["DL2"].reduction, (5, 2, 1))):
        final = cell_statistics([[edge.candidate] for edge in cell.edges])
        assert final["similarity"] == 1.0
        assert tuple(8 * final["types"][op] for op in ("conv", "skip", "pool")) == shares


def test_wasted_draws_count_among_the_attempts():
    limits = MorphLimits((3, 5), dilation=1, depth=0)
    pool, weights, generator = [parse("skip"), conv(3)], [0.8, 0.2], draws(4)
    made = propose(pool, weights, [*pool, conv(5)], 1, limits, generator, wasted_draws=True)
    twin, picks = draws(4), 0
    for attempt in range(ATTEMPTS):
        if int(torch.multinomial(torch.tensor(weights), 1, generator=twin)):
            torch.randint(1, (), generator=twin)
            picks += 1
            if attempt >= PATIENCE:
                break
    assert [m.child for m in made] == [conv(5)] and picks < PATIENCE / 2
    assert torch.equal(generator.get_state(), twin.get_state())
    assert propose(pool, [1.0, 1e-9], pool, 1, limits, draws(), wasted_draws=True) == []
    assert propose(pool, [1.0, 1e-9], pool, 1, limits, draws())[0].child == conv(5)


def test_a_candidate_that_comes_back_has_its_latest_parent(monkeypatch):
    """It was dropped, is made once more, and the least probable candidate goes; its record stays with the edge."""
    labels = [conv(3).label, conv(5).label, conv(7).label, conv(3, 2).label]
    pools = CellPools(labels, [EdgePool([0, 1, 3], [0, 1, 2, 3], {2: 0, 3: 0})])
    asked = []

    def propose(stayed, shares, seen, *rest):
        asked.append((stayed, shares, seen))
        return [Morph(parse(labels[2]), 1, "wider", 0.5)]

    monkeypatch.setattr(decisions, "propose", propose)
    end = CycleEnd(keep=3, morphs=1, protect=False, none_last=False, limits=SETTINGS["UR"])
    after, (change,) = renew(pools, [[0.2, 0.5, 0.3]], end, draws)
    (edge,) = after.edges
    stayed = [parse(labels[number]) for number in (1, 3)]
    assert asked == [(stayed, [0.5, 0.3], [parse(label) for label in labels])]
    assert change.dropped == [labels[0]] and change.added == [(labels[2], labels[3], "wider")]
    assert (edge.live, edge.seen, edge.parents) == ([1, 2, 3], [0, 1, 2, 3], {2: 3, 3: 0})
    assert parents_of(after, [change], everyone=True) == parents_of(after, [change], everyone=False) == [{2: 3}]
