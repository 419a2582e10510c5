"""CIFAR residual networks from a depth vector (Stage-Wise NAS section IV; He et al. 2016, version 1)."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.networks.registry import register
from growsearch.networks.residual import ResidualBlock, ResidualNetwork
from growsearch.networks.staged import set_norm_momentum
from growsearch.surgery.initialise import he_normal_truncated


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with Keras' epsilon."""
    return nn.BatchNorm2d(channels, eps=1e-3)


class BasicBlock(ResidualBlock):
    """Two 3x3 convolutions; where the shape changes the shortcut is a 1x1 convolution without a norm."""

    def __init__(self, in_channels: int, channels: int, stride: int, bias: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=bias)
        self.bn1 = norm(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.bn2 = norm(channels)
        changes = stride != 1 or in_channels != channels
        self.downsample = nn.Conv2d(in_channels, channels, 1, stride, bias=bias) if changes else None

    def branch(self, x: Tensor) -> Tensor:
        """Convolution, norm, ReLU, convolution, norm."""
        return self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))

    @property
    def tail(self) -> nn.Module:
        """The second norm."""
        return self.bn2


@register("resnet")
class ResNet(ResidualNetwork):
    """3x3 stem, norm, ReLU; stage s has ``width * 2**s`` channels and starts with stride 2 for s > 0.

    Args:
        depths: blocks per stage; three stages on CIFAR.
        width: channels of the stem and of stage 0.
        classes: K.
        in_channels: channels of an image.
        bias: convolutions have a bias (the published models do, ahead of norms too).
        norm_momentum: weight of a batch in the running statistics; 0.01 is Keras' momentum 0.99.
    """

    family = "resnet"

    def __init__(
        self,
        depths: Sequence[int],
        width: int = 16,
        classes: int = 10,
        in_channels: int = 3,
        bias: bool = True,
        norm_momentum: float = 0.01,
    ) -> None:
        sizes = {"width": width, "classes": classes, "in_channels": in_channels}
        super().__init__(depths, None, **sizes, bias=bias, norm_momentum=norm_momentum)
        stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=bias)
        self.stem = nn.Sequential(stem, norm(width), nn.ReLU())
        before = width
        for index, depth in enumerate(depths):
            channels, stride = width * 2**index, 1 if index == 0 else 2
            first = BasicBlock(before, channels, stride, bias)
            self.stages.append(
                nn.Sequential(first, *(BasicBlock(channels, channels, 1, bias) for _ in range(depth - 1)))
            )
            before = channels
        self.classifier = nn.Linear(before, classes)
        set_norm_momentum(self, norm_momentum)

    @property
    def depth_he(self) -> int:
        """2 * sum(m) + 2: projections left out, the classifier counted."""
        return 2 * sum(self.depths) + 2

    def new_block(self, stage: int) -> BasicBlock:
        """A block without projection."""
        channels = cast(BasicBlock, cast(nn.Sequential, self.stages[stage])[-1]).conv2.out_channels
        return BasicBlock(channels, channels, 1, bias=self.settings["bias"])

    @torch.no_grad()
    def fill(self, module: nn.Module, generator: torch.Generator) -> None:
        """Keras 2.1's He normal for convolutions and classifier, biases 0, norms 1 and 0."""
        for layer in module.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                layer.weight.copy_(he_normal_truncated(layer.weight.shape, generator))
                if layer.bias is not None:
                    nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
