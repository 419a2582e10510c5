"""Algorithm 1's decisions, over plain numbers. Depth vectors have one entry per stage."""

from collections.abc import Sequence


def models_trained(iterations: int) -> int:
    """Networks that a search trains: the first, then two per iteration ("evaluated models", Table V)."""
    return 1 + 2 * iterations


def temporary_depths(depths: Sequence[int], delta: int, limits: Sequence[int] | None = None) -> list[int]:
    """Depths of the temporary network T: ``delta`` more in every stage at once, up to ``limits``."""
    return grown(depths, [True] * len(depths), delta, limits)


def growing_stages(
    alpha_a: Sequence[float | None], alpha_t: Sequence[float | None], min_gain: float = 0.0
) -> list[bool]:
    """Stages to deepen: those that score strictly higher in T than in A, by more than ``min_gain``.

    A score that is missing or not a number lets a stage be.
    """
    pairs = zip(alpha_a, alpha_t, strict=True)
    return [a is not None and t is not None and t > a + min_gain for a, t in pairs]


def grown(depths: Sequence[int], grow: Sequence[bool], delta: int, limits: Sequence[int] | None = None) -> list[int]:
    """Depths of the candidate: ``delta`` more where ``grow``, up to ``limits``; no stage ever shrinks."""
    most = [depth + delta for depth in depths] if limits is None else limits
    return [
        max(depth, min(depth + delta, limit)) if more else depth
        for depth, more, limit in zip(depths, grow, most, strict=True)
    ]
