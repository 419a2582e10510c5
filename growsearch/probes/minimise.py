"""Bounded minimisation of many scalar functions at once."""

from collections.abc import Callable

import numpy as np

Array = np.ndarray
GOLDEN = 0.5 * (3.0 - np.sqrt(5.0))
RELATIVE = float(np.sqrt(2.2e-16))


def minimise_bounded(
    function: Callable[[Array], Array],
    lower: Array,
    upper: Array,
    *,
    tolerance: float = 0.0,
    where: Array | None = None,
    max_steps: int = 500,
) -> Array:
    """Local minima of B functions of one variable, entry b within [lower[b], upper[b]]: [B].

    Brent's bounded search (golden section with parabolic steps), every entry taking its own path: entry for
    entry the iterates of ``scipy.optimize.minimize_scalar(method="bounded")`` with ``xatol=tolerance``.

    Args:
        function: maps points [B] to values [B], entry for entry.
        lower: lower bounds [B].
        upper: upper bounds [B].
        tolerance: absolute tolerance, beside a relative one of 1.5e-8.
        where: entries to search in; the others return their lower bound.
        max_steps: evaluations at most.
    """
    a, b = lower.astype(np.float64), upper.astype(np.float64)
    best = a + GOLDEN * (b - a)
    if where is not None:
        best = np.where(where, best, a)
    second = third = best
    f_best = function(best)
    f_second = f_third = f_best
    step = previous = np.zeros_like(best)
    for _ in range(max_steps):
        middle = 0.5 * (a + b)
        fine = RELATIVE * np.abs(best) + tolerance / 3.0
        active = np.abs(best - middle) > 2.0 * fine - 0.5 * (b - a)
        if where is not None:
            active &= where
        if not active.any():
            break
        golden = np.where(best >= middle, a - best, b - best)
        parabola, usable = _parabola(best, second, third, f_best, f_second, f_third, previous, a, b, fine)
        previous = np.where(usable, step, golden)
        inner = np.where(usable, _keep_off_bounds(best, parabola, a, b, middle, fine), GOLDEN * golden)
        step = inner
        at = best + np.where(step < 0, -1.0, 1.0) * np.maximum(np.abs(step), fine)
        at = np.where(active, at, best)
        f_at = function(at)
        better = active & (f_at <= f_best)
        worse = active & ~better
        right = at >= best
        a = np.where(better & right, best, np.where(worse & ~right, at, a))
        b = np.where(better & ~right, best, np.where(worse & right, at, b))
        demote = worse & ((f_at <= f_second) | (second == best))
        replace = worse & ~demote & ((f_at <= f_third) | (third == best) | (third == second))
        shift = better | demote
        third, f_third = (
            np.where(shift, second, np.where(replace, at, third)),
            np.where(shift, f_second, np.where(replace, f_at, f_third)),
        )
        second, f_second = (
            np.where(better, best, np.where(demote, at, second)),
            np.where(better, f_best, np.where(demote, f_at, f_second)),
        )
        best, f_best = np.where(better, at, best), np.where(better, f_at, f_best)
    return best


def _parabola(
    best: Array,
    second: Array,
    third: Array,
    f_best: Array,
    f_second: Array,
    f_third: Array,
    previous: Array,
    a: Array,
    b: Array,
    fine: Array,
) -> tuple[Array, Array]:
    """Steps to the minima of the parabolas through three points, and which of them may be taken."""
    r = (best - second) * (f_best - f_third)
    q = (best - third) * (f_best - f_second)
    p = (best - third) * q - (best - second) * r
    q = 2.0 * (q - r)
    p = np.where(q > 0.0, -p, p)
    q = np.abs(q)
    usable = np.abs(previous) > fine
    usable &= (np.abs(p) < np.abs(0.5 * q * previous)) & (p > q * (a - best)) & (p < q * (b - best))
    return np.divide(p, q, out=np.zeros_like(p), where=q > 0), usable


def _keep_off_bounds(best: Array, step: Array, a: Array, b: Array, middle: Array, fine: Array) -> Array:
    """Replace a step that ends too close to a bound by the smallest one towards the middle."""
    at = best + step
    close = ((at - a) < 2.0 * fine) | ((b - at) < 2.0 * fine)
    return np.where(close, np.where(middle >= best, fine, -fine), step)
