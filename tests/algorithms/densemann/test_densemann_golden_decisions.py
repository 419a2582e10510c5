"""The decisions against traces of the original code, driven by scripted measurements alone."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.filters import FilterHistory, Thresholds, thresholds
from growsearch.algorithms.densemann.machine import IMPROVE, RECOVER, GrowthMachine
from growsearch.algorithms.densemann.rate import GrowingRate

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "densemann.json").read_text())
NAMES = {
    "dkCS_smoothing": "kcs_smoothing",
    "dkCS_std_window": "kcs_window",
    "m_patience_param": "patience",
    "m_re_patience_param": "re_patience",
    "dont_prune_beyond": "dont_prune_beyond",
    "k0": "growth_rate",
}


def runs(values: list[float]) -> list[list[float]]:
    """Run-length code: [first index, value, length]."""
    coded: list[list[float]] = []
    for index, value in enumerate(values):
        if coded and math.isclose(coded[-1][1], value, rel_tol=1e-9):
            coded[-1][2] += 1
        else:
            coded.append([index, value, 1])
    return coded


class ScriptedLayer:
    """Connection strengths that follow a golden case's rule, filter by numbered filter."""

    def __init__(self, rule: dict[str, Any], filters: int) -> None:
        self.rule = rule
        self.ids = list(range(filters))
        self.next_id = filters
        self.born: dict[int, int] = {}

    def sample(self, epoch: int) -> list[float]:
        rule, values = self.rule, []
        for uid in self.ids:
            age = epoch - self.born.setdefault(uid, epoch)
            base = rule["base"][uid] if uid < len(rule["base"]) else rule["new"]
            time = age if rule.get("clock", "age") == "age" else epoch
            decay = rule.get("amp", 0.0) * math.exp(-age / rule.get("tau", 1.0))
            values.append(round(base + rule.get("slope", 0.0) * time + decay, 12))
        return values

    def add(self, count: int) -> None:
        self.ids += range(self.next_id, self.next_id + count)
        self.next_id += count

    def prune(self, positions: list[int]) -> None:
        self.ids = [uid for position, uid in enumerate(self.ids) if position not in positions]


def accuracy_at(epoch: int, layer: int, prunings: list[int], rule: dict[str, Any]) -> float:
    value = rule["per_layer"][min(layer, len(rule["per_layer"]) - 1)]
    after = rule["recover_after"]
    if prunings and epoch - prunings[-1] <= after[min(len(prunings) - 1, len(after) - 1)]:
        value = round(value - 0.05, 12)
    return value


def drive(case: dict[str, Any], scope: str = "layer") -> dict[str, Any]:
    """Run the machine against a scripted network and describe what it did as the golden file does."""
    options = {NAMES[key]: value for key, value in case["options"].items()}
    config = DensemannConfig(re_patience_scope=scope, **options)
    machine = GrowthMachine(config)
    memory = machine.memory

    def rule(layer: int) -> dict[str, Any]:
        return case["kcs_rule"][min(layer, len(case["kcs_rule"]) - 1)]

    layers = [ScriptedLayer(rule(0), config.growth_rate)]
    events, rates, prunings, epoch, saved = [], [], [], 0, {}
    while memory.stage != "done" and epoch < 2000:
        rates.append(machine.rate)
        machine.after_training(epoch)
        was_recovering = memory.stage == RECOVER
        kcs = layers[-1].sample(epoch)
        edits = machine.step(epoch, accuracy_at(epoch, len(layers) - 1, prunings, case["accuracy_rule"]), kcs)
        named: list[Any] = []
        for op, *arguments in edits:
            if op == "add_filters":
                layers[-1].add(arguments[0])
                named.append(["add_filter", arguments[0]])
            elif op == "prune":
                saved["unpruned"] = list(layers[-1].ids)
                layers[-1].prune(arguments[0])
                prunings.append(epoch)
                named.append(["prune", arguments[0]])
            elif op == "undo_pruning":
                layers[-1].ids = saved["unpruned"]
                named.append("undo_pruning")
            elif op == "add_layer":
                layers.append(ScriptedLayer(rule(len(layers)), arguments[0]))
                prunings = []
                named.append(["add_layer"])
            elif op == "remove_layer":
                layers.pop()
                named.append(["remove_layer"])
        prunes_next = was_recovering and memory.stage == "prune"
        if named or prunes_next:
            stage = {"done": "start", "prune": "prune_next_epoch"}.get(memory.stage, memory.stage)
            events.append(
                {
                    "epoch": epoch,
                    "events": named,
                    "layer": len(layers) - 1,
                    "n_filters": len(layers[-1].ids),
                    "stage_after": stage,
                }
            )
        epoch += 1
    return {
        "events": events,
        "lr_runs": runs(rates),
        "total_epochs": epoch,
        "finished": memory.stage == "done",
        "final_layers": len(layers),
        "final_n_filters_last_layer": len(layers[-1].ids),
        "memory": memory,
    }


