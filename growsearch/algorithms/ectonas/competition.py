"""The competition of one generation: children, recuperation, and the two phases of brackets.

Who meets whom and who wins is decided here; children are made, trained and retired by the :class:`Population`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate, count
from math import isfinite

import torch

from growsearch.actions import All, Script
from growsearch.algorithms.ectonas.config import EctonasConfig
from growsearch.algorithms.ectonas.decisions import (
    Candidate,
    affordable,
    bracket_groups,
    fitness,
    recuperation_epochs,
    round_groups,
    trained_of,
)
from growsearch.algorithms.ectonas.population import Population
from growsearch.randomness import generator


class Competition:
    """One generation of a search.

    Args:
        population: has the networks.
        config: settings of the method.
        seed: of the run.
        number: of the generation; with the seed it names every draw.
        parents: networks that have children.
    """

    def __init__(
        self, population: Population, config: EctonasConfig, seed: int, number: int, parents: Sequence[Candidate]
    ) -> None:
        self.population, self.config, self.seed, self.number = population, config, seed, number
        self.parents = list(parents)
        self.candidates = {parent.id: parent for parent in parents}

    def play(self) -> Script:
        """All that a generation takes; returns the next parents, none if no child is left."""
        most = self.config.max_parents
        children = yield from self._breed()
        children = yield from self._recuperate(children)
        pools: dict[str, list[int]] = {}
        for child in children:
            pools.setdefault(self.candidates[child].op, []).append(child)
        survivors, draws = yield from self._brackets(list(pools.values()), 1 if len(pools) >= most else most)
        if len(survivors) > most:
            survivors = yield from self._bracket(survivors, most, 2, draws)
        if survivors:
            yield from self.population.retire("succeeded by its children", [parent.id for parent in self.parents])
        return [self.candidates[child] for child in survivors]

    def _breed(self) -> Script:
        rows = yield from self.population.breed([parent.id for parent in self.parents], self.number)
        for child, op, params, parent_id in rows:
            parent = self.candidates[parent_id]
            self.candidates[child] = Candidate(child, op, params, parent.score, parent.params, parent.score)
        return [row[0] for row in rows]

    def _recuperate(self, children: list[int]) -> Script:
        """Train every child as its operation needs; those that a strict budget or the clock leaves out go."""
        table = self.config.recuperation
        calls = [(child, recuperation_epochs(self.candidates[child].op, table)) for child in children]
        trained = yield from self._train("recuperation", calls)
        if unpaid := [child for child in children if child not in trained]:
            yield from self.population.retire("budget spent", unpaid)
        return [child for child in children if child in trained and child in self.candidates]

    def _brackets(self, pools: list[list[int]], winners: int) -> Script:
        """Play phase 1, side by side unless a pool may use up epochs or seconds that another one was to have.

        Each draw has a number. Those of a pool begin after the ones that the pools before it make if all their groups
        have a winner.

        Returns:
            The pools' survivors, and the numbers of the draws to come.
        """
        config, rule = self.config, self.config.bracket
        if config.max_seconds or isfinite(config.hard_limit) or len(pools) < 2:
            survivors, draws = list[int](), count(1)
            for pool in pools:
                survivors += yield from self._bracket(pool, winners, 1, draws)
            return survivors, draws
        courses = [bracket_groups(len(pool), winners, config.rounds, rule) for pool in pools]
        work = tuple(sum(len(trained_of(groups, rule)) for groups in course) for course in courses)
        lengths = [sum(1 + len(groups) for groups in course) for course in courses]
        starts = list(accumulate(lengths[:-1], initial=1))
        numbers = [count(start) for start in starts]
        scripts = (self._bracket(pool, winners, 1, draws) for pool, draws in zip(pools, numbers, strict=True))
        won = yield All(tuple(scripts), self.population.at_once, work, nested=True)
        made = sum(next(draws) - start for draws, start in zip(numbers, starts, strict=True))
        return [one for winners in won for one in winners], count(1 + made)

    def _bracket(self, members: list[int], winners: int, phase: int, draws: Iterator[int]) -> Script:
        """Knock members out in rounds; what a lucky ticket is and costs depends on ``config.bracket``."""
        rule, round = self.config.bracket, 0
        while (drawn := round_groups(len(members), winners, round, self.config.rounds, rule)) is not None:
            order = torch.randperm(len(members), generator=self._draw("shuffle", draws)).tolist()
            groups = [[members[order[i]] for i in group] for group in drawn]
            calls = [(member, float(self.config.epochs_per_round)) for member in trained_of(groups, rule)]
            yield from self._train(f"phase {phase}", calls)
            alive = [[member for member in group if member in self.candidates] for group in groups]
            members = [self._best(group, phase, draws) for group in alive if group]
            if losers := [member for group in alive for member in group if member not in members]:
                yield from self.population.retire(f"lost in phase {phase}, round {round + 1}", losers)
            round += 1
        return members

    def _train(self, phase: str, calls: list[tuple[int, float]]) -> Script:
        """Have networks trained, as far as the budget reaches; returns those that were."""
        calls = [] if self.population.over else affordable(calls, self.population.spent, self.config.hard_limit)
        if not calls:
            return set()
        scores = yield from self.population.train(phase, calls)
        for id, score in scores.items():
            if score is None:
                del self.candidates[id]
            else:
                self.candidates[id] = replace(self.candidates[id], score=score)
        return set(scores)

    def _best(self, group: list[int], phase: int, draws: Iterator[int]) -> int:
        """The group's winner; ties go to the one that was drawn first."""
        alpha = 1.0 if phase == 1 else self.config.alpha
        competing = [self.candidates[member] for member in group]
        return choose(competing, alpha, self.config, self._draw("winner", draws)).id

    def _draw(self, purpose: str, draws: Iterator[int]) -> torch.Generator:
        return generator(self.seed, "ectonas", purpose, self.number, next(draws))


def choose(candidates: Sequence[Candidate], alpha: float, config: EctonasConfig, draw: torch.Generator) -> Candidate:
    """The fittest, the first of equals; in random mode any one."""
    if config.random_mode:
        return candidates[int(torch.randint(len(candidates), (), generator=draw))]
    return max(candidates, key=lambda candidate: fitness(candidate, alpha, config.deltas))
