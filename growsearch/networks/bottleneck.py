"""ImageNet residual networks of bottleneck blocks from a depth vector (Stage-Wise NAS section IV; S = 4).

Layers have torchvision's names, so its weights can be transferred block by block.
"""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.networks.registry import register
from growsearch.networks.residual import ResidualBlock, ResidualNetwork
from growsearch.networks.staged import set_norm_momentum
from growsearch.surgery.initialise import library_

EXPANSION = 4
NUM_STAGES = 4


class Bottleneck(ResidualBlock):
    """1x1, 3x3 (with the stride) and 1x1 convolution to four times ``channels``, each with a norm."""

    def __init__(self, in_channels: int, channels: int, stride: int = 1, out_channels: int | None = None) -> None:
        super().__init__()
        out = EXPANSION * channels if out_channels is None else out_channels
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = None
        if stride != 1 or in_channels != out:
            conv = nn.Conv2d(in_channels, out, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(out))

    def branch(self, x: Tensor) -> Tensor:
        """Three convolutions with norms and a ReLU between them."""
        x = F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))))
        return self.bn3(self.conv3(x))

    @property
    def tail(self) -> nn.Module:
        """The third norm."""
        return self.bn3


@register("bottleneck")
class BottleneckResNet(ResidualNetwork):
    """7x7 stem with stride 2, norm, ReLU and 3x3 max pooling; four stages; torchvision's ResNet for its depths.

    Args:
        depths: blocks per stage, four numbers; [3, 4, 6, 3] is ResNet50.
        width: inner channels of the blocks of stage 0, doubled at each further stage.
        classes: K.
        in_channels: channels of an image.
        norm_momentum: weight of a batch in the running statistics of norms.
    """

    family = "bottleneck"

    def __init__(
        self,
        depths: Sequence[int],
        width: int = 64,
        classes: int = 1000,
        in_channels: int = 3,
        norm_momentum: float = 0.1,
    ) -> None:
        sizes = {"width": width, "classes": classes, "in_channels": in_channels}
        super().__init__(depths, NUM_STAGES, **sizes, norm_momentum=norm_momentum)
        self.stem = nn.Sequential(
            nn.Conv2d(in_channels, width, 7, stride=2, padding=3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2, padding=1),
        )
        before = width
        for index, depth in enumerate(depths):
            channels = width * 2**index
            out = EXPANSION * channels
            first = Bottleneck(before, channels, stride=1 if index == 0 else 2)
            self.stages.append(nn.Sequential(first, *(Bottleneck(out, channels) for _ in range(depth - 1))))
            before = out
        self.classifier = nn.Linear(before, classes)
        set_norm_momentum(self, norm_momentum)

    @property
    def depth_he(self) -> int:
        """3 * sum(m) + 2: projections left out, the classifier counted."""
        return 3 * sum(self.depths) + 2

    def new_block(self, stage: int) -> Bottleneck:
        """A block without projection."""
        out = cast(Bottleneck, cast(nn.Sequential, self.stages[stage])[-1]).conv3.out_channels
        return Bottleneck(out, self.settings["width"] * 2**stage, out_channels=out)

    @torch.no_grad()
    def fill(self, module: nn.Module, generator: torch.Generator) -> None:
        """He normal by fan-out for convolutions, norms 1 and 0, PyTorch's default for the classifier."""
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
            elif isinstance(layer, nn.Linear):
                library_(layer, generator)
