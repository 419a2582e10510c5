"""Candidates times their architecture weight, the weight folded into the last batch norm as its scale."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from growsearch.networks.darts.operations import FactorizedReduction, SeparableBlock, SeparableStack


class Weight(NamedTuple):
    """One architecture weight: as a scalar, and repeated for every channel."""

    scalar: Tensor
    channels_c: Tensor


def weight_rows(table_eo: Tensor, channels: int) -> list[Sequence[Weight]]:
    """Weights of every edge's candidates for cells of a width, from a table of edges x candidates.

    The repeats are real: in channels_last, the backward pass of batch norm on a CPU takes an
    expanded scale for a contiguous one and reads beyond its end.
    """
    flat = table_eo.flatten()
    repeated = flat[:, None].expand(-1, channels).contiguous()
    weights = [Weight(*pair) for pair in zip(flat.unbind(), repeated.unbind(), strict=True)]
    columns = table_eo.shape[1]
    return [weights[start : start + columns] for start in range(0, len(weights), columns)]


def weighted_norm(norm: nn.BatchNorm2d, x_nchw: Tensor, scale_c: Tensor | None) -> Tensor:
    """``scale * norm(x)`` in one pass for a norm without scale and shift; None for scale 1."""
    return functional.batch_norm(
        x_nchw, norm.running_mean, norm.running_var, scale_c, None, norm.training, norm.momentum or 0.0, norm.eps
    )


def weighted_stack(stack: SeparableStack, relu_nchw: Tensor, weight: Weight, phases: bool = False) -> Tensor:
    """``weight * stack(x)``, given relu(x); with ``phases``, of dilation 2 and stride 1 and from and to phases."""
    value = relu_nchw
    last = len(stack.blocks) - 1
    for position, block in enumerate(stack.blocks):
        assert isinstance(block, SeparableBlock)
        value = _on_phases(block.depthwise, value) if phases else block.depthwise(value)
        value = block.pointwise(value)
        value = weighted_norm(block.norm, value, weight.channels_c if position == last else None)
        if position != last:
            value = functional.relu_(value)
    return value


def _on_phases(depthwise: nn.Conv2d, phases_nchw: Tensor) -> Tensor:
    rows, columns = depthwise.kernel_size
    padding = (rows // 2, columns // 2)
    return functional.conv2d(phases_nchw, depthwise.weight, None, 1, padding, 1, depthwise.groups)


def weighted_reduction(reduction: FactorizedReduction, relu_nchw: Tensor, weight: Weight) -> Tensor:
    """``weight * reduction(x)``, given relu(x)."""
    return weighted_norm(reduction.norm, reduction.halves(relu_nchw), weight.channels_c)


def plus(total: Tensor | None, value: Tensor | None) -> Tensor | None:
    """``total + value``; None stands for zero."""
    if total is None or value is None:
        return value if total is None else total
    return total + value


def add_scaled(total: Tensor | None, value_nchw: Tensor, weight: Weight) -> Tensor:
    """``total + weight * value``; None stands for zero."""
    return value_nchw * weight.scalar if total is None else torch.addcmul(total, value_nchw, weight.scalar)
