"""Infinite feature selection (Roffo, Melzi, Cristani, ICCV 2015): unsupervised, on a feature graph."""

from typing import Literal

import torch
from torch import Tensor

from growsearch.errors import UserError


def average_ranks(X: Tensor) -> Tensor:
    """Ranks 1..N of each column of X (N, P) in float64; ties share their mean rank."""
    columns = X.T.contiguous()
    ordered = columns.sort(dim=1).values
    below = torch.searchsorted(ordered, columns, right=False)
    up_to = torch.searchsorted(ordered, columns, right=True)
    return ((below + up_to + 1).double() / 2).T


def spearman(X: Tensor) -> Tensor:
    """Rank correlations (P, P) of the columns of X (N, P); 0 wherever a column is constant."""
    ranks = average_ranks(X)
    ranks = ranks - ranks.mean(0)
    norm = torch.linalg.vector_norm(ranks, dim=0)
    unit = torch.where(norm > 0, ranks / norm, 0.0)
    return unit.T @ unit


def path_scores(adjacency: Tensor, factor: float) -> Tensor:
    """Sum of the weights of all paths from each node of a symmetric graph (P, P).

    Paths of length l are discounted by (factor / spectral radius)^l: (I - rA)^-1 1 - 1. NaN if the
    graph has no edge.
    """
    radius = torch.linalg.eigvalsh(adjacency).abs().max()
    identity = torch.eye(adjacency.shape[0], dtype=adjacency.dtype, device=adjacency.device)
    ones = adjacency.new_ones(adjacency.shape[0])
    if not radius > 0:
        return torch.full_like(ones, float("nan"))
    return torch.linalg.solve(identity - factor / radius * adjacency, ones) - 1


def inf_fs(
    X: Tensor, alpha: float = 0.5, *, factor: float = 0.9, sigma: Literal["minmax", "plain"] = "minmax"
) -> Tensor:
    """Score of each feature by its paths to all features.

    The graph is A = alpha * sigma_ij + (1 - alpha) * (1 - |spearman_ij|), where sigma_ij is the larger
    of the two deviations.

    Args:
        X: Features (N, P).
        alpha: Share of spread against decorrelation, 0 to 1.
        factor: Discount, above 0 and below 1; scores have their mean below factor / (1 - factor).
        sigma: ``minmax`` scales the spread term to [0, 1] over all pairs, as the released code does;
            ``plain`` leaves it.

    Returns:
        Float64 tensor (P,) on the device of X; NaN if no two features differ in anything, or values are not finite.

    Raises:
        UserError: if an option is outside its range.
    """
    if not 0 <= alpha <= 1:
        raise UserError(f"alpha: {alpha} is not accepted; use 0 to 1")
    if not 0 < factor < 1:
        raise UserError(f"factor: {factor} is not accepted; use a number between 0 and 1")
    if sigma not in ("minmax", "plain"):
        raise UserError(f"sigma: {sigma!r} is not accepted; use 'minmax' or 'plain'")
    X = torch.as_tensor(X).double()
    if not X.isfinite().all():
        return X.new_full((X.shape[1],), float("nan"))
    deviation = X.std(0, correction=1)
    spread = torch.maximum(deviation[:, None], deviation[None, :])
    if sigma == "minmax":
        low, high = spread.min(), spread.max()
        spread = (spread - low) / (high - low) if high > low else torch.zeros_like(spread)
    return path_scores(alpha * spread + (1 - alpha) * (1 - spearman(X).abs()), factor)
