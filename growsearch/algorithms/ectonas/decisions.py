"""Decisions of a competition as pure functions: brackets, fitness, budget, degenerate children.

A bracket's groups hold positions in the shuffled list of members. A group of one is a lucky ticket.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from growsearch.algorithms.ectonas.config import Limits, Recuperation
from growsearch.algorithms.ectonas.offspring import Spec, parameter_count


def groups(members: int, winners: int, round: int, rounds: int) -> list[list[int]]:
    """Group ``members`` for one round as the authors' code does.

    With no more members than wanted winners each is its own group. Else there are
    ``winners * 2 ** (rounds - round - 1)`` groups of two; members beyond that join them in turn, so
    that groups may grow, and groups left empty are dropped.
    """
    if members <= winners:
        return [[i] for i in range(members)]
    count = winners * 2 ** (rounds - round - 1)
    late = range(2 * count, members)
    made = [[*range(2 * g, min(2 * g + 2, members)), *late[g::count]] for g in range(count)]
    return [group for group in made if group]


def pairs(members: int) -> list[list[int]]:
    """Group ``members`` in pairs as the paper's figure 2 does; an odd one is left alone."""
    return [list(range(i, min(i + 2, members))) for i in range(0, members, 2)]


def round_groups(members: int, winners: int, round: int, rounds: int, rule: str) -> list[list[int]] | None:
    """Groups of one round, or None when the bracket is over.

    By the paper's rule pairs meet until no more than the wanted winners are left. The last round
    pairs only as many as must go, so that just that number is left; the others hold lucky tickets.
    """
    if rule == "code":
        return groups(members, winners, round, rounds) if round < rounds else None
    if members <= winners:
        return None
    if (members + 1) // 2 >= winners:
        return pairs(members)
    losers = members - winners
    return pairs(2 * losers) + [[i] for i in range(2 * losers, members)]


def bracket_groups(members: int, winners: int, rounds: int, rule: str) -> list[list[list[int]]]:
    """Groups of each round of a bracket that loses no member but to others."""
    course = list[list[list[int]]]()
    while (drawn := round_groups(members, winners, len(course), rounds, rule)) is not None:
        course.append(drawn)
        members = len(drawn)
    return course


def trained_of(groups: Iterable[Sequence[int]], rule: str) -> list[int]:
    """Members of groups that are trained: a lucky ticket is by the code's rule only."""
    return [member for group in groups if rule == "code" or len(group) > 1 for member in group]


@dataclass(frozen=True)
class Candidate:
    """A network in the competition.

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


def partial_batches(num_batches: int, fraction: float) -> int:
    """Batches of a fraction of an epoch: the product's floor, at least one (the original crashes at none)."""
    return max(1, int(fraction * num_batches))


def recuperation_epochs(op: str, table: Recuperation) -> float:
    """Epochs a child made by ``op`` is trained before it competes."""
    return asdict(table)[op]


def affordable(calls: Sequence[tuple[int, float]], spent: float, budget: float) -> list[tuple[int, float]]:
    """Cut training calls (network, epochs) to what is left of the budget, in their order."""
    kept = []
    for network, epochs in calls:
        epochs = tidy(min(epochs, budget - spent))
        if epochs <= 0:
            break
        kept.append((network, epochs))
        spent = tidy(spent + epochs)
    return kept


def tidy(epochs: float) -> float:
    """Epochs without the dust of adding tenths and quarters."""
    return round(epochs, 6)


def rejection(spec: Spec, parent_params: int, limits: Limits, max_params: int) -> str | None:
    """Say why the child that ``spec`` describes is degenerate, or None if it may compete.

    Growth is counted in percent of the parent's trainable parameters; a limit of 0 is none.
    """
    params = parameter_count(spec)
    if max_params and params >= max_params:
        return "too many parameters"
    if (params - parent_params) / parent_params * 100 >= limits.growth_percent:
        return "grown too much"
    if limits.layers and len(spec["cells"]) + len(spec["hidden"]) + 1 > limits.layers:
        return "too many layers"
    if limits.channels and any(cell["channels"] > limits.channels for cell in spec["cells"]):
        return "too many channels"
    if limits.units and any(units > limits.units for units in spec["hidden"]):
        return "too many units"
    return None
