"""Rank, condition and knowledge gain of convolution weights, seen from their input and their output side.

CONet section 2.1: each unfolding of a weight is split by EVBMF into a low-rank part and noise; what is left
of its rank says how much of the channel count training has put to use.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from growsearch.probes.evbmf import Solution, Spectrum, gram_matrices, solve, spectra_of

Condition = Literal["shrunk", "observed"]


@dataclass(frozen=True)
class RankMetrics:
    """Findings of EVBMF in one weight [out, in, kh, kw]; all numbers are 0 where nothing but noise is left.

    ``rank_*`` is the kept rank over the channel count, in [0, 1]; ``condition_*`` the largest over the
    smallest kept singular value; ``gain_*`` (AdaS's knowledge gain) their sum over the largest and the
    channel count. ``solved_*`` is False where EVBMF had no solution (see :class:`Factorisation`).
    """

    rank_in: float
    rank_out: float
    condition_in: float
    condition_out: float
    gain_in: float
    gain_out: float
    solved_in: bool = True
    solved_out: bool = True


def rank_metrics(
    conv_weight: Tensor, *, transpose: bool = True, tolerance: float = 0.0, condition: Condition = "shrunk"
) -> RankMetrics:
    """Rank metrics of one convolution weight [out, in, kh, kw] (``in`` is per group).

    The output unfolding is [out, in*kh*kw], the input unfolding [in, out*kh*kw]. ``transpose`` and ``tolerance``
    are those of :func:`growsearch.probes.evbmf`; ``condition`` names the singular values whose ratio is taken.

    Raises:
        ValueError: if the weight is not four-dimensional.
    """
    return rank_metrics_of(
        [torch.as_tensor(conv_weight)], transpose=transpose, tolerance=tolerance, condition=condition
    )[0]


def rank_metrics_of(
    weights: Sequence[Tensor],
    *,
    transpose: bool = True,
    tolerance: float = 0.0,
    condition: Condition = "shrunk",
) -> list[RankMetrics]:
    """Rank metrics of many weights at once: weights of one shape share their linear algebra, all share one search."""
    if not weights:
        return []
    spectra, of_input, of_output = _spectra(weights, transpose)
    found = solve(spectra, transpose=transpose, tolerance=tolerance)
    solved = ~np.isnan(found.noise)
    conditions, gains = _conditions(found, condition), _gains(found)
    columns = []
    for of_side, channels in ((of_input, [w.shape[1] for w in weights]), (of_output, [w.shape[0] for w in weights])):
        divisor = np.array(channels, dtype=np.float64)
        ranks = (found.ranks[of_side] / divisor).tolist()
        columns += [ranks, conditions[of_side].tolist(), (gains[of_side] / divisor).tolist(), solved[of_side].tolist()]
    names = [f"{quantity}_{side}" for side in ("in", "out") for quantity in ("rank", "condition", "gain", "solved")]
    return [RankMetrics(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def _spectra(weights: Sequence[Tensor], transpose: bool) -> tuple[list[Spectrum], list[int], list[int]]:
    """The unfoldings to be factorised, and which of them is each weight's input and output unfolding."""
    by_shape: dict[torch.Size, list[int]] = defaultdict(list)
    for index, weight in enumerate(weights):
        if weight.dim() != 4:
            raise ValueError(
                f"rank_metrics: shape {tuple(weight.shape)} is not accepted; use a weight [out, in, kh, kw]"
            )
        by_shape[weight.shape].append(index)
    grams: list[Tensor] = []
    for (_, _, *kernel), indices in by_shape.items():
        stack_boihw = torch.stack([weights[i].detach() for i in indices])
        grams.append(gram_matrices(stack_boihw.flatten(2)))
        if kernel != [1, 1]:
            grams.append(gram_matrices(stack_boihw.transpose(1, 2).flatten(2)))
    spectra: list[Spectrum] = []
    of_input, of_output = [0] * len(weights), [0] * len(weights)
    squares = iter(spectra_of(grams))
    for (num_out, num_in, *kernel), indices in by_shape.items():
        area = kernel[0] * kernel[1]
        squares_out = next(squares)
        # the unfoldings of a 1x1 convolution are each other's transposes: the same, seen from the short side
        squares_in = squares_out if area == 1 else next(squares)
        for index, values_in, values_out in zip(indices, squares_in, squares_out, strict=True):
            of_output[index] = of_input[index] = len(spectra)
            spectra.append(Spectrum(values_out, num_out, num_in * area))
            if area > 1 or not transpose:
                of_input[index] = len(spectra)
                spectra.append(Spectrum(values_in, num_in, num_out * area))
    return spectra, of_input, of_output


def _conditions(found: Solution, of: Condition) -> np.ndarray:
    """Largest over smallest kept singular value of each factorisation: [B]."""
    values = found.shrunk if of == "shrunk" else found.observed
    last = values[np.arange(len(values)), np.maximum(found.ranks - 1, 0)]
    return np.where(found.ranks > 0, values[:, 0], 0.0) / np.where(found.ranks > 0, last, 1.0)


def _gains(found: Solution) -> np.ndarray:
    """Sum of kept shrunk singular values over the largest (AdaS, exponent 1): [B]."""
    kept = np.arange(found.shrunk.shape[1]) < found.ranks[:, None]
    return (found.shrunk * kept).sum(1) / np.where(found.ranks > 0, found.shrunk[:, 0], 1.0)
