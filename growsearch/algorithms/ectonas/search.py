"""ECToNAS: breed, train and knock out, until the budget of epochs is spent (Algorithm 1).

Who competes and who wins stands in ``competition.py``; here children are made, trained and retired.
"""

import math
from collections.abc import Sequence
from typing import ClassVar

from growsearch.actions import (
    All,
    Build,
    Clock,
    Copy,
    Drop,
    Edit,
    Expect,
    Facts,
    Failure,
    Measure,
    Net,
    Script,
    Take,
    Tell,
    Train,
)  # fmt: skip
from growsearch.algorithms.base import Algorithm, Found
from growsearch.algorithms.caps import beyond, exceeded, mac_count, require
from growsearch.algorithms.ectonas.competition import Competition, choose
from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.decisions import (
    Candidate,
    affordable,
    partial_batches,
    rejection,
    rolling_score,
    tidy,
)
from growsearch.algorithms.ectonas.edits import Morph, is_finite
from growsearch.algorithms.ectonas.individuals import Individual, fate_of, method_record
from growsearch.algorithms.ectonas.offspring import Offspring, child_spec, offspring
from growsearch.errors import UserError
from growsearch.events import Edit as Edited
from growsearch.events import Phase
from growsearch.networks.sequential import sequential_spec, start_topology
from growsearch.randomness import generator
from growsearch.training import OptimizerConfig, Recipe

SIDE_BY_SIDE = 4
"""Candidates that a GPU trains at a time: one alone leaves most of it idle."""


