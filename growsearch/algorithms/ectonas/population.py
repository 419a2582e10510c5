"""The networks of a search: how they are bred, trained and retired."""

import math
from collections.abc import Sequence

from growsearch.actions import All, Copy, Drop, Edit, Facts, Failure, Measure, Net, Script, Tell, Train
from growsearch.algorithms.caps import beyond, mac_count, time_is_up
from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.decisions import partial_batches, rejection, rolling_score, tidy
from growsearch.algorithms.ectonas.edits import Morph, is_finite
from growsearch.algorithms.ectonas.individuals import Individual, fate_of
from growsearch.algorithms.ectonas.offspring import Offspring, child_spec, offspring
from growsearch.events import Edit as Edited
from growsearch.training import OptimizerConfig, Recipe

SIDE_BY_SIDE = 8
"""Candidates that a GPU trains at a time, one alone leaves most of it idle; it has so many queues unless told otherwise
(``CUDA_DEVICE_MAX_CONNECTIONS``)."""


class Population:
    """Who lives, by id, and what all of them have cost.

    Attributes:
        nets: the networks.
        individuals: their lineage and training.
        created: children so far, rejected ones among them.
        spent: epochs charged so far.
        over: the time is up.
        at_once: networks that one process trains at a time.
    """

    def __init__(self, config: EctonasConfig, facts: Facts) -> None:
        self.config, self.facts = config, facts
        self.at_once = config.interleave or (1 if facts.device == "cpu" else SIDE_BY_SIDE)
        self.recipe = Recipe(config.batch_size, label_smoothing=config.label_smoothing)
        self.optimizer = sgd_or_adam(config)
        self.nets: dict[int, Net] = {}
        self.individuals: dict[int, Individual] = {}
        self.created, self.spent, self.over = 0, 0.0, False

    def add(self, net: Net, one: Individual) -> None:
        """Take a network in."""
        self.nets[net.id], self.individuals[net.id] = net, one

    def breed(self, parents: Sequence[int], generation: int) -> Script:
        """Make every child of every parent, or say why it is rejected; rows of (id, op, params, parent)."""
        rows = []
        for parent in parents:
            for child in offspring(self.nets[parent].spec, self.config.amounts):
                net = yield from self.make_child(self.individuals[parent], child, generation)
                if net is not None:
                    rows.append([net.id, child.op, net.params, parent])
        return rows

    def make_child(self, parent: Individual, child: Offspring, generation: int) -> Script:
        """One child with its parent's weights; None if it is rejected."""
        config, origin = self.config, self.nets[parent.id]
        self.created += 1
        one = parent.child(self.created, generation, child.op, child.text)
        spec = child_spec(origin.spec, child)
        reason = rejection(spec, origin.params, config.limits, config.max_params)
        reason = reason or beyond(config, 0, mac_count(spec, self.facts.image_shape) if config.max_macs else 0)
        if not reason:
            net = yield from self.morphed(origin, one.id, child)
            if not isinstance(net, Failure):
                self.add(net, one)
                one.edits.append([one.epochs, child.op, child.text, net.params])
                lineage = {"parent": parent.id, "generation": generation}
                detail = {**lineage, "epochs": one.epochs, "parent_params": origin.params}
                yield Tell(Edited(one.id, child.op, child.text, len(one.history), net.params, detail=detail))
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
        """Train networks for the epochs asked, some of them side by side.

        Returns:
            Scores of those that were begun; None for one that was lost.
        """
        scripts = tuple(self.train_one(phase, id, epochs) for id, epochs in calls)
        passes = tuple(float(math.ceil(epochs)) for _, epochs in calls)
        scores: dict[int, float | None] = {}
        for (id, _), (one, parts) in zip(calls, (yield All(scripts, self.at_once, passes)), strict=True):
            for part in parts:
                self.spent = tidy(self.spent + part)
            if one is None:
                del self.individuals[id], self.nets[id]
                scores[id] = None
            elif parts:
                self.individuals[id] = one
                scores[id] = self.score(one)
        self.over = yield from time_is_up(self.config)
        return scores

    def train_one(self, phase: str, id: int, epochs: float) -> Script:
        """Train one network: what is remembered of it then (None if it was dropped), and the parts of epochs."""
        net, one, parts = self.nets[id], self.individuals[id].copy(), list[float]()
        while epochs > 0 and not (one.history and (yield from time_is_up(self.config))):
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

    def score(self, one: Individual) -> float:
        """The mean of the last entries of the scoring key."""
        values = {
            "val_accuracy": [row[4] for row in one.history],
            "train_accuracy": [row[2] for row in one.history],
            "val_likelihood": [math.exp(-row[3]) for row in one.history],
        }
        return rolling_score(values[self.config.score_key], self.config.rolling)

    def retire(self, fate: str, ids: Sequence[int]) -> Script:
        """Let networks go, and tell what became of them."""
        for id in ids:
            yield Drop(self.nets.pop(id))
            yield Tell(fate_of(self.individuals.pop(id), fate))


def sgd_or_adam(config: EctonasConfig) -> OptimizerConfig:
    """Recipe of every candidate's training; Adam has its usual decay rates."""
    kind, decay = config.optimizer, config.weight_decay
    return OptimizerConfig(kind, config.lr, config.momentum, weight_decay=decay)  # type: ignore[arg-type]
