"""The candidates every edge starts with, by the names of the publications."""

from collections.abc import Sequence

from growsearch.networks.darts.candidate import Candidate, parse

INITIAL_POOLS: dict[str, tuple[str, ...]] = {
    "prdarts4": ("max3", "avg3", "skip", "conv3[]"),
    "prdarts5": ("none", "max3", "avg3", "skip", "conv3[]"),
    "darts": ("none", "max3", "avg3", "skip", "conv3[1]", "conv5[1]", "conv3d2[]", "conv5d2[]"),
}
"""PR-DARTS IV-A (prdarts4), the same with the zero operation, and DARTS' eight (2.1, 3.1.1)."""


def initial_pool(pool: str | Sequence[str]) -> tuple[Candidate, ...]:
    """Candidates of a named pool, or of a list of labels."""
    return tuple(map(parse, INITIAL_POOLS[pool] if isinstance(pool, str) else pool))
