"""Which candidates of an edge stay at the end of a cycle (PR-DARTS III-B)."""

from collections.abc import Sequence

from growsearch.networks.darts.candidate import Candidate


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
