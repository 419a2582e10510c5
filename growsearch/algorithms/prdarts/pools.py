"""What every edge of a cell holds, ever held, and where it came from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from growsearch.algorithms.prdarts.morphisms import MorphLimits
from growsearch.algorithms.prdarts.prune import survivors
from growsearch.algorithms.prdarts.replace import Morph, propose
from growsearch.networks.darts.candidate import Candidate, parse
from growsearch.training import state


@state
class EdgePool:
    """Candidates of one edge by id.

    Attributes:
        live: the candidates it has, ascending.
        seen: every candidate it ever had.
        parents: parent by child (an id as a string), for those that were made by a morphism; the latest counts.
    """

    live: list[int]
    seen: list[int]
    parents: dict[str, int] = field(default_factory=dict)


@state
class CellPools:
    """Edges of one kind of cell.

    Attributes:
        catalogue: label of every candidate that any edge discovered; its index is its id.
        edges: in order of their numbers.
        parent_probabilities: of the parents drawn last.
    """

    catalogue: list[str]
    edges: list[EdgePool]
    parent_probabilities: list[float] = field(default_factory=list)

    def candidate(self, number: int) -> Candidate:
        """The candidate of an id."""
        return parse(self.catalogue[number])

    def pools(self) -> list[list[Candidate]]:
        """Live candidates of every edge."""
        return [[self.candidate(number) for number in edge.live] for edge in self.edges]

    def spec(self) -> list[list[list[Any]]]:
        """Ids and labels of every edge, as the search network's spec has them."""
        return [[[number, self.catalogue[number]] for number in edge.live] for edge in self.edges]


@dataclass(frozen=True)
class CycleEnd:
    """What happens to every edge at the end of a cycle.

    Attributes:
        keep: candidates it has afterwards.
        morphs: of these, new ones.
        protect: keep the most probable conv whatever its rank.
        none_last: drop ``none`` before all others.
        limits: what morphs may be.
    """

    keep: int
    morphs: int
    protect: bool
    none_last: bool
    limits: MorphLimits


@dataclass(frozen=True)
class EdgeChange:
    """What happened to an edge: labels dropped, (child, parent, morphism) labels added; ids born by parent id."""

    dropped: list[str]
    added: list[tuple[str, str, str]]
    born: dict[int, int]


def initial_pools(candidates: Sequence[Candidate], num_edges: int) -> CellPools:
    """The same candidates on every edge."""
    numbers = list(range(len(candidates)))
    edges = [EdgePool(list(numbers), list(numbers)) for _ in range(num_edges)]
    return CellPools([candidate.label for candidate in candidates], edges)


def renew(
    pools: CellPools,
    probabilities: Sequence[Sequence[float]],
    end: CycleEnd,
    generator: Callable[[int], torch.Generator],
) -> tuple[CellPools, list[EdgeChange]]:
    """Prune every edge of a cell and insert morphs; the argument stays as it is.

    Args:
        pools: what the edges hold.
        probabilities: softmax values per edge, one for each of its candidates.
        end: what to do.
        generator: source of draws for an edge's number.
    """
    catalogue, edges, changes = list(pools.catalogue), list[EdgePool](), list[EdgeChange]()
    drawn: list[float] = []
    for number, (edge, values) in enumerate(zip(pools.edges, probabilities, strict=True)):
        candidates = [parse(catalogue[i]) for i in edge.live]
        stay = survivors(candidates, values, end.keep, end.morphs, end.protect, end.none_last)
        kept = [edge.live[i] for i in stay]
        morphs = propose(
            [candidates[i] for i in stay],
            [values[i] for i in stay],
            [parse(catalogue[i]) for i in edge.seen],
            end.morphs,
            end.limits,
            generator(number),
        )
        born = {_number(catalogue, morph.child): kept[morph.parent] for morph in morphs}
        edges.append(_renewed(edge, kept, born))
        changes.append(_change(catalogue, edge, kept, born, morphs))
        drawn += [morph.probability for morph in morphs]
    return CellPools(catalogue, edges, drawn), changes


def _renewed(edge: EdgePool, kept: list[int], born: dict[int, int]) -> EdgePool:
    parents = {**edge.parents, **{str(child): parent for child, parent in born.items()}}
    return EdgePool(sorted([*kept, *born]), sorted({*edge.seen, *born}), parents)


def _change(
    catalogue: list[str], edge: EdgePool, kept: list[int], born: dict[int, int], morphs: list[Morph]
) -> EdgeChange:
    added = [(m.child.label, catalogue[kept[m.parent]], m.morphism) for m in morphs]
    return EdgeChange([catalogue[i] for i in edge.live if i not in kept], added, born)


def _number(catalogue: list[str], candidate: Candidate) -> int:
    """Id of a candidate; one that no edge had before is entered."""
    if candidate.label not in catalogue:
        catalogue.append(candidate.label)
    return catalogue.index(candidate.label)
