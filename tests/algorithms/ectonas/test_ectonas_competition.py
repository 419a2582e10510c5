import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from growsearch.algorithms.ectonas.competition import Competition, final_selection, warm_up
from growsearch.algorithms.ectonas.config import Amounts, EctonasConfig, Limits
from growsearch.algorithms.ectonas.decisions import Candidate, rejection
from growsearch.algorithms.ectonas.individuals import crossing_table
from growsearch.algorithms.ectonas.offspring import child_spec, offspring, parameter_count, topology_class
from growsearch.networks.sequential import TOPOLOGIES, start_topology
from growsearch.randomness import generator

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ectonas.json").read_text())
Score = Callable[[str, dict[str, Any]], float | None]


class Scripted:
    """Serves a search's requests from specs alone: nothing is trained, scores are written down."""

    def __init__(self, config: EctonasConfig, start: dict[str, Any], score: Score, seed: int = 0) -> None:
        self.config, self.score, self.seed = config, score, seed
        self.specs, self.ops = {0: start}, {0: "start"}
        self.spent, self.generations = 0.0, 0
        self.requests: list[list[Any]] = []
        self.retired: dict[int, str] = {}
        self.parents = [Candidate(0, "start", parameter_count(start), 0.0)]
        self.winner = -1

    def run(self) -> "Scripted":
        self.perform(warm_up(self.parents[0], self.config))
        while self.spent < self.config.epoch_limit and self.parents and self.fruitful:
            self.generations += 1
            self.perform(Competition(self.config, self.seed, self.generations, self.parents, self.spent).play())
        self.perform(final_selection(self.parents, self.config, generator(self.seed, "final")))
        return self

    def perform(self, script) -> Any:
        answer = None
        while True:
            try:
                kind, *details = script.send(answer)
            except StopIteration as end:
                return end.value
            if kind == "side by side":
                answer = [self.perform(chapter) for chapter in reversed(details[0])][::-1]
                continue
            self.requests.append(json.loads(json.dumps([kind, *details])))
            answer = getattr(self, kind)(*details)

    def breed(self, parents: list[int]) -> list[list[Any]]:
        rows = []
        for parent in parents:
            before = parameter_count(self.specs[parent])
            for child in offspring(self.specs[parent], self.config.amounts):
                spec = child_spec(self.specs[parent], child)
                if rejection(spec, before, self.config.limits, self.config.max_params) is None:
                    id = len(self.specs)
                    self.specs[id], self.ops[id] = spec, child.op
                    rows.append([id, child.op, parameter_count(spec), parent])
        return rows

    def train(self, phase: str, calls: list[list[Any]]) -> dict[str, Any]:
        self.spent = round(self.spent + sum(epochs for _, epochs in calls), 6)
        scores = {str(id): self.score(self.ops[id], self.specs[id]) for id, _ in calls}
        return {"scores": scores, "spent": self.spent, "over": False}

    def retire(self, fate: str, ids: list[int]) -> None:
        assert not set(ids) & set(self.retired)
        self.retired |= dict.fromkeys(ids, fate)

    def succeed(self, rows: list[dict[str, Any]]) -> None:
        self.fruitful = bool(rows)
        self.parents = [Candidate(**row) for row in rows] or self.parents

    def crown(self, id: int) -> None:
        self.winner = id

    @property
    def end(self) -> dict[str, Any]:
        return self.specs[self.winner]


def flat(op: str, spec: dict[str, Any]) -> float:
    return 0.5


def start(topology: str, shape=(1, 28, 28), classes: int = 10) -> dict[str, Any]:
    return start_topology(topology, shape, classes)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_first_generation_asks_for_the_original_number_of_epochs(topology: str) -> None:
    search = Scripted(EctonasConfig(budget=11), start(topology), flat).run()
    assert search.generations == 1
    golden = GOLDEN["offspring_first_generation"]["mnist"][topology]
    assert search.spent == golden["spent_after_first_generation"]


def test_every_network_is_retired_once_but_the_winner() -> None:
    search = Scripted(EctonasConfig(budget=400), start("medium_cnn"), flat).run()
    assert search.generations == 2
    assert set(search.retired) | {search.winner} == set(search.specs)
    assert search.winner not in search.retired


def test_two_parents_mix_in_the_pools_of_the_next_generation() -> None:
    search = Scripted(EctonasConfig(budget=400), start("medium_cnn"), flat).run()
    breeding = [request for request in search.requests if request[0] == "breed"]
    assert breeding[0][1] == [0] and len(breeding[1][1]) == 2


def test_seed_decides_who_meets_whom() -> None:
    def by_op(op: str, spec: dict[str, Any]) -> float:
        return parameter_count(spec) % 97 / 97

    config = EctonasConfig(budget=300)
    first, again, other = (Scripted(config, start("medium_cnn"), by_op, seed).run().requests for seed in (0, 0, 1))
    assert first == again != other


@pytest.mark.parametrize("budget", [5, 12.35, 100, 283.3])
def test_strict_budget_is_spent_and_not_exceeded(budget: float) -> None:
    config = EctonasConfig(budget=budget, budget_mode="strict")
    search = Scripted(config, start("medium_cnn"), flat).run()
    assert search.spent == pytest.approx(budget)
    assert set(search.retired) | {search.winner} == set(search.specs)


def test_cap_on_epochs_holds_in_either_mode() -> None:
    assert Scripted(EctonasConfig(max_epochs=50), start("medium_cnn"), flat).run().spent == 50


