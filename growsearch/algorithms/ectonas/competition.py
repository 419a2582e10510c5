"""The competition of one generation, as a pure generator of requests.

A generator of plain requests that receives plain answers: it trains nothing and holds no network.

    ["breed", parents]                    -> [[child, op, params, parent], ...]
    ["train", phase, [[id, epochs], ...]] -> {"scores": {id: score}, "spent": epochs, "over": bool}
                                             a score is None if the network was dropped; there is
                                             none for calls not begun when the time was over
    ["side by side", chapters, work]      -> what each returns; ``work`` is how much each has trained
    ["retire", fate, ids]                 -> None
    ["succeed", candidates]               the next chapter begins; no candidates: no further generation
    ["crown", id]                         the search is over
"""

from collections.abc import Generator, Iterator, Sequence
from dataclasses import asdict, replace
from itertools import accumulate, count
from math import isfinite
from typing import Any

import torch

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
from growsearch.randomness import generator

Request = list[Any]
Chapter = Generator[Request, Any, None]


def warm_up(start: Candidate, config: EctonasConfig) -> Chapter:
    """Train the start network before it has children."""
    calls = affordable([(start.id, float(config.warm_up_epochs))], 0.0, config.hard_limit)
    answer = yield ["train", "warm-up", [list(call) for call in calls]]
    yield ["succeed", [asdict(replace(start, score=answer["scores"].get(str(start.id), start.score)))]]


def final_selection(parents: Sequence[Candidate], config: EctonasConfig, draw: torch.Generator) -> Chapter:
    """Choose the network that the search ends with from the last parents."""
    best = choose(parents, config.alpha, config, draw)
    if losers := [parent.id for parent in parents if parent.id != best.id]:
        yield ["retire", "lost the final selection", losers]
    yield ["crown", best.id]


class Competition:
    """One generation: children of all parents, recuperation, and the two phases of brackets.

    Args:
        config: settings of the method.
        seed: of the run.
        number: of the generation; with the seed it names every draw.
        parents: networks that have children.
        spent: epochs charged before this generation.
    """

    def __init__(
        self, config: EctonasConfig, seed: int, number: int, parents: Sequence[Candidate], spent: float
    ) -> None:
        self.config, self.seed, self.number, self.spent = config, seed, number, spent
        self.parents = list(parents)
        self.candidates = {parent.id: parent for parent in parents}
        self.over = False

    def play(self) -> Chapter:
        """Ask for everything a generation takes; if no child is left, the parents stay and the search ends."""
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
            yield ["retire", "succeeded by its children", [parent.id for parent in self.parents]]
        yield ["succeed", [asdict(self.candidates[child]) for child in survivors]]

    def _breed(self) -> Generator[Request, Any, list[int]]:
        rows = yield ["breed", [parent.id for parent in self.parents]]
        for child, op, params, parent_id in rows:
            parent = self.candidates[parent_id]
            self.candidates[child] = Candidate(child, op, params, parent.score, parent.params, parent.score)
        return [row[0] for row in rows]

    def _recuperate(self, children: list[int]) -> Generator[Request, Any, list[int]]:
        """Train every child as its operation needs; those that a strict budget or the clock leaves out go."""
        table = self.config.recuperation
        calls = [(child, recuperation_epochs(self.candidates[child].op, table)) for child in children]
        trained = yield from self._train("recuperation", self._paid(calls))
        if unpaid := [child for child in children if child not in trained]:
            yield ["retire", "budget spent", unpaid]
        return [child for child in children if child in trained and child in self.candidates]

    def _brackets(
        self, pools: list[list[int]], winners: int
    ) -> Generator[Request, Any, tuple[list[int], Iterator[int]]]:
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
        work = [sum(len(trained_of(groups, rule)) for groups in course) for course in courses]
        lengths = [sum(1 + len(groups) for groups in course) for course in courses]
        starts = list(accumulate(lengths[:-1], initial=1))
        numbers = [count(start) for start in starts]
        chapters = [self._bracket(pool, winners, 1, draws) for pool, draws in zip(pools, numbers, strict=True)]
        won = yield ["side by side", chapters, work]
        made = sum(next(draws) - start for draws, start in zip(numbers, starts, strict=True))
        return [one for winners in won for one in winners], count(1 + made)

    def _bracket(
        self, members: list[int], winners: int, phase: int, draws: Iterator[int]
    ) -> Generator[Request, Any, list[int]]:
        """Knock members out in rounds; what a lucky ticket is and costs depends on ``config.bracket``."""
        rule, round = self.config.bracket, 0
        while (drawn := round_groups(len(members), winners, round, self.config.rounds, rule)) is not None:
            order = torch.randperm(len(members), generator=self._draw("shuffle", draws)).tolist()
            groups = [[members[order[i]] for i in group] for group in drawn]
            calls = [(member, float(self.config.epochs_per_round)) for member in trained_of(groups, rule)]
            yield from self._train(f"phase {phase}", self._paid(calls))
            alive = [[member for member in group if member in self.candidates] for group in groups]
            members = [self._best(group, phase, draws) for group in alive if group]
            if losers := [member for group in alive for member in group if member not in members]:
                yield ["retire", f"lost in phase {phase}, round {round + 1}", losers]
            round += 1
        return members

    def _train(self, phase: str, calls: list[tuple[int, float]]) -> Generator[Request, Any, set[int]]:
        """Have networks trained; returns those that were."""
        if not calls:
            return set()
        answer = yield ["train", phase, [list(call) for call in calls]]
        self.spent, self.over = answer["spent"], answer["over"]
        scores = {int(key): score for key, score in answer["scores"].items()}
        for id, score in scores.items():
            if score is None:
                del self.candidates[id]
            else:
                self.candidates[id] = replace(self.candidates[id], score=score)
        return set(scores)

    def _paid(self, calls: list[tuple[int, float]]) -> list[tuple[int, float]]:
        return [] if self.over else affordable(calls, self.spent, self.config.hard_limit)

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
