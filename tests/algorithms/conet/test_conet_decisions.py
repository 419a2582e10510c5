import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from growsearch.algorithms.conet.adas import AdasRule, adas_start, adas_step, rates_by_name
from growsearch.algorithms.conet.config import ConetConfig
from growsearch.algorithms.conet.decisions import (
    ChannelSize,
    Term,
    Trial,
    Variable,
    average,
    blindness,
    converged,
    fitting_size,
    may_move,
    plateau_epoch,
    rank_slope,
    updated,
)

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "conet.json").read_text())


def run_rule(start: int, slopes: list[float], conditions: list[float], rule: ConetConfig) -> list[ChannelSize]:
    found, sizes = [], {"v": ChannelSize(start, factor=rule.phi)}
    for slope, condition in zip(slopes, conditions, strict=True):
        sizes = updated(sizes, {"v": slope}, {"v": condition}, rule)
        found.append(sizes["v"])
    return found


@pytest.mark.parametrize("case", GOLDEN["update"], ids=lambda case: str(case["recipe"]["start"]))
def test_update_follows_the_authors(case: dict[str, Any]) -> None:
    recipe = dict(case["recipe"])
    start, slopes, conditions = recipe.pop("start"), recipe.pop("slopes"), recipe.pop("conditions")
    found = run_rule(start, slopes, conditions, ConetConfig(**recipe))
    wanted = [ChannelSize(**after) for after in case["after_each_trial"]]
    assert found == wanted


def test_update_leaves_its_argument_alone() -> None:
    sizes = {"v": ChannelSize(32)}
    updated(sizes, {"v": 1.0}, {"v": 1.0}, ConetConfig())
    assert sizes == {"v": ChannelSize(32)}


def test_low_slope_ends_stuck_at_eighteen() -> None:
    last = run_rule(18, [0.001] * 14, [2.0] * 14, ConetConfig())[-1]
    assert (last.size, last.action, last.factor) == (18, -1, 0.05)


def test_papers_test_is_strict_and_knows_no_exceptions() -> None:
    code, paper = ConetConfig(), ConetConfig(shrink_test="paper")
    assert run_rule(32, [0.02], [10.0], code)[0].action == -1
    assert run_rule(32, [0.02], [10.0], paper)[0].action == 1
    assert run_rule(16, [0.0], [1.0], code)[0].action == 1
    assert run_rule(16, [0.0], [1.0], paper)[0].action == -1


def test_floor_rounds_down_to_any_integer() -> None:
    assert run_rule(33, [0.02], [1.0], ConetConfig(rounding="floor"))[0].size == 39
    assert run_rule(33, [0.02], [1.0], ConetConfig())[0].size == 40


