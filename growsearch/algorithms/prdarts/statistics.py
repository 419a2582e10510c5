"""What Figure 2 shows of the pools."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from growsearch.networks.darts.candidate import Candidate
from growsearch.probes.similarity import mean_similarity

TYPES = ("conv", "skip", "pool", "none")


def cell_statistics(pools: Sequence[Sequence[Candidate]], parent_probabilities: Sequence[float] = ()) -> dict[str, Any]:
    """Statistics of one cell's edges, as plain types.

    Args:
        pools: candidates of each edge; edges that are not part of a cell any more are left out.
        parent_probabilities: of the parents drawn for the newest candidates.

    Returns:
        ``operations``: labels per edge; ``similarity``: mean over edges of the mean pairwise
        similarity; ``types``: share of each type over all candidates; ``kernels``: per edge, the
        share of each kernel size among its convs; ``parent_probability``: mean, None without any.
    """
    everything = [candidate for pool in pools for candidate in pool]
    similarities = [mean_similarity([candidate.to_json() for candidate in pool]) for pool in pools if pool]
    return {
        "operations": [[candidate.label for candidate in pool] for pool in pools],
        "similarity": sum(similarities) / len(similarities),
        "types": {op: sum(c.op == op for c in everything) / len(everything) for op in TYPES},
        "kernels": [_kernel_shares(pool) for pool in pools],
        "parent_probability": sum(parent_probabilities) / len(parent_probabilities) if parent_probabilities else None,
    }


def _kernel_shares(pool: Sequence[Candidate]) -> dict[str, float]:
    kernels = [candidate.kernel for candidate in pool if candidate.is_conv]
    return {str(kernel): count / len(kernels) for kernel, count in sorted(Counter(kernels).items())}
