"""Candidates times their architecture weight, the weight folded into the last batch norm as its scale."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from growsearch.networks.darts.operations import FactorizedReduction, SeparableBlock, SeparableStack


def weighted_norm(norm: nn.BatchNorm2d, x_nchw: Tensor, weight: Tensor | None) -> Tensor:
    """``weight * norm(x)`` in one pass for a norm without scale and shift; None for weight 1."""
    scale = None if weight is None else weight.expand(x_nchw.shape[1])
    return functional.batch_norm(
        x_nchw, norm.running_mean, norm.running_var, scale, None, norm.training, norm.momentum or 0.0, norm.eps
    )


def weighted_stack(stack: SeparableStack, relu_nchw: Tensor, weight: Tensor) -> Tensor:
    """``weight * stack(x)``, given relu(x)."""
    value = relu_nchw
    last = len(stack.blocks) - 1
    for position, block in enumerate(stack.blocks):
        assert isinstance(block, SeparableBlock)
        value = block.pointwise(block.depthwise(value))
        value = weighted_norm(block.norm, value, weight if position == last else None)
        if position != last:
            value = functional.relu_(value)
    return value


def weighted_reduction(reduction: FactorizedReduction, relu_nchw: Tensor, weight: Tensor) -> Tensor:
    """``weight * reduction(x)``, given relu(x)."""
    return weighted_norm(reduction.norm, reduction.halves(relu_nchw), weight)


def add_scaled(total: Tensor | None, value_nchw: Tensor, weight: Tensor) -> Tensor:
    """``total + weight * value``; None stands for zero."""
    return value_nchw * weight if total is None else torch.addcmul(total, value_nchw, weight)