def test_shared_factor_is_halved_for_all() -> None:
    rule = ConetConfig(factor_scope="shared")
    sizes = {"a": ChannelSize(100, 1), "b": ChannelSize(100, 1)}
    moved = updated(sizes, {"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 1.0}, rule)
    assert (moved["a"].size, moved["b"].size) == (120, 90)
    assert moved["a"].factor == moved["b"].factor == 0.1
    private = updated(sizes, {"a": 1.0, "b": 0.0}, {"a": 1.0, "b": 1.0}, ConetConfig())
    assert (private["a"].factor, private["b"].factor) == (0.2, 0.1)


@pytest.mark.parametrize("case", GOLDEN["rank_slope"], ids=lambda case: f"{len(case['history'])}-epochs")
def test_slope_follows_the_authors(case: dict[str, Any]) -> None:
    assert plateau_epoch(case["history"]) == case["plateau_epoch"]
    assert rank_slope(case["history"]) == pytest.approx(case["slope"], rel=1e-12)


def test_patience_finds_where_growth_ends() -> None:
    curve = [0.1, 0.2, 0.3, 0.304, 0.302, 0.303, 0.304, 0.4]
    assert plateau_epoch(curve, "patience") == 2
    assert plateau_epoch(curve, "argmax") == 7
    assert plateau_epoch([0.1, 0.2, 0.3], "patience") == 2
    assert rank_slope(curve, "patience") == pytest.approx(0.1, rel=1e-4)


@pytest.mark.parametrize("case", GOLDEN["adas"], ids=lambda case: str(case["recipe"]["seed"]))
def test_adas_follows_the_authors(case: dict[str, Any]) -> None:
    recipe = case["recipe"]
    shapes, random = recipe["param_shapes"], np.random.RandomState(recipe["seed"])
    rule = AdasRule(recipe["beta"], recipe["zeta"], recipe["min_lr"])
    num_convs = sum(len(shape) == 4 for shape in shapes)
    state = adas_start(num_convs, recipe["init_lr"])
    for wanted in case["lr_vector_after_each_epoch"]:
        gains_in, gains_out = random.rand(num_convs).tolist(), random.rand(num_convs).tolist()
        state = adas_step(state, gains_in, gains_out, rule)
        named = [(str(i), len(shape)) for i, shape in enumerate(shapes)]
        assert list(rates_by_name(named, state.rates, state.classifier_rate).values()) == pytest.approx(wanted)


def test_averages_over_members_and_over_layers() -> None:
    variable = Variable("v", 8, (Term("out", (0, 1)), Term("in", (2,))))
    values = {"in": [0.0, 0.0, 0.9], "out": [0.2, 0.4, 0.1]}
    assert average(variable, values) == pytest.approx((0.3 + 0.9) / 2)
    assert average(variable, values, "layers") == pytest.approx((0.15 + 0.5) / 2)


@given(
    size=st.integers(4, 60),
    action=st.sampled_from([None, -1, 1]),
    halvings=st.integers(0, 6),
    slopes=st.lists(st.sampled_from([0.0, 1.0]), min_size=12, max_size=12),
    pieces=st.sampled_from([1, 2, 3]),
)
def test_what_cannot_move_never_does(size, action, halvings, slopes, pieces):
    rule = ConetConfig(c_min=8, c_max=48)
    start = fitting_size(min(max(2 * (size // 2), 8), 48), pieces)
    one = ChannelSize(start, action, 0.2 / 2**halvings)
    still = not may_move(one, rule, pieces)
    sizes = set()
    for slope in slopes:
        moved = updated({"x": one}, {"x": slope}, {"x": 1.0}, rule)["x"]
        one = ChannelSize(fitting_size(moved.size, pieces), moved.action, moved.factor)
        sizes.add(one.size)
    assert not still or sizes == {start}


def test_a_size_at_its_cap_is_stuck_once_half_its_factor_rounds_away():
    rule = ConetConfig(c_max=20)
    assert [may_move(ChannelSize(20, action, 0.08), rule, 1) for action in (1, -1, None)] == [False, True, True]
    assert may_move(ChannelSize(20, 1, 0.16), rule, 1)


def test_the_search_ends_where_rounding_holds_every_size():
    config = ConetConfig()
    stuck, frozen = ChannelSize(18, -1, 0.05), ChannelSize(20, 0, 0.003)
    both = {"a": stuck, "b": frozen}
    assert converged(both, both, config) and not converged(both, both, ConetConfig(early_end=False))
    assert not converged({"a": ChannelSize(16, 1, 0.1), "b": frozen}, both, config)
    assert not converged(both, {**both, "b": ChannelSize(64, 1, 0.1)}, config)


def test_ranks_that_show_nothing_are_told():
    def shown(*curves):
        named = {str(number): list(curve) for number, curve in enumerate(curves)}
        slopes = {name: rank_slope(curve) for name, curve in named.items()}
        return Trial(named, dict.fromkeys(named, 0), slopes, dict.fromkeys(named, 1.0))

    rising, falling, zero = [0.1, 0.2], [0.2, 0.1], [0.0, 0.0]
    assert blindness(shown(rising, rising, zero)) == ""
    assert "of 1 of 2 sizes" in blindness(shown(rising, falling))
    assert blindness(shown(rising, falling, zero)).startswith(
        "the ranks say nothing of 2 of 3 sizes: their slopes are 0 (1"
    )
