"""Which morphs enter an edge at the end of a cycle (PR-DARTS III-B)."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import torch

from growsearch.algorithms.prdarts.morphisms import MorphLimits, children
from growsearch.networks.darts.candidate import Candidate

ATTEMPTS = 250
"""Draws of (parent, morphism) a place is given before it stays empty."""
PATIENCE = 201
"""Draws after which a candidate that was dropped earlier may come back."""


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


def propose(
    survivors: Sequence[Candidate],
    probabilities: Sequence[float],
    seen: Collection[Candidate],
    morphs: int,
    limits: MorphLimits,
    generator: torch.Generator,
) -> list[Morph]:
    """Draw up to ``morphs`` new candidates for one edge.

    Parents are drawn by probability among the survivors that can be morphed (a draw of any other
    would be wasted), morphisms evenly among the feasible ones. A candidate never seen on this edge
    is taken at once, one in the pool never, one dropped earlier only after 201 draws; a place for
    which 250 draws find nothing stays empty.

    Args:
        survivors: candidates that stayed.
        probabilities: their softmax values, summing to anything positive.
        seen: every candidate this edge ever held, the survivors and those just dropped included.
        morphs: places to fill.
        limits: what may be made.
        generator: where the draws come from.
    """
    total = sum(probabilities)
    options = [list(children(candidate, limits).items()) for candidate in survivors]
    weights = torch.tensor([p / total if o else 0.0 for p, o in zip(probabilities, options, strict=True)])
    if not weights.any():
        return []
    pool, known, made = set(survivors), set(seen), list[Morph]()

    def draw() -> Morph:
        parent = int(torch.multinomial(weights, 1, generator=generator))
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


def _accepted(draw: Callable[[], Morph], pool: Collection[Candidate], known: Collection[Candidate]) -> Morph | None:
    for attempt in range(ATTEMPTS):
        morph = draw()
        if morph.child not in pool and (morph.child not in known or attempt >= PATIENCE):
            return morph
    return None
