import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from growsearch.actions import All, Build, Drop, Expect, Facts, Failure, Net, Script, Tell
from growsearch.algorithms.ectonas.config import Amounts, EctonasConfig, Limits
from growsearch.algorithms.ectonas.decisions import Candidate
from growsearch.algorithms.ectonas.individuals import Individual
from growsearch.algorithms.ectonas.offspring import Offspring, child_spec, parameter_count, topology_class
from growsearch.algorithms.ectonas.population import Population
from growsearch.algorithms.ectonas.search import Ectonas
from growsearch.networks.sequential import TOPOLOGIES, start_topology
from growsearch.training.config import HardwareConfig

GOLDEN = json.loads((Path(__file__).parents[2] / "golden" / "ectonas.json").read_text())
SHAPES = {"mnist": ((1, 28, 28), 10), "cifar100": ((3, 32, 32), 100), "adult": ((1, 10, 10), 2)}
Score = Callable[[str, dict[str, Any]], float | None]


class Unbuilt(Population):
    """Networks that are specs alone: nothing is trained, scores are written down."""

    def __init__(self, config: EctonasConfig, facts: Facts, start: dict[str, Any], score: Score) -> None:
        super().__init__(config, facts)
        self.written = score
        self.asked: list[tuple[str, Any]] = []
        self.retired: dict[int, str] = {}
        self.specs, self.ops = {0: start}, {0: "start"}

    def breed(self, parents: Sequence[int], generation: int) -> Script:
        self.asked.append(("breed", parents))
        return (yield from super().breed(parents, generation))

    def morphed(self, origin: Net, id: int, child: Offspring) -> Script:
        self.specs[id], self.ops[id] = child_spec(origin.spec, child), child.op
        return net_of(id, self.specs[id])
        yield

    def train(self, phase: str, calls: Sequence[tuple[int, float]]) -> Script:
        self.asked.append((phase, list(calls)))
        return (yield from super().train(phase, calls))

    def train_one(self, phase: str, id: int, epochs: float) -> Script:
        one, score = self.individuals[id].copy(), self.written(self.ops[id], self.specs[id])
        one.history.append([one.epochs, 0.0, 0.0, 0.0, score, self.nets[id].params])
        return (None if score is None else one), [epochs]
        yield

    def score(self, one: Individual) -> float:
        return one.history[-1][4]

    def retire(self, fate: str, ids: Sequence[int]) -> Script:
        assert not set(ids) & set(self.retired)
        self.retired |= dict.fromkeys(ids, fate)
        yield from super().retire(fate, ids)


class Scripted(Ectonas):
    """A search on specs alone, which says of itself what its population says."""

    def __init__(self, config: EctonasConfig, start: dict[str, Any], score: Score, seed: int = 0) -> None:
        super().__init__(config, Facts((1, 28, 28), 10, "none", 60, 0, 0, seed, HardwareConfig(), "cpu"))
        self.start, self.population = start, Unbuilt(config, self.facts, start, score)
        self.parents: list[Candidate] = []
        self.winner = -1

    def __getattr__(self, name: str) -> Any:
        return getattr(self.population, name)

    def run(self) -> "Scripted":
        self.winner = perform(self.search()).networks[0].id
        return self

    def start_network(self) -> Build:
        return Build("0", 0, self.start, None)

    def succeed(self, parents: list[Candidate]) -> Tell:
        self.parents = parents
        return super().succeed(parents)

    def trained(self, phase: str) -> list[list[tuple[int, float]]]:
        """The calls of each round of a phase."""
        return [calls for name, calls in self.asked if name == phase]

    @property
    def end(self) -> dict[str, Any]:
        return self.specs[self.winner]


def net_of(id: int, spec: dict[str, Any]) -> Net:
    return Net(str(id), id, spec, parameter_count(spec))


def perform(script: Script) -> Any:
    """Answer a script's actions; those that are side by side end in another order."""
    answer = None
    while True:
        try:
            action = script.send(answer)
        except StopIteration as end:
            return end.value
        match action:
            case All(scripts=scripts):
                answer = [perform(each) for each in reversed(scripts)][::-1]
            case Build(id=id, spec=spec):
                answer = net_of(id, spec)
            case Expect() | Tell() | Drop():
                answer = None
            case _:
                raise AssertionError(f"{action} is not asked for on specs")


def flat(op: str, spec: dict[str, Any]) -> float:
    return 0.5


def start(topology: str, shape=(1, 28, 28), classes: int = 10) -> dict[str, Any]:
    return start_topology(topology, shape, classes)


