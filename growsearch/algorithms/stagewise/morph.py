"""Deepening by modules that change nothing yet, so that a network starts from its predecessor (our option)."""

from collections.abc import Sequence
from typing import cast

from torch import nn

from growsearch.errors import UserError
from growsearch.networks.residual import ResidualNetwork
from growsearch.randomness import generator
from growsearch.surgery import structure_changed
from growsearch.surgery.morphisms import insert_module, silence_branch


def deepen(network: ResidualNetwork, depths: Sequence[int], seed: int, network_id: int) -> None:
    """Append identity blocks to the stages of ``network``, in place, until it has ``depths``.

    The branch of a new block starts like that of any other, but for its last norm, whose scale and shift are
    zero; the input has been through a ReLU, so the block passes it on.

    Args:
        network: computes the same afterwards.
        depths: blocks per stage, none fewer than now.
        seed: of the run.
        network_id: names the draws, together with stage and position.

    Raises:
        UserError: if a stage would lose blocks.
    """
    if any(after < now for now, after in zip(network.depths, depths, strict=True)):
        raise UserError(f"depths: {list(depths)} found, at least {network.depths} in each stage expected")
    for index, depth in enumerate(depths):
        stage = cast(nn.Sequential, network.stages[index])
        while len(stage) < depth:
            block = network.fresh_block(index, generator(seed, "deepen", network_id, index, len(stage)))
            silence_branch(block.tail)
            insert_module(stage, len(stage), block.to(next(network.parameters())))
            structure_changed(network)
