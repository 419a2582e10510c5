"""CIFAR ResNet34 from a channel vector (family ``resnet_channels``; CONet section 4.1)."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from growsearch.errors import UserError
from growsearch.networks.channel_vector import (
    ChannelVector,
    checked_vector,
    compound_scaled,
    options_to_spec,
    positive,
)
from growsearch.networks.registry import register
from growsearch.surgery.initialise import library_

BLOCKS = (3, 4, 6, 3)


class BasicBlock(nn.Module):
    """Two 3 x 3 convs around a free width, and a shortcut (1 x 1 conv where shapes change)."""

    def __init__(self, in_channels: int, middle: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, middle, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(middle)
        self.conv2 = nn.Conv2d(middle, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1:
            conv = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(out_channels))

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply the block."""
        y_nchw = functional.relu(self.norm1(self.conv1(x_nchw)))
        return functional.relu(self.norm2(self.conv2(y_nchw)) + self.shortcut(x_nchw))


@register("resnet_channels")
class ResNetChannels(nn.Module):
    """3 x 3 stem without pooling, stages of basic blocks, global average, linear.

    The vector has one list for each stage: [middle, width] for each of its blocks, and the stem's width before
    those of the first. All widths of a stage are one number, as identity shortcuts join them.
    """

    def __init__(self, sizes: ChannelVector, num_classes: int, in_channels: int) -> None:
        super().__init__()
        width = sizes[0][0]
        self.stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(width)
        self.stages = nn.ModuleList()
        for stage, part in enumerate(sizes):
            middles, widths = (part[1::2], part[2::2]) if stage == 0 else (part[0::2], part[1::2])
            blocks = nn.ModuleList()
            for index, (middle, out) in enumerate(zip(middles, widths, strict=True)):
                blocks.append(BasicBlock(width, middle, out, 2 if stage > 0 and index == 0 else 1))
                width = out
            self.stages.append(blocks)
        self.classifier = nn.Linear(width, num_classes)

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "ResNetChannels":
        """Build from a spec.

        ``blocks`` in each stage ([3, 4, 6, 3]: ResNet34), ``classes`` (10), ``in_channels`` (3). Either the vector
        itself, ``sizes``, or ``channels`` (32) everywhere, doubled at every stage with ``doubling`` (false).
        Widths are then multiplied by ``scale`` (1) up to ``scale_cap`` (256) where it is not 1.

        Raises:
            UserError: if a size is of the wrong form, or the widths within a stage differ.
        """
        blocks = list(spec.get("blocks") or BLOCKS)
        checked_vector([blocks], [len(blocks)], "network.blocks")
        channels, doubling = positive(spec, "channels", 32), bool(spec.get("doubling", False))
        sizes = [
            [channels * 2**stage if doubling else channels] * (2 * count + (stage == 0))
            for stage, count in enumerate(blocks)
        ]
        if spec.get("sizes") is not None:
            sizes = checked_vector(spec["sizes"], [len(part) for part in sizes], "network.sizes")
        for stage, part in enumerate(sizes):
            widths = part[0::2] if stage == 0 else part[1::2]
            if len(set(widths)) > 1:
                raise UserError(f"network.sizes: stage {stage + 1} has widths {widths}; use one number in a stage")
        scale = spec.get("scale", 1)
        if scale != 1:
            sizes = compound_scaled(sizes, scale, spec.get("scale_cap", 256))
        return cls(sizes, positive(spec, "classes", 10), positive(spec, "in_channels", 3))

    spec_from_options = staticmethod(partial(options_to_spec, "resnet_channels"))

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``; sizes are read off the live weights."""
        sizes: ChannelVector = [[] for _ in self.stages]
        sizes[0] = [self.stem.weight.shape[0]]
        for part, stage in zip(sizes, self._blocks(), strict=True):
            for block in stage:
                part += [block.conv1.weight.shape[0], block.conv2.weight.shape[0]]
        return {
            "family": "resnet_channels",
            "blocks": [len(stage) for stage in self._blocks()],
            "classes": self.classifier.weight.shape[0],
            "in_channels": self.stem.weight.shape[1],
            "sizes": sizes,
        }

    def initialise(self, generator: torch.Generator) -> None:
        """PyTorch's default start."""
        library_(self, generator)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Logits, N x classes."""
        x_nchw = functional.relu(self.norm(self.stem(x_nchw)))
        for stage in self._blocks():
            for block in stage:
                x_nchw = block(x_nchw)
        return self.classifier(x_nchw.mean((2, 3)))

    def _blocks(self) -> list[list[BasicBlock]]:
        return [
            [b for b in stage if isinstance(b, BasicBlock)] for stage in self.stages if isinstance(stage, nn.ModuleList)
        ]
