"""Rank, condition and knowledge gain of convolution weights, seen from their input and their output side.

CONet section 2.1: each unfolding of a weight is split by EVBMF into a low-rank part and noise; what is left
of its rank says how much of the channel count training has put to use.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from growsearch.probes.evbmf import Factorisation, Spectrum, evbmf_spectra, squared_singular_values

Condition = Literal["shrunk", "observed"]


@dataclass(frozen=True)
class RankMetrics:
    """What EVBMF finds in one weight [out, in, kh, kw]; all numbers are 0 where nothing but noise is left.

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
    return rank_metrics_of([conv_weight], transpose=transpose, tolerance=tolerance, condition=condition)[0]


def rank_metrics_of(
    weights: Sequence[Tensor],
    *,
    transpose: bool = True,
    tolerance: float = 0.0,
    condition: Condition = "shrunk",
) -> list[RankMetrics]:
    """Rank metrics of many weights at once: weights of one shape share their linear algebra, all share one search."""
    sides: list[Spectrum] = []
    for squares_in, squares_out, weight in zip(*_squares(weights), weights, strict=True):
        num_out, num_in, *kernel = weight.shape
        area = kernel[0] * kernel[1]
        sides.append(Spectrum(squares_in, num_in, num_out * area))
        sides.append(Spectrum(squares_out, num_out, num_in * area))
    found = evbmf_spectra(sides, transpose=transpose, tolerance=tolerance)
    return [
        _metrics(found[2 * i], found[2 * i + 1], weight.shape[1], weight.shape[0], condition)
        for i, weight in enumerate(weights)
    ]


def _squares(weights: Sequence[Tensor]) -> tuple[list, list]:
    """Squared singular values of the input and the output unfoldings, in the order of ``weights``."""
    by_shape: dict[torch.Size, list[int]] = defaultdict(list)
    for index, weight in enumerate(weights):
        if weight.dim() != 4:
            raise ValueError(f"rank_metrics: a weight [out, in, kh, kw] expected, shape {tuple(weight.shape)} found")
        by_shape[weight.shape].append(index)
    of_input: list = [None] * len(weights)
    of_output: list = [None] * len(weights)
    for shape, indices in by_shape.items():
        stack_boihw = torch.stack([weights[i].detach() for i in indices])
        squares_out = squared_singular_values(stack_boihw.flatten(2))
        # the two unfoldings of a 1x1 convolution are each other's transposes
        pointwise = shape[2] == shape[3] == 1
        squares_in = squares_out if pointwise else squared_singular_values(stack_boihw.transpose(1, 2).flatten(2))
        for row, index in enumerate(indices):
            of_input[index], of_output[index] = squares_in[row], squares_out[row]
    return of_input, of_output


def _metrics(
    of_input: Factorisation, of_output: Factorisation, num_in: int, num_out: int, condition: Condition
) -> RankMetrics:
    return RankMetrics(
        rank_in=of_input.rank / num_in,
        rank_out=of_output.rank / num_out,
        condition_in=_condition(of_input, condition),
        condition_out=_condition(of_output, condition),
        gain_in=_gain(of_input.singular_values, num_in),
        gain_out=_gain(of_output.singular_values, num_out),
        solved_in=not math.isnan(of_input.noise_variance),
        solved_out=not math.isnan(of_output.noise_variance),
    )


def _condition(found: Factorisation, of: Condition) -> float:
    values = found.singular_values if of == "shrunk" else found.observed
    return float(values[0] / values[-1]) if len(values) else 0.0


def _gain(kept: Tensor, num_channels: int) -> float:
    """Knowledge gain (AdaS, exponent 1) of shrunk singular values, descending."""
    return float((kept / kept[0]).sum()) / num_channels if len(kept) else 0.0