def test_phase_two_is_judged_by_fitness() -> None:
    """Larger children are more accurate: alpha 1 keeps the largest of all types, alpha 0 the smallest."""

    def larger_is_better(op: str, spec: dict[str, Any]) -> float:
        return 0.5 + parameter_count(spec) / 1e7

    for alpha, chosen in ((1.0, max), (0.0, min)):
        search = Scripted(EctonasConfig(budget=11, alpha=alpha), start("medium_cnn"), larger_is_better).run()
        sizes: dict[str, int] = {}
        for id, op in search.ops.items():
            if id:
                sizes[op] = max(sizes.get(op, 0), parameter_count(search.specs[id]))
        assert chosen(sizes.values()) in {parent.params for parent in search.parents}


def test_accuracy_decides_within_a_type_even_when_size_is_all_that_counts() -> None:
    def likes_first_cell(op: str, spec: dict[str, Any]) -> float:
        return 0.9 if op == "add_channels" and spec["cells"][0]["channels"] == 6 else 0.5

    search = Scripted(EctonasConfig(budget=11, alpha=0.0), start("medium_cnn"), likes_first_cell).run()
    losers = [id for id, fate in search.retired.items() if fate.startswith("lost in phase 1")]
    assert all(search.specs[id]["cells"][0]["channels"] == 3 for id in losers if search.ops[id] == "add_channels")


def test_random_mode_does_not_look_at_scores() -> None:
    def punishing(op: str, spec: dict[str, Any]) -> float:
        return 0.9 if op == "identity" else 0.1

    config = EctonasConfig(budget=300, random_mode=True)
    plain, punished = (Scripted(config, start("medium_cnn"), score).run() for score in (flat, punishing))
    assert [r for r in plain.requests if r[0] == "retire"] == [r for r in punished.requests if r[0] == "retire"]
    others = {Scripted(config, start("medium_cnn"), flat, seed).run().winner for seed in range(6)}
    assert len(others) > 1


def test_dropped_children_leave_their_brackets() -> None:
    def diverging(op: str, spec: dict[str, Any]) -> float | None:
        return None if op in ("add_units", "remove_cell") else 0.5

    search = Scripted(EctonasConfig(budget=11), start("medium_cnn"), diverging).run()
    asked = [id for request in search.requests if request[0] == "train" for id, _ in request[2]]
    for id, op in search.ops.items():
        if op in ("add_units", "remove_cell"):
            assert asked.count(id) == 1 and id not in search.retired


def test_without_any_child_left_the_parents_stay_and_the_search_ends() -> None:
    search = Scripted(EctonasConfig(), start("medium_cnn"), lambda op, spec: 0.5 if op == "start" else None).run()
    assert search.winner == 0 and search.generations == 1


def test_warm_up_that_spends_the_budget_returns_the_start_network() -> None:
    search = Scripted(EctonasConfig(budget=10, alpha=0.5), start("medium_cnn"), flat).run()
    assert (search.winner, search.generations, search.spent) == (0, 0, 10)


def test_brackets_of_the_paper_train_no_lucky_ticket() -> None:
    code, paper = (
        Scripted(EctonasConfig(budget=11, bracket=rule), start("medium_cnn"), flat).run() for rule in ("code", "paper")
    )
    assert paper.spent < code.spent
    single = next(id for id, op in paper.ops.items() if op == "identity")
    calls = [r for r in paper.requests if r[0] == "train" and r[1] == "phase 1" and [single, 5.0] in r[2]]
    assert not calls
    assert len(paper.parents) == 2


def test_crossings_in_both_directions_are_counted_as_in_table_3() -> None:
    def likes(kind: str) -> Score:
        return lambda op, spec: 0.9 if topology_class(spec) == kind else 0.5 - 0.01 * len(spec["cells"])

    runs = []
    for topology in TOPOLOGIES:
        for kind in ("cnn", "ffnn"):
            search = Scripted(EctonasConfig(budget=1500), start(topology, (1, 10, 10), 2), likes(kind)).run()
            runs.append((topology_class(search.specs[0]), topology_class(search.end)))
    assert ("cnn", "ffnn") in runs and ("ffnn", "cnn") in runs
    table = crossing_table(runs)
    assert table["cnn"] == {"final_cnn": 3, "final_ffnn": 3, "crossing_percent": 50.0}
    assert table["ffnn"] == {"final_cnn": 3, "final_ffnn": 3, "crossing_percent": 50.0}


def test_crossing_percent_of_table_3() -> None:
    table = crossing_table([("cnn", "ffnn")] * 5 + [("cnn", "cnn")] * 70 + [("ffnn", "cnn")] * 74 + [("ffnn", "ffnn")])
    assert round(table["cnn"]["crossing_percent"], 1) == 6.7
    assert round(table["ffnn"]["crossing_percent"], 2) == 98.67
    assert crossing_table([])["cnn"]["crossing_percent"] == 0.0


def test_limits_end_in_fewer_children() -> None:
    config = EctonasConfig(budget=11, limits=Limits(layers=5, channels=6, units=10), amounts=Amounts())
    search = Scripted(config, start("medium_cnn"), flat).run()
    assert not {"add_cell", "add_dense", "add_units"} & set(search.ops.values())


def test_no_second_phase_where_no_survivor_has_to_go() -> None:
    config, parent = EctonasConfig(), Candidate(0, "start", 10, 0.5)
    search = Scripted(config, start("medium_cnn"), flat)
    rows = [[id + 1, "identity", 10, 0] for id in range(config.max_parents)]
    search.ops |= {row[0]: row[1] for row in rows}
    search.specs |= {row[0]: search.specs[0] for row in rows}
    search.breed = lambda parents: rows
    search.perform(Competition(config, 0, 1, [parent], 0.0).play())
    assert "phase 1" in {request[1] for request in search.requests if request[0] == "train"}
    assert "phase 2" not in {request[1] for request in search.requests if request[0] == "train"}
    assert len(search.parents) == config.max_parents
