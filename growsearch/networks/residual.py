"""The base of residual families: blocks that end in a sum and a ReLU."""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.networks.staged import FeaturePoint, StagedNetwork, set_norm_momentum
from growsearch.surgery import structure_changed
from growsearch.surgery.morphisms import insert_module, silence_branch
from growsearch.surgery.tensors import allocate


class ResidualBlock(nn.Module):
    """A branch and a shortcut (``downsample``, or the input itself), added, then a ReLU."""

    downsample: nn.Module | None

    def branch(self, x: Tensor) -> Tensor:
        """The residual branch, (N, C, H, W) to the block's output shape."""
        raise NotImplementedError

    @property
    def tail(self) -> nn.Module:
        """The branch's last layer: silenced, it makes a block without ``downsample`` an identity."""
        raise NotImplementedError

    def total(self, x: Tensor) -> Tensor:
        """Branch and shortcut added, before the ReLU."""
        return self.branch(x) + (x if self.downsample is None else self.downsample(x))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the block's output shape."""
        return F.relu(self.total(x))


class ResidualNetwork(StagedNetwork):
    """Stem, stages of residual blocks, global average pooling and a classifier."""

    stem: nn.Sequential

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) images to (N, K) logits."""
        x = self.stem(x)
        for stage in self.stages:
            x = stage(x)
        return self.classifier(x.mean((2, 3)))

    def stage_outputs(self, x: Tensor, point: FeaturePoint = "add") -> list[Tensor]:
        """The last block's sum in each stage, before (``add``) or behind its ReLU (``relu``)."""
        x = self.stem(x)
        outputs = []
        for stage in self.stages:
            *before, last = cast(nn.Sequential, stage)
            for block in before:
                x = block(x)
            total = cast(ResidualBlock, last).total(x)
            x = F.relu(total)
            outputs.append(total if point == "add" else x)
        return outputs

    def new_block(self, stage: int) -> ResidualBlock:
        """A block for the end of ``stage``, as wide as its last one is now; made where torch makes tensors."""
        raise NotImplementedError

    def fill(self, module: nn.Module, generator: torch.Generator) -> None:
        """Give every layer of ``module`` this family's start, in place."""
        raise NotImplementedError

    def initialise(self, generator: torch.Generator) -> None:
        """Start the whole network; see :meth:`fill`."""
        self.fill(self, generator)

    def fresh_block(self, stage: int, generator: torch.Generator) -> ResidualBlock:
        """:meth:`new_block` on the CPU with this family's start."""
        with torch.device("meta"):
            block = self.new_block(stage)
        allocate(block)
        set_norm_momentum(block, self.settings["norm_momentum"])
        self.fill(block, generator)
        return block


def append_block(network: ResidualNetwork, stage: int, draw: torch.Generator) -> None:
    """Append an identity block to a stage of ``network``, in place; the network computes the same afterwards.

    The branch of the block starts like that of any other, except for its last norm, whose scale and shift are
    zero; the input has been through a ReLU, so the block passes it on.

    Args:
        network: gets the block.
        stage: counted from 0.
        draw: where the branch's weights come from.
    """
    blocks = cast(nn.Sequential, network.stages[stage])
    block = network.fresh_block(stage, draw)
    silence_branch(block.tail)
    insert_module(blocks, len(blocks), block.to(next(network.parameters())))
    structure_changed(network)
