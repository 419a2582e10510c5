"""Fewer hidden units by a truncated singular value decomposition (ECToNAS: removal of units)."""

from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery.morphisms.replace import exact, replace_tensor

SvdVariant = Literal["paper", "code"]


class Factors(NamedTuple):
    """Thin singular value decomposition left_IR * values_R @ right_RH of a kernel (inputs, units)."""

    left: Tensor
    values: Tensor
    right: Tensor


def singular_factors(weight_HI: Tensor) -> Factors:
    """Decompose a dense layer's kernel, the transpose of its weight, in float64.

    The signs of singular vectors are a free choice that LAPACK makes one way or another and that a relu
    behind the layer makes felt; here the largest entry of every left vector is positive.
    """
    left, values, right = torch.linalg.svd(weight_HI.detach().double().T, full_matrices=False)
    largest = left.gather(0, left.abs().argmax(0, keepdim=True))
    signs = torch.where(largest[0] < 0, -1.0, 1.0)
    return Factors(left * signs, values, right * signs[:, None])


def reduced_units(
    weight_HI: Tensor,
    bias_H: Tensor | None,
    weight_OH: Tensor,
    target: int,
    variant: SvdVariant = "paper",
    factors: Factors | None = None,
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Return weights and bias of two dense layers with fewer units between them, in float64.

    With kernel W1 = U S V of the first layer, its new kernel is the first r columns of U S. The rest, by
    variant: ``paper`` takes the first r rows of V into the second layer and through the bias, which keeps
    the product of both kernels as closely as r units can. ``code`` (the authors' release) takes V cut to
    r x r and transposed and the first r rows of the second kernel, whatever the other units did.

    Args:
        weight_HI: weight of the first layer, (units, inputs).
        bias_H: its bias, or None.
        weight_OH: weight of the second layer, (outputs, units).
        target: wanted number of units; no more are kept than min(units, inputs).
        variant: ``paper`` or ``code``.
        factors: decomposition to use; :func:`singular_factors` if None.

    Raises:
        UserError: if the target is less than 1 or the variant unknown.
    """
    if target < 1:
        raise UserError(f"removal of units: target {target} is not accepted; use at least 1")
    left, values, right = factors if factors is not None else singular_factors(weight_HI)
    r = min(target, *weight_HI.shape)
    second, bias = exact(weight_OH, bias_H)
    bias = bias.expand(len(weight_HI))
    match variant:
        case "paper":
            mix = right[:r]
        case "code":
            mix, bias, second = right[:r, :r].T, bias[:r], second[:, :r]
        case _:
            raise UserError(f"removal of units: variant {variant!r} is not accepted; use paper or code")
    first = (left[:, :r] * values[:r]).T
    return first, None if bias_H is None else mix @ bias, second @ mix.T


def reduce_units(first: nn.Linear, second: nn.Linear, target: int, variant: SvdVariant = "paper") -> int:
    """Cut the units between two dense layers; see :func:`reduced_units`. Returns how many are left."""
    weight, bias, next_weight = reduced_units(first.weight, first.bias, second.weight, target, variant)
    replace_tensor(first, "weight", weight.contiguous())
    if bias is not None:
        replace_tensor(first, "bias", bias)
    replace_tensor(second, "weight", next_weight)
    first.out_features = second.in_features = len(weight)
    return len(weight)