class Ectonas(Algorithm[EctonasConfig]):
    """Evolution of sequential networks across topologies."""

    skips_candidates: ClassVar[bool] = True
    side_by_side: ClassVar[bool] = True

    def __init__(self, config: EctonasConfig, facts: Facts) -> None:
        super().__init__(config, facts)
        self.at_once = config.interleave or (1 if facts.device == "cpu" else SIDE_BY_SIDE)
        self.recipe, self.optimizer = (
            Recipe(config.batch_size, label_smoothing=config.label_smoothing),
            sgd_or_adam(config),
        )
        self.nets: dict[int, Net] = {}
        self.individuals: dict[int, Individual] = {}
        self.generation, self.next_id, self.spent, self.over = 0, 1, 0.0, False

    def search(self) -> Script:
        """Warm start, generations while there is budget, final selection; the winner is not retrained."""
        config, seed = self.config, self.facts.seed
        first = yield self.start_network()
        require(exceeded(config, first.spec, self.facts.image_shape))
        self.add(first, Individual(0))
        yield Expect(round(config.epoch_limit))
        scores = yield from self.train("warm-up", affordable([(0, config.warm_up_epochs)], 0.0, config.hard_limit))
        parents = [Candidate(0, "start", first.params, scores.get(0, 0.0))]
        yield from self.succeed(parents)
        while self.spent < config.epoch_limit and not self.over and self.may_breed():
            children = yield from Competition(self, config, seed, self.generation, parents).play()
            yield from self.succeed(children or parents)
            if not children:
                break
            parents = children
        winner = choose(parents, config.alpha, config, generator(seed, "ectonas", "final")).id
        yield from self.retire("lost the final selection", [one.id for one in parents if one.id != winner])
        individual, net = self.individuals[winner], self.nets[winner]
        yield Tell(fate_of(individual, "won"))
        record = method_record(config, first.spec, net.spec, individual)
        record |= {"charged_epochs": self.spent, "generations": self.generation - 1, "candidates": self.next_id - 1}
        *_, val_loss, val_accuracy, _ = individual.history[-1]
        return Found([net], 0, val_accuracy, val_loss, record, winner_epochs=individual.epochs)

    def breed(self, parents: Sequence[int]) -> Script:
        """Make every child of every parent, or say why it is rejected."""
        rows = []
        for parent in parents:
            for child in offspring(self.nets[parent].spec, self.config.amounts):
                net = yield from self.make_child(self.individuals[parent], child)
                if net is not None:
                    rows.append([net.id, child.op, net.params, parent])
        return rows

    def make_child(self, parent: Individual, child: Offspring) -> Script:
        """One child with its parent's weights; None if it is rejected."""
        config, origin = self.config, self.nets[parent.id]
        id, self.next_id = self.next_id, self.next_id + 1
        one = parent.child(id, self.generation, child.op, child.text)
        spec = child_spec(origin.spec, child)
        reason = rejection(spec, origin.params, config.limits, config.max_params)
        reason = reason or beyond(config, 0, mac_count(spec, self.facts.image_shape) if config.max_macs else 0)
        if not reason:
            net = yield from self.morphed(origin, id, child)
            if not isinstance(net, Failure):
                self.add(net, one)
                one.edits.append([one.epochs, child.op, child.text, net.params])
                lineage = {"parent": parent.id, "generation": self.generation}
                detail = {**lineage, "epochs": one.epochs, "parent_params": origin.params}
                yield Tell(Edited(id, child.op, child.text, len(one.history), net.params, detail=detail))
                return net
            reason = net.reason
        yield Tell(fate_of(one, f"rejected: {reason}"))
        return None

    def morphed(self, origin: Net, id: int, child: Offspring) -> Script:
        """A copy with the operation applied, or why there is none."""
        copy = yield Copy(origin, str(id), id, may_fail=True)
        if isinstance(copy, Failure):
            return copy
        change = Morph(child, self.config.morphs, self.optimizer)
        net = yield Edit(copy, change, ("morph", id), sources=(origin,), may_fail=True)
        if not isinstance(net, Failure) and not (yield Measure(net, is_finite)):
            net = Failure("weights that are not finite")
        if isinstance(net, Failure):
            yield Drop(copy)
        return net

    def train(self, phase: str, calls: Sequence[tuple[int, float]]) -> Script:
        """Train networks for the epochs asked, some of them side by side; their scores, None for one that was lost."""
        scripts = tuple(self.train_one(phase, id, epochs) for id, epochs in calls)
        scores: dict[int, float | None] = {}
        for (id, _), (one, parts) in zip(calls, (yield All(scripts, self.at_once)), strict=True):
            for part in parts:
                self.spent = tidy(self.spent + part)
            if one is None:
                del self.individuals[id], self.nets[id]
                scores[id] = None
            elif parts:
                self.individuals[id] = one
                scores[id] = self.score(one)
        if self.config.max_seconds:
            self.over = (yield Clock()) >= self.config.max_seconds
        return scores

    def train_one(self, phase: str, id: int, epochs: float) -> Script:
        """Train one network: what is remembered of it then (None if it was dropped), and the parts of epochs."""
        net, one, parts = self.nets[id], self.individuals[id].copy(), list[float]()
        limit = self.config.max_seconds
        while epochs > 0 and not (limit and one.history and (yield Clock()) >= limit):
            part = min(1.0, epochs)
            parts.append(part)
            batches = partial_batches(-(-self.facts.train // self.config.batch_size), part) if part < 1 else None
            number = len(one.history)
            shown = yield Train(
                net, phase, number, "train", one.passes, self.recipe, self.config.lr,
                batches=batches, may_fail=one.parent is not None,
            )  # fmt: skip
            if isinstance(shown, Failure):
                yield Drop(net)
                yield Tell(fate_of(one, f"dropped: {shown.reason}"))
                return None, parts
            one.passes, one.epochs, epochs = one.passes + 1, tidy(one.epochs + part), tidy(epochs - part)
            measured = (shown.loss, shown.accuracy, shown.val_loss, shown.val_accuracy)
            one.history.append([one.epochs, *measured, net.params])
        return one, parts

    def retire(self, fate: str, ids: Sequence[int]) -> Script:
        """Let networks go, and tell what became of them."""
        for id in ids:
            yield Drop(self.nets.pop(id))
            yield Tell(fate_of(self.individuals.pop(id), fate))

    def succeed(self, parents: list[Candidate]) -> Script:
        """Tell which networks a generation, or the warm start, ends with."""
        self.generation += 1
        living = [self.individuals[parent.id] for parent in parents]
        ways = " and ".join(
            f"{one.op} ({100 * one.history[-1][4]:.1f} %, {parent.params} parameters)"
            for one, parent in zip(living, parents, strict=True)
        )
        title = "warm start" if self.generation == 1 else f"generation {self.generation - 1}"
        detail = {"parents": [one.id for one in living], "spent": self.spent}
        yield Tell(Phase(living[0].id, f"{title} leaves {ways}", int(self.spent), detail))

    def start_network(self) -> Build | Take:
        """The network that was handed in, or the topology that the settings name."""
        config, facts, optimizers = self.config, self.facts, {"weights": self.optimizer}
        if (given := facts.given.get("network")) is not None:
            if given.get("family") != "sequential":
                found = given.get("family", "another module")
                raise UserError(f"network: {found} given, but {config.name} starts from family sequential only")
            return Take("network", "0", 0, optimizers)
        if config.topology == "custom":
            spec = sequential_spec(config.cells, config.hidden, facts.image_shape, facts.num_classes)
        else:
            spec = start_topology(config.topology, facts.image_shape, facts.num_classes)
        return Build("0", 0, spec, ("initialise", 0), optimizers)

    def score(self, one: Individual) -> float:
        """The mean of the last entries of the scoring key."""
        values = {
            "val_accuracy": [row[4] for row in one.history],
            "train_accuracy": [row[2] for row in one.history],
            "val_likelihood": [math.exp(-row[3]) for row in one.history],
        }
        return rolling_score(values[self.config.score_key], self.config.rolling)

    def may_breed(self) -> bool:
        """Whether another generation is allowed."""
        return not self.config.max_generations or self.generation <= self.config.max_generations

    def add(self, net: Net, one: Individual) -> None:
        """Take a network in."""
        self.nets[net.id], self.individuals[net.id] = net, one


def sgd_or_adam(config: EctonasConfig) -> OptimizerConfig:
    """Recipe of every candidate's training; Adam has its usual decay rates."""
    kind, decay = config.optimizer, config.weight_decay
    return OptimizerConfig(kind, config.lr, config.momentum, weight_decay=decay)  # type: ignore[arg-type]
