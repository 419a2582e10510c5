"""Weights of a new candidate, made of its parent's (PR-DARTS III-A)."""

import copy

import torch
from torch import Tensor, nn

from growsearch.algorithms.prdarts.morphisms import morphism_between
from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.operations import SeparableBlock, SeparableStack
from growsearch.surgery.initialise import glorot_normal
from growsearch.surgery.morphisms import grow_kernel, identity_separable, replace_tensor, set_dilation, shrink_kernel


def transferred(
    stack: SeparableStack, parent: Candidate, child: Candidate, generator: torch.Generator
) -> SeparableStack:
    """A stack for ``child`` with the weights of ``parent``'s ``stack``, which stays as it is.

    Growing a kernel and widening keep the function; shrinking, dilating and inserting do not.

    Args:
        stack: module of the parent.
        parent: what the stack is.
        child: one morphism away from the parent.
        generator: draws the weights that widening needs.

    Raises:
        ValueError: if no morphism leads from parent to child.
    """
    made = copy.deepcopy(stack)
    blocks = _blocks(made)
    match morphism_between(parent, child):
        case "kernel_up":
            for block in blocks:
                grow_kernel(block.depthwise)
        case "kernel_down":
            for block in blocks:
                shrink_kernel(block.depthwise)
        case "dilation_up" | "dilation_down":
            for block in blocks:
                set_dilation(block.depthwise, child.dilation)
        case "insert":
            made.blocks.append(_passing_block(blocks[-1], child))
        case _:
            at = next(i for i, (a, b) in enumerate(zip(parent.expansions, child.expansions, strict=True)) if a != b)
            _widen(blocks[at], blocks[at + 1], blocks[-1].pointwise.out_channels, generator)
    return made


def _blocks(stack: SeparableStack) -> list[SeparableBlock]:
    return [block for block in stack.blocks if isinstance(block, SeparableBlock)]


def _passing_block(last: SeparableBlock, child: Candidate) -> SeparableBlock:
    """A further block that passes its input on, but for its relu and its norm."""
    channels = last.pointwise.out_channels
    block = SeparableBlock(channels, channels, child.kernel, child.dilation, stride=1, affine=last.norm.affine)
    block.to(last.pointwise.weight)
    identity_separable(block)
    return block


def _widen(block: SeparableBlock, following: SeparableBlock, width: int, generator: torch.Generator) -> None:
    """Give ``block`` ``width`` more outputs that ``following`` takes in without using them yet.

    New filters are Glorot-normal on the new slab alone, so that gradients reach them; the columns of
    the consuming pointwise convolution are zero. New norm channels start at mean 0, variance 1
    (scale and shift 0).
    """
    inputs, kernel = block.pointwise.in_channels, following.depthwise.kernel_size
    dtype = block.pointwise.weight.dtype
    _extend(block.pointwise, "weight", glorot_normal((width, inputs, 1, 1), generator, dtype=dtype))
    block.pointwise.out_channels += width
    for name, value in (("weight", 0.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        if getattr(block.norm, name) is not None:
            _extend(block.norm, name, torch.full((width,), value, dtype=dtype))
    block.norm.num_features += width
    _extend(following.depthwise, "weight", glorot_normal((width, 1, *kernel), generator, dtype=dtype))
    for name in ("in_channels", "out_channels", "groups"):
        setattr(following.depthwise, name, getattr(following.depthwise, name) + width)
    _extend(following.pointwise, "weight", torch.zeros(following.pointwise.out_channels, width, 1, 1), dim=1)
    following.pointwise.in_channels += width


def _extend(module: nn.Module, name: str, slab: Tensor, dim: int = 0) -> None:
    old: Tensor = getattr(module, name)
    replace_tensor(module, name, torch.cat((old.detach(), slab.to(old)), dim))