@pytest.mark.parametrize("topology", TOPOLOGIES)
@pytest.mark.parametrize("data", SHAPES)
def test_first_generation_asks_for_the_original_number_of_epochs(data: str, topology: str) -> None:
    search = Scripted(EctonasConfig(budget=11), start(topology, *SHAPES[data]), flat).run()
    assert search.generation == 2
    golden = GOLDEN["offspring_first_generation"][data][topology]
    for phase, charge in (
        ("recuperation", "recuperation_epochs"),
        ("phase 1", "phase1_epochs"),
        ("phase 2", "phase2_epochs"),
    ):
        epochs = sum(epochs for calls in search.trained(phase) for _, epochs in calls)
        assert epochs == pytest.approx(golden[charge])
    assert search.spent == golden["spent_after_first_generation"]


def test_every_network_is_retired_once_but_the_winner() -> None:
    search = Scripted(EctonasConfig(budget=400), start("medium_cnn"), flat).run()
    assert search.generation == 3
    assert set(search.retired) | {search.winner} == set(search.specs)
    assert search.winner not in search.retired


def test_two_parents_mix_in_the_pools_of_the_next_generation() -> None:
    search = Scripted(EctonasConfig(budget=400), start("medium_cnn"), flat).run()
    first, second = (parents for name, parents in search.asked if name == "breed")
    assert first == [0] and len(second) == 2


def test_seed_decides_who_meets_whom() -> None:
    def by_op(op: str, spec: dict[str, Any]) -> float:
        return parameter_count(spec) % 97 / 97

    config = EctonasConfig(budget=300)
    first, again, other = (Scripted(config, start("medium_cnn"), by_op, seed).run().asked for seed in (0, 0, 1))
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
    assert plain.retired == punished.retired
    others = {Scripted(config, start("medium_cnn"), flat, seed).run().winner for seed in range(6)}
    assert len(others) > 1


def test_dropped_children_leave_their_brackets() -> None:
    def diverging(op: str, spec: dict[str, Any]) -> float | None:
        return None if op in ("add_units", "remove_cell") else 0.5

    search = Scripted(EctonasConfig(budget=11), start("medium_cnn"), diverging).run()
    asked = [id for name, calls in search.asked if name != "breed" for id, _ in calls]
    for id, op in search.ops.items():
        if op in ("add_units", "remove_cell"):
            assert asked.count(id) == 1 and id not in search.retired


def test_without_any_child_left_the_parents_stay_and_the_search_ends() -> None:
    search = Scripted(EctonasConfig(), start("medium_cnn"), lambda op, spec: 0.5 if op == "start" else None).run()
    assert search.winner == 0 and search.generation == 2


def test_warm_up_that_spends_the_budget_returns_the_start_network() -> None:
    search = Scripted(EctonasConfig(budget=10, alpha=0.5), start("medium_cnn"), flat).run()
    assert (search.winner, search.generation, search.spent) == (0, 1, 10)


def test_brackets_of_the_paper_train_no_lucky_ticket() -> None:
    code, paper = (
        Scripted(EctonasConfig(budget=11, bracket=rule), start("medium_cnn"), flat).run() for rule in ("code", "paper")
    )
    assert paper.spent < code.spent
    single = next(id for id, op in paper.ops.items() if op == "identity")
    assert not any((single, 5.0) in calls for calls in paper.trained("phase 1"))
    assert len(paper.parents) == 2


def test_networks_cross_to_the_other_class_in_both_directions() -> None:
    def likes(kind: str) -> Score:
        return lambda op, spec: 0.9 if topology_class(spec) == kind else 0.5 - 0.01 * len(spec["cells"])

    runs = []
    for topology in TOPOLOGIES:
        for kind in ("cnn", "ffnn"):
            search = Scripted(EctonasConfig(budget=1500), start(topology, (1, 10, 10), 2), likes(kind)).run()
            runs.append((topology_class(search.specs[0]), topology_class(search.end)))
    for kind in ("cnn", "ffnn"):
        ends = [end for begin, end in runs if begin == kind]
        assert (ends.count("cnn"), ends.count("ffnn")) == (3, 3)


def test_limits_end_in_fewer_children() -> None:
    config = EctonasConfig(budget=11, limits=Limits(layers=5, channels=6, units=10), amounts=Amounts())
    search = Scripted(config, start("medium_cnn"), flat).run()
    assert not {"add_cell", "add_dense", "add_units"} & set(search.ops.values())


def test_no_second_phase_where_no_survivor_has_to_go() -> None:
    search = Scripted(EctonasConfig(max_generations=1), start("medium_cnn"), flat)
    real = search.population.morphed

    def few(origin: Net, id: int, child: Offspring) -> Script:
        if child.op in ("identity", "remove_dense"):
            return (yield from real(origin, id, child))
        return Failure("not wanted")

    search.population.morphed = few
    search.run()
    assert len(search.parents) == search.config.max_parents
    assert search.trained("phase 1") and not search.trained("phase 2")
