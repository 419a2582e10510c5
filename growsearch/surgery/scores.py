"""How much a channel matters, as pure functions of tensors: one score per channel, higher is more.

kCS, DensEMANN's mean absolute weight, is :func:`growsearch.probes.kcs`.
"""

import torch
from torch import Tensor

from growsearch.errors import UserError


def l1(weight: Tensor, *, dim: int = 0) -> Tensor:
    """Sum of absolute weights per index of ``dim`` (0: a layer's outputs, 1: its inputs)."""
    return _per_channel(weight, dim).abs().sum(1)


def l2(weight: Tensor, *, dim: int = 0) -> Tensor:
    """Euclidean norm of the weights per index of ``dim`` (0: a layer's outputs, 1: its inputs)."""
    return _per_channel(weight, dim).square().sum(1).sqrt()


def gamma_absolute(gamma_C: Tensor) -> Tensor:
    """Batch-norm scale by size: the sensible reading where a scale may be negative."""
    return gamma_C.detach().abs()


def gamma_signed(gamma_C: Tensor) -> Tensor:
    """Batch-norm scale as it is: the order in the code of ECToNAS, negative scales first."""
    return gamma_C.detach().clone()


def random(num_channels: int, generator: torch.Generator) -> Tensor:
    """Uniform scores in [0, 1), the baseline of every other one."""
    return torch.rand(num_channels, generator=generator)


def weakest(scores_C: Tensor, count: int) -> list[int]:
    """Return the channels of the ``count`` lowest scores, in ascending channel order; ties take the lower channel.

    Raises:
        UserError: if there are not so many channels.
    """
    if not 0 <= count <= len(scores_C):
        raise UserError(f"weakest channels: {count} is not accepted; use 0 to {len(scores_C)}")
    return sorted(torch.argsort(scores_C, stable=True)[:count].tolist())


def _per_channel(weight: Tensor, dim: int) -> Tensor:
    return weight.detach().transpose(0, dim).flatten(1)
