"""Infinite latent feature selection (Roffo et al., ICCV 2017): supervised, two latent factors.

Features are documents whose words are levels of discriminability ("tokens", the first is the best);
a probabilistic latent semantic model says how relevant each feature is. Rules follow the public
reference code (matFR unless an option says otherwise). Shapes: N samples, P features, T tokens.
"""

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from growsearch.errors import UserError

_FIRST_LIKELIHOOD = -999.0
_TOLERANCE = 1e-6
_STEEPNESS = 5000.0


def distances(X: Tensor, y: Tensor) -> Tensor:
    """Squared distance to the own class mean over the sum to all class means, (N, P) in [0, 1].

    The sum over classes is K (x - m)^2 + sum_k (mean_k - m)^2 about the mean m of the means.
    """
    classes, index = torch.unique(y, return_inverse=True)
    sums = X.new_zeros(len(classes), X.shape[1]).index_add_(0, index, X)
    means = sums / torch.bincount(index, minlength=len(classes))[:, None]
    centre = means.mean(0)
    total = len(classes) * (X - centre).square() + (means - centre).square().sum(0)
    return (X - means[index]).square() / total


def count_tokens(X: Tensor, y: Tensor, tokens: int = 4, edges: Literal["minmax", "unit"] = "minmax") -> Tensor:
    """Token counts (T, P): token k holds e_k <= v < e_(k+1), the last v == e_T only.

    Edges are evenly spaced over the feature's own range (``minmax``) or over [0, 1] (``unit``). A
    feature whose distances are undefined gets no tokens.
    """
    values = distances(X.double(), y)
    defined = values.isfinite().all(0)
    values = torch.where(defined, values, 0.0)
    steps = torch.arange(tokens, dtype=torch.float64, device=X.device)[:, None] / (tokens - 1)
    low, high = values.min(0).values, values.max(0).values
    if edges == "unit":
        low, high = torch.zeros_like(low), torch.ones_like(high)
    bounds = low + steps * (high - low)
    bounds[-1] = high
    at_least = torch.stack([(values >= bound).sum(0) for bound in bounds])
    beyond = (values > bounds[-1]).sum(0)
    counts = at_least - torch.cat([at_least[1:], beyond[None]])
    return torch.where(defined, counts, 0)


_PRIORS: dict[str, Callable[[int], slice]] = {
    "matfr": lambda tokens: slice(0, int(0.2 * tokens + 0.5)),
    "fslib": lambda tokens: slice(max(tokens - 3, 0), tokens),
    "late": lambda tokens: slice(max(tokens - int(0.35 * tokens + 0.5) - 1, 0), tokens),
}
"""Which of so many tokens count as relevant before EM."""


def _prior(counts: Tensor, rule: str) -> Tensor:
    """P(relevant | f) before EM: the share of a feature's samples in the rule's tokens."""
    share = counts[_PRIORS[rule](counts.shape[0])].sum(0).double() / counts.sum(0)
    return torch.where(share.isfinite(), share, 0.01)


def relevance(
    counts: Tensor, *, prior_rule: str = "matfr", update_token_factor: bool = False, max_iter: int = 15
) -> tuple[Tensor, int]:
    """P(relevant | f) (P,) by EM on token counts (T, P), and the iterations used.

    With P(t | z) fixed at its linear start every feature is a concave problem of its own.
    """
    num = counts.double()
    relevant = _prior(counts, prior_rule)
    p_z = torch.stack([relevant, 1 - relevant])
    ramp = torch.linspace(_STEEPNESS, 1, counts.shape[0], dtype=torch.float64, device=counts.device)
    p_t = torch.stack([ramp, ramp.flip(0)]) / ramp.sum()
    likelihood, used = _FIRST_LIKELIHOOD, 0
    while used < max_iter:
        used += 1
        joint = p_t[:, :, None] * p_z[:, None, :]
        posterior = torch.where(num > 0, joint / joint.sum(0), 0.0)
        expected = num * posterior
        by_feature = expected.sum(1)
        normaliser = by_feature.sum(0)
        p_z = by_feature / torch.where(normaliser > 0, normaliser, 1e-5)
        if update_token_factor:
            by_token = expected.sum(2)
            p_t = by_token / by_token.sum(1, keepdim=True).clamp_min(1e-300)
        p_tf = (p_t[:, :, None] * p_z[:, None, :]).sum(0)
        new = float(torch.where(num > 0, num * p_tf.log(), 0.0).sum())
        if abs(new - likelihood) < _TOLERANCE:
            break
        likelihood = new
    return p_z[0], used


def rank_one_scores(v: Tensor, factor: float = 0.99) -> Tensor:
    """Path sums (P,) of the graph v v', which has rank one: f / (1 - f) * v_i * sum(v) / sum(v^2)."""
    return factor / (1 - factor) * v * v.sum() / v.square().sum()


def il_fs(
    X: Tensor,
    y: Tensor,
    *,
    tokens: int = 4,
    edges: Literal["minmax", "unit"] = "minmax",
    prior_rule: Literal["matfr", "fslib", "late"] = "matfr",
    update_token_factor: bool = False,
    max_iter: int = 15,
    factor: float = 0.99,
) -> Tensor:
    """Score of each feature by its paths through the graph v v' of relevances v = P(relevant | f).

    Args:
        X: Features (N, P).
        y: Class numbers (N,).
        tokens: Levels of discriminability T, at least 2.
        edges: Range of the levels: each feature's own (``minmax``) or [0, 1] (``unit``).
        prior_rule: Tokens that count as relevant at the start: the first fifth (``matfr``), the last
            three (``fslib``) or the last third (``late``).
        update_token_factor: Estimate P(token | factor) too, instead of keeping its start.
        max_iter: Bound on EM iterations; EM stops earlier when the log-likelihood is still.
        factor: Discount of paths, above 0 and below 1.

    Returns:
        Float64 tensor (P,) on the device of X, with mean at most factor / (1 - factor).

    Raises:
        UserError: if an option is outside its range.
    """
    choices = {"edges": (edges, ("minmax", "unit")), "prior_rule": (prior_rule, tuple(_PRIORS))}
    for option, (found, allowed) in choices.items():
        if found not in allowed:
            raise UserError(f"{option}: {found!r} is not accepted; use one of {', '.join(allowed)}")
    if tokens < 2:
        raise UserError(f"tokens: {tokens} is not accepted; use at least 2")
    if not 0 < factor < 1:
        raise UserError(f"factor: {factor} is not accepted; use a number between 0 and 1")
    counts = count_tokens(torch.as_tensor(X), torch.as_tensor(y), tokens, edges)
    v, _ = relevance(counts, prior_rule=prior_rule, update_token_factor=update_token_factor, max_iter=max_iter)
    return rank_one_scores(v, factor)
