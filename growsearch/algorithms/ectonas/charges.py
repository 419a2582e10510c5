"""What training costs: epochs charged to the one budget."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from growsearch.algorithms.ectonas.brackets import bracket_sizes
from growsearch.algorithms.ectonas.config import EctonasConfig, Recuperation


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


def generation_charges(types: Mapping[str, int], config: EctonasConfig) -> dict[str, float]:
    """Epochs of one generation by part, for children counted by type, none lost and the code's brackets."""
    lasting, each = config.max_parents, config.epochs_per_round
    winners = 1 if len(types) >= lasting else lasting
    brackets = [bracket_sizes(count, winners, config.rounds) for count in types.values()]
    survivors = sum(sizes[-1] for sizes in brackets)
    final = bracket_sizes(survivors, lasting, config.rounds) if survivors > lasting else [0]
    return {
        "recuperation": tidy(sum(recuperation_epochs(op, config.recuperation) * n for op, n in types.items())),
        "phase1": each * sum(sum(sizes[:-1]) for sizes in brackets),
        "phase2": each * sum(final[:-1]),
    }
