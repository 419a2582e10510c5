"""Statistics of the pools of candidates (PR-DARTS IV-B, figure 2)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from growsearch.algorithms.prdarts.decisions import CellPools, kept_edges
from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.search import CELL_KINDS

TYPES = ("conv", "skip", "pool", "none")


def pool_statistics(
    pools: Mapping[str, CellPools], scores: Mapping[str, Sequence[float]] | None, num_nodes: int, self_pairs: bool
) -> dict[str, Any]:
    """:func:`cell_statistics` of both cells; with the scores of their edges, of the kept edges alone."""
    found = {}
    for kind in CELL_KINDS:
        edges = pools[kind].pools()
        if scores is not None:
            edges = [edges[edge] for edge in kept_edges(scores[kind], num_nodes)]
        found[kind] = cell_statistics(edges, pools[kind].parent_probabilities, self_pairs)
    return found


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


def _kernel_shares(pool: Sequence[Candidate]) -> dict[str, float]:
    kernels = [candidate.kernel for candidate in pool if candidate.is_conv]
    return {str(kernel): count / len(kernels) for kernel, count in sorted(Counter(kernels).items())}


def similarity(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """Similarity in [0, 1] of two operations given as ``{"op": type, setting: value, ...}``.

    0 for different types; else the share of equal settings, the type counted as one of them.
    Lists count partially: as many parts as the shorter has entries, and one for equal length.
    """
    if a["op"] != b["op"]:
        return 0.0
    settings = [name for name in a if name != "op"]
    return (1.0 + sum(_agreement(a[name], b[name]) for name in settings)) / (1 + len(settings))


def mean_similarity(operations: Sequence[Mapping[str, Any]], self_pairs: bool = True) -> float:
    """Mean of :func:`similarity` over all pairs; 1 for a single operation.

    The paper says "all pairwise"; its Figure 2 starts at 1/3, which needs each operation's pair with
    itself (``self_pairs``).
    """
    numbers = range(len(operations))
    pairs = [(i, j) for i in numbers for j in numbers if self_pairs or i != j]
    return sum(similarity(operations[i], operations[j]) for i, j in pairs) / len(pairs) if pairs else 1.0


def _agreement(a: Any, b: Any) -> float:
    if not isinstance(a, list | tuple):
        return float(a == b)
    shorter = min(len(a), len(b))
    equal = sum(x == y for x, y in zip(a, b, strict=False))
    return (float(len(a) == len(b)) + equal) / (shorter + 1)
