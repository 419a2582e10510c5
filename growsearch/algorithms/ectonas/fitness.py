"""How candidates are compared: accuracy alone, or gain against growth."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Candidate:
    """What the competition knows of a network.

    Attributes:
        id: number of the network.
        op: operation that made it.
        params: trainable parameters.
        score: mean of the last entries of the scoring key, a fraction.
        parent_params: trainable parameters of its parent; None for the start network.
        parent_score: its parent's score when this one was made; None for the start network.
    """

    id: int
    op: str
    params: int
    score: float
    parent_params: int | None = None
    parent_score: float | None = None


def rolling_score(values: Sequence[float], window: int) -> float:
    """Mean of the last ``window`` entries, inherited and fractional ones included; 0 if there is none."""
    recent = values[-window:]
    return sum(recent) / len(recent) if recent else 0.0


def fitness(candidate: Candidate, alpha: float, deltas: str = "relative") -> float:
    """Equation 2: the score itself for alpha 1, else ``alpha * dv - (1 - alpha) * dp``.

    Changes of score and parameters are relative to the parent's (the code's reading), or their plain
    differences. A network without a parent is compared by its score; so is gain over a score of zero.
    """
    if alpha >= 1 or candidate.parent_score is None or candidate.parent_params is None:
        return candidate.score
    gain: float = candidate.score - candidate.parent_score
    growth: float = candidate.params - candidate.parent_params
    if deltas == "relative":
        gain = gain / candidate.parent_score if candidate.parent_score else gain
        growth = growth / candidate.parent_params
    return alpha * gain - (1 - alpha) * growth