@pytest.mark.parametrize("case", GOLDEN["fsm_trace"], ids=lambda case: case["name"])
def test_machine_follows_the_original_step_by_step(case: dict[str, Any]) -> None:
    found = drive(case)
    for key in ("events", "total_epochs", "finished", "final_layers", "final_n_filters_last_layer"):
        assert found[key] == case[key], key
    assert [[a, n] for a, _, n in found["lr_runs"]] == [[a, n] for a, _, n in case["lr_runs"]]
    assert [r for _, r, _ in found["lr_runs"]] == pytest.approx([r for _, r, _ in case["lr_runs"]], rel=1e-6)
    assert found["memory"].layers == case["final_layers"]


def test_each_recovery_has_its_own_patience_unless_a_layer_shares_it() -> None:
    case = next(c for c in GOLDEN["fsm_trace"] if c["name"] == "small_shared_recovery_budget")
    patience = case["options"]["m_re_patience_param"]
    found = drive(case, "stage")
    prunings = [e["epoch"] for e in found["events"] if e["events"] and e["events"][0][0] == "prune"]
    undone = [e["epoch"] for e in found["events"] if "undo_pruning" in e["events"]]
    assert prunings[:2] == [14, 25]
    assert undone[0] == 25 + patience + 1


@pytest.mark.parametrize("case", GOLDEN["categories"], ids=lambda case: case["name"])
def test_categories(case: dict[str, Any]) -> None:
    config = DensemannConfig(
        growth_rate=case["k0"],
        kcs_smoothing=case["smoothing"],
        kcs_window=case["window"],
        settle_thresh=case["threshold"],
    )
    machine = GrowthMachine(config)
    machine.memory.history = FilterHistory.of(len(case["history"][0]))
    machine.memory.stage = {"improve": IMPROVE, "recover": RECOVER}[case["stage"]]
    if case["frozen_thresholds"]:
        machine.memory.useful_from, machine.memory.useless_to = case["frozen_thresholds"]
    for kcs, expected in zip(case["history"], case["per_epoch"], strict=True):
        found = machine.observe(kcs)
        assert [found.settled, found.useful, found.useless] == [
            expected[key] for key in ("settled", "useful", "useless")
        ]
        limits = machine.thresholds
        assert (limits is None) == (expected["uft"] is None)
        if limits is not None:
            assert [limits.useful, limits.useless] == pytest.approx([expected["uft"], expected["ult"]], rel=1e-6)


@pytest.mark.parametrize("case", GOLDEN["thresholds"])
def test_thresholds(case: dict[str, Any]) -> None:
    found = thresholds(case["kcs_settled"], case["uft_auto"], case["ult_auto"])
    assert isinstance(found, Thresholds)
    assert [found.useful, found.useless] == pytest.approx([case["uft"], case["ult"]], rel=1e-6)


@pytest.mark.parametrize("case", GOLDEN["lr_schedule"])
def test_learning_rate_schedule(case: dict[str, Any]) -> None:
    rate, used = GrowingRate(), []
    for epoch in range(case["epochs"]):
        used.append(rate.value(0.1, 0.1))
        rate.after_training(epoch, case["schedule_length"], (case["rlr_1"], case["rlr_2"]))
        if epoch in (case["activate_at_end_of_epoch"], case["second_activation_at_end_of_epoch"]):
            rate.start(epoch)
    found = runs(used)
    assert [[a, n] for a, _, n in found] == [[a, n] for a, _, n in case["lr_runs"]]
    assert [r for _, r, _ in found] == pytest.approx([r for _, r, _ in case["lr_runs"]])
