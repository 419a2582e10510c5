"""Edits of stacks of relu, depthwise and pointwise convolution, batch norm (PR-DARTS, section III)."""

from typing import Protocol

import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.surgery.initialise import glorot_normal
from growsearch.surgery.morphisms.deepen import centre_kernel
from growsearch.surgery.morphisms.norms import reset_norm
from growsearch.surgery.morphisms.replace import replace_tensor
from growsearch.surgery.remap import Initialiser, Slab


class SeparableBlock(Protocol):
    """Modules of a block of the stack; the relu before it has no weights."""

    depthwise: nn.Conv2d
    pointwise: nn.Conv2d
    norm: nn.BatchNorm2d


def identity_separable(block: SeparableBlock) -> None:
    """Give a new block at the end of a stack weights that pass its input on: the insertion of an expansion.

    The depthwise kernel is its centre, the pointwise one the identity and the norm as new. Its relu and its
    norm still change what passes: in PR-DARTS an insertion does not preserve the function.

    Raises:
        UserError: if the block does not have as many outputs as inputs, or a stride.
    """
    depthwise, pointwise = block.depthwise, block.pointwise
    channels = depthwise.weight.shape[0]
    if pointwise.weight.shape[0] != channels or max(depthwise.stride) > 1:
        raise UserError(
            f"insert expansion: a block of {channels} inputs, {pointwise.weight.shape[0]} outputs and "
            f"stride {depthwise.stride} is not accepted; use as many outputs as inputs and stride 1"
        )
    window = tuple(depthwise.weight.shape[2:])
    replace_tensor(depthwise, "weight", centre_kernel(channels, window, "depthwise"))
    replace_tensor(pointwise, "weight", centre_kernel(channels, (1, 1)))
    reset_norm(block.norm)


def unseen_channels(generator: torch.Generator) -> dict[str, Initialiser]:
    """Fresh channels that the next block takes in without using them yet: remap's ``fresh`` to widen an expansion.

    Filters that write and filter them are Glorot-normal by the fans of the new part alone, so that gradients
    soon reach them; the columns that sum over them are zero, which keeps the function exactly. Norms start at mean
    0, variance 1 and, where they have them, scale and shift 0.

    Example:
        >>> remap(stack, group, [*range(group.size), *[-1] * width], fresh=unseen_channels(generator))
    """

    def drawn(slab: Slab) -> torch.Tensor:
        return glorot_normal(slab.shape, generator, dtype=slab.dtype).to(slab.device)

    def norm(slab: Slab) -> torch.Tensor:
        value = 1.0 if slab.name.endswith("running_var") else 0.0
        return torch.full(slab.shape, value, dtype=slab.dtype, device=slab.device)

    return {"producer": drawn, "depthwise": drawn, "norm": norm, "consumer": 0.0}
