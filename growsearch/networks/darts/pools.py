"""The candidates every edge starts with, by the names of the publications."""

from collections.abc import Sequence

from growsearch.errors import UserError
from growsearch.networks.darts.candidate import Candidate, parse

INITIAL_POOLS: dict[str, tuple[str, ...]] = {
    "prdarts4": ("max3", "avg3", "skip", "conv3[]"),
    "prdarts5": ("none", "max3", "avg3", "skip", "conv3[]"),
    "darts": ("none", "max3", "avg3", "skip", "conv3[1]", "conv5[1]", "conv3d2[]", "conv5d2[]"),
}
"""PR-DARTS IV-A (prdarts4), the same with the zero operation, and DARTS' eight (2.1, 3.1.1)."""


def initial_pool(pool: str | Sequence[str]) -> tuple[Candidate, ...]:
    """Candidates of a named pool, or of a list of labels.

    Raises:
        UserError: if the name or a label is unknown, or a candidate is listed twice.
    """
    if isinstance(pool, str):
        if pool not in INITIAL_POOLS:
            raise UserError(
                f"pool: {pool!r} is not accepted; use one of {', '.join(INITIAL_POOLS)} or a list of labels"
            )
        pool = INITIAL_POOLS[pool]
    if not isinstance(pool, Sequence) or not all(isinstance(label, str) for label in pool):
        raise UserError(f"pool: {pool!r} is not accepted; use one of {', '.join(INITIAL_POOLS)} or a list of labels")
    candidates = tuple(parse(label) for label in pool)
    if not candidates or len(set(candidates)) < len(candidates):
        raise UserError(f"pool: {', '.join(pool) or 'nothing'} is not accepted; use different candidates")
    return candidates
