"""What Figure 2 shows of the pools."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from typing import Any

from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.morphisms import reachable
from growsearch.algorithms.prdarts.plans import limits_of
from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.pools import initial_pool
from growsearch.probes.similarity import mean_similarity

TYPES = ("conv", "skip", "pool", "none")


def cell_statistics(
    pools: Sequence[Sequence[Candidate]], parent_probabilities: Sequence[float] = (), self_pairs: bool = True
) -> dict[str, Any]:
    """Statistics of one cell's edges, as plain types.

    Args:
        pools: candidates of each edge; edges that are not part of a cell any more are left out.
        parent_probabilities: of the parents drawn for the newest candidates.
        self_pairs: let each candidate's pair with itself count in the similarity.

    Returns:
        ``operations``: labels per edge; ``similarity``: mean over edges of the mean pairwise
        similarity; ``types``: share of each type over all candidates; ``kernels``: per edge, the
        share of each kernel size among its convs; ``parent_probability``: mean, None without any.
    """
    everything = [candidate for pool in pools for candidate in pool]
    similarities = [mean_similarity([candidate.to_json() for candidate in pool], self_pairs) for pool in pools if pool]
    return {
        "operations": [[candidate.label for candidate in pool] for pool in pools],
        "similarity": sum(similarities) / len(similarities),
        "types": {op: sum(c.op == op for c in everything) / len(everything) for op in TYPES},
        "kernels": [_kernel_shares(pool) for pool in pools],
        "parent_probability": sum(parent_probabilities) / len(parent_probabilities) if parent_probabilities else None,
    }


def discoverable(config: PrdartsConfig, most_rounds: int = 10) -> dict[str, int] | None:
    """Candidates that a search can reach, the initial ones included; None for too many rounds to count them.

    ``by_rules`` follows the morphisms' rules; ``with_pointwise_dilation`` also counts 1 x 1 windows
    with dilation, as the totals printed in Table II do.
    """
    rounds = sum(morphs > 0 for morphs in config.morphs)
    if rounds > most_rounds:
        return None
    start, limits = initial_pool(config.pool), limits_of(config)
    counts = {}
    for name, allowed in (("by_rules", limits.pointwise_dilation), ("with_pointwise_dilation", True)):
        rules = dataclasses.replace(limits, pointwise_dilation=allowed)
        found = {c for first in start if first.is_conv for c in reachable(first, rules, rounds)[-1]}
        counts[name] = len(found | set(start))
    return counts


def _kernel_shares(pool: Sequence[Candidate]) -> dict[str, float]:
    kernels = [candidate.kernel for candidate in pool if candidate.is_conv]
    return {str(kernel): count / len(kernels) for kernel, count in sorted(Counter(kernels).items())}
