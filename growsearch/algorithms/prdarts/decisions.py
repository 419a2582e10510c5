"""Decisions at a cycle's end: candidates pruned, replaced and kept on every edge (PR-DARTS III-B)."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from growsearch.algorithms.prdarts.morphisms import MorphLimits, children
from growsearch.networks.darts.candidate import Candidate, parse
from growsearch.networks.darts.genotype import CellGenotype, Genotype, GenotypeEdge
from growsearch.networks.darts.search import CELL_KINDS
from growsearch.networks.darts.search_cell import edge_ends
from growsearch.randomness import generator

ATTEMPTS = 250
"""Draws of (parent, morphism) a place is given before it stays empty."""
PATIENCE = 201
"""Draws after which a candidate that was dropped earlier may come back."""
INPUTS_PER_NODE = 2

Values = Mapping[str, Sequence[Sequence[float]]]
"""By cell kind and edge: the softmax values of its candidates."""


@dataclass(frozen=True)
class EdgePool:
    """Candidates of one edge by id.

    Attributes:
        live: the candidates it has, ascending.
        seen: every candidate it ever had.
        parents: parent by child, for those that were made by a morphism; the latest counts.
    """

    live: list[int]
    seen: list[int]
    parents: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
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

    def pools(self) -> list[list[Candidate]]:
        """Live candidates of every edge."""
        return [[parse(self.catalogue[number]) for number in edge.live] for edge in self.edges]

    def spec(self) -> list[list[list[Any]]]:
        """Ids and labels of every edge, as the search network's spec has them."""
        return [[[number, self.catalogue[number]] for number in edge.live] for edge in self.edges]


@dataclass(frozen=True)
class CycleEnd:
    """Decisions on every edge at the end of a cycle.

    Attributes:
        keep: candidates it has afterwards.
        morphs: of these, new ones.
        protect: keep the most probable conv whatever its rank.
        none_last: drop ``none`` before all others.
        limits: what morphs may be.
        wasted_draws: see :func:`propose`.
    """

    keep: int
    morphs: int
    protect: bool
    none_last: bool
    limits: MorphLimits
    wasted_draws: bool = False


@dataclass(frozen=True)
class Morph:
    """A new candidate of an edge.

    Attributes:
        child: what enters.
        parent: position of its parent among the survivors.
        morphism: how it was made.
        probability: the parent's share of the survivors' probability.
    """

    child: Candidate
    parent: int
    morphism: str
    probability: float


@dataclass(frozen=True)
class EdgeChange:
    """Changes of an edge: labels dropped, (child, parent, morphism) labels added; ids born by parent id."""

    dropped: list[str]
    added: list[tuple[str, str, str]]
    born: dict[int, int]


def initial_pools(candidates: Sequence[Candidate], num_edges: int) -> CellPools:
    """The same candidates on every edge."""
    numbers = list(range(len(candidates)))
    edges = [EdgePool(list(numbers), list(numbers)) for _ in range(num_edges)]
    return CellPools([candidate.label for candidate in candidates], edges)


def renew_cells(
    pools: Mapping[str, CellPools],
    probabilities: Values,
    end: CycleEnd,
    seed: int,
    cycle: int,
) -> tuple[dict[str, CellPools], dict[str, list[EdgeChange]]]:
    """Pools of both cell kinds after a cycle, and what changed; see :func:`renew`."""
    after, changes = dict[str, CellPools](), dict[str, list[EdgeChange]]()
    for kind in CELL_KINDS:
        draws = partial(generator, seed, "morphs", cycle, kind)
        after[kind], changes[kind] = renew(pools[kind], probabilities[kind], end, draws)
    return after, changes


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
            end.wasted_draws,
        )
        born = {_number(catalogue, morph.child): kept[morph.parent] for morph in morphs}
        added = [(m.child.label, catalogue[kept[m.parent]], m.morphism) for m in morphs]
        edges.append(EdgePool(sorted([*kept, *born]), sorted({*edge.seen, *born}), {**edge.parents, **born}))
        changes.append(EdgeChange([catalogue[i] for i in edge.live if i not in kept], added, born))
        drawn += [morph.probability for morph in morphs]
    return CellPools(catalogue, edges, drawn), changes


def _number(catalogue: list[str], candidate: Candidate) -> int:
    """Id of a candidate; one that no edge had before is entered."""
    if candidate.label not in catalogue:
        catalogue.append(candidate.label)
    return catalogue.index(candidate.label)


def survivors(
    candidates: Sequence[Candidate],
    probabilities: Sequence[float],
    keep: int,
    morphs: int,
    protect: bool,
    none_last: bool = False,
) -> list[int]:
    """Positions of the candidates that stay, ascending.

    The least probable go; of equals the one listed first goes first.

    Args:
        candidates: the edge's pool.
        probabilities: softmax of their architecture weights.
        keep: wanted size of the pool once morphs are inserted.
        morphs: candidates about to be inserted.
        protect: the most probable conv cannot go (false in the last cycle).
        none_last: ``none`` goes before all others (DARTS never keeps it).
    """
    num_dropped = max(0, len(candidates) - keep + morphs)
    ranked = sorted(
        range(len(candidates)), key=lambda i: (not (none_last and candidates[i].op == "none"), probabilities[i], i)
    )
    convs = [i for i in ranked if candidates[i].is_conv]
    droppable = [i for i in ranked if not (protect and convs and i == convs[-1])]
    dropped = set(droppable[:num_dropped])
    return [i for i in range(len(candidates)) if i not in dropped]


