"""Weights of a new candidate, made of its parent's (PR-DARTS III-A)."""

import copy

import torch
from torch import nn

from growsearch.algorithms.prdarts.morphisms import morphism_between
from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.operations import SeparableBlock, SeparableStack
from growsearch.surgery import channel_groups, remap
from growsearch.surgery.morphisms import grow_kernel, identity_separable, set_dilation, shrink_kernel
from growsearch.surgery.morphisms.separable import unseen_channels


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
            _widen(made, at, generator)
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


def _widen(stack: SeparableStack, at: int, generator: torch.Generator) -> None:
    """Give block ``at`` one candidate's width more of outputs, which the block after it does not use yet."""
    first = stack.get_submodule("blocks.0.depthwise")
    assert isinstance(first, nn.Conv2d)
    width = first.weight.shape[0]
    example = torch.zeros(1, width, 8, 8, dtype=first.weight.dtype, device=first.weight.device)
    group = next(g for g in channel_groups(stack, example) if f"blocks.{at}.pointwise" in g.producers)
    remap(stack, group, [*range(group.size), *[-1] * width], fresh=unseen_channels(generator))