def propose(
    survivors: Sequence[Candidate],
    probabilities: Sequence[float],
    seen: Collection[Candidate],
    morphs: int,
    limits: MorphLimits,
    generator: torch.Generator,
    wasted_draws: bool = False,
) -> list[Morph]:
    """Draw up to ``morphs`` new candidates for one edge.

    Parents are drawn by probability among the survivors that can be morphed (a draw of any other
    would be wasted), morphisms evenly among the feasible ones. A candidate never seen on this edge
    is taken at once, one in the pool never, one dropped earlier only after 201 draws; a place for
    which 250 draws find nothing stays empty.

    Args:
        survivors: candidates that stayed.
        probabilities: their softmax values; where their sum is 0 or not a number, all count alike.
        seen: every candidate this edge ever held, the survivors and those just dropped included.
        morphs: places to fill.
        limits: what may be made.
        generator: where the draws come from.
        wasted_draws: draw among all survivors; one that cannot be morphed costs the draw (code).
    """
    if not sum(probabilities) > 0:
        probabilities = [1.0] * len(survivors)
    total = sum(probabilities)
    options = [list(children(candidate, limits).items()) for candidate in survivors]
    shares = torch.tensor([p / total for p in probabilities])
    weights = torch.where(torch.tensor([bool(o) for o in options]), shares, 0.0)
    if not weights.any():
        return []
    weights = shares if wasted_draws else weights
    pool, known, made = set(survivors), set(seen), list[Morph]()

    def draw() -> Morph | None:
        parent = int(torch.multinomial(weights, 1, generator=generator))
        if not options[parent]:
            return None
        pick = int(torch.randint(len(options[parent]), (), generator=generator))
        name, child = options[parent][pick]
        return Morph(child, parent, name, float(weights[parent]))

    for _ in range(morphs):
        morph = _accepted(draw, pool, known)
        if morph is not None:
            made.append(morph)
            pool.add(morph.child)
            known.add(morph.child)
    return made


def _accepted(
    draw: Callable[[], Morph | None], pool: Collection[Candidate], known: Collection[Candidate]
) -> Morph | None:
    for attempt in range(ATTEMPTS):
        morph = draw()
        if morph is not None and morph.child not in pool and (morph.child not in known or attempt >= PATIENCE):
            return morph
    return None


def described(changes: Sequence[EdgeChange], values: Sequence[Sequence[float]]) -> list[dict[str, Any]]:
    """Changes of each edge, as plain types, with the probabilities of its candidates before."""
    return [
        {"dropped": change.dropped, "added": [list(made) for made in change.added], "probabilities": row}
        for change, row in zip(changes, values, strict=True)
    ]


def parents_of(pools: CellPools, changes: Sequence[EdgeChange], everyone: bool) -> list[dict[int, int]]:
    """Parent by child for each edge: of the newborn, or of everyone whose parent is alive."""
    if not everyone:
        return [change.born for change in changes]
    return [
        {child: parent for child, parent in edge.parents.items() if child in edge.live and parent in edge.live}
        for edge in pools.edges
    ]


def survivor_scores(values: Sequence[Sequence[float]], before: CellPools, after: CellPools) -> list[float]:
    """Probability of the one candidate left on each edge."""
    pairs = zip(values, before.edges, after.edges, strict=True)
    return [row[old.live.index(new.live[0])] for row, old, new in pairs]


def kept_edges(scores: Sequence[float], num_nodes: int = 4) -> list[int]:
    """Numbers of the two best-scored edges into each node, ascending; of equals the earlier edge wins.

    The first node has only two.
    """
    into: dict[int, list[int]] = {}
    for number, (node, _) in enumerate(edge_ends(num_nodes)):
        into.setdefault(node, []).append(number)
    best = (sorted(edges, key=lambda e: (-scores[e], e))[:INPUTS_PER_NODE] for edges in into.values())
    return sorted(number for edges in best for number in edges)


def cell_genotype(candidates: Sequence[Candidate], scores: Sequence[float], num_nodes: int = 4) -> CellGenotype:
    """The cell of the kept edges; its output joins all nodes.

    Args:
        candidates: the one candidate left on each edge.
        scores: the largest softmax value of each edge in the last cycle.
        num_nodes: computed nodes of the cell.
    """
    ends = list(edge_ends(num_nodes))
    edges = [GenotypeEdge(*ends[number], candidates[number]) for number in kept_edges(scores, num_nodes)]
    return CellGenotype(tuple(edges), tuple(range(2, num_nodes + 2)))


def genotype(
    candidates: Mapping[str, Sequence[Candidate]], scores: Mapping[str, Sequence[float]], num_nodes: int = 4
) -> Genotype:
    """Both cells; keys are ``normal`` and ``reduction``."""
    cells = {kind: cell_genotype(candidates[kind], scores[kind], num_nodes) for kind in CELL_KINDS}
    return Genotype(cells["normal"], cells["reduction"])
