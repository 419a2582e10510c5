"""The normal and the reduction cell of NASNet-A (Zoph et al. 2018), as Stage-Wise NAS stacks them.

Shapes: N images, C channels of an input, F filters of the cell, H and W pixels.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with PyTorch's epsilon, which is the published models' too."""
    return nn.BatchNorm2d(channels)


class Separable(nn.Module):
    """Depthwise and pointwise convolution without anything between; Keras counts it as one layer."""

    def __init__(self, filters: int, window: int, stride: int) -> None:
        super().__init__()
        padding = window // 2
        self.depthwise = nn.Conv2d(filters, filters, window, stride, padding, groups=filters, bias=False)
        self.pointwise = nn.Conv2d(filters, filters, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, F, H, W) to (N, F, H / stride, W / stride)."""
        return self.pointwise(self.depthwise(x))


def separable_pair(filters: int, window: int, stride: int = 1) -> nn.Sequential:
    """ReLU, separable convolution, norm, twice; the first one has the stride."""
    layers: list[nn.Module] = []
    for step in (stride, 1):
        layers += [nn.ReLU(), Separable(filters, window, step), norm(filters)]
    return nn.Sequential(*layers)


def squeeze(channels: int, filters: int) -> nn.Sequential:
    """ReLU, 1x1 convolution to ``filters``, norm."""
    conv = nn.Conv2d(channels, filters, 1, bias=False)
    return nn.Sequential(nn.ReLU(), conv, norm(filters))


class HalvingAdjust(nn.Module):
    """Bring a map of twice the size down: every second pixel, and every second pixel shifted by one, joined."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.straight = nn.Conv2d(channels, filters // 2, 1, bias=False)
        self.shifted = nn.Conv2d(channels, filters - filters // 2, 1, bias=False)
        self.norm = norm(filters)

    def forward(self, p: Tensor) -> Tensor:
        """(N, C, 2H, 2W) to (N, F, H, W)."""
        p = F.relu(p)
        shifted = F.pad(p, (0, 1, 0, 1))[:, :, 1:, 1:]
        halves = [self.straight(F.avg_pool2d(p, 1, 2)), self.shifted(F.avg_pool2d(shifted, 1, 2))]
        return self.norm(torch.cat(halves, 1))


def adjust(channels: int, filters: int, halve: bool) -> nn.Module:
    """The module that makes the cell's second input fit: halving, a squeeze, or nothing."""
    if halve:
        return HalvingAdjust(channels, filters)
    return squeeze(channels, filters) if channels != filters else nn.Identity()


def average(x: Tensor, stride: int = 1) -> Tensor:
    """3x3 average pooling; the border does not count."""
    return F.avg_pool2d(x, 3, stride, padding=1, count_include_pad=False)


def maximum(x: Tensor) -> Tensor:
    """3x3 max pooling with stride 2."""
    return F.max_pool2d(x, 3, 2, padding=1)


class NormalCell(nn.Module):
    """Six maps joined: 6 F channels at the input's size.

    Args:
        x_channels: channels of the previous output.
        p_channels: channels of the output before that.
        filters: F.
        halve: the output before that is twice as large.
    """

    outputs = 6

    def __init__(self, x_channels: int, p_channels: int, filters: int, halve: bool = False) -> None:
        super().__init__()
        self.adjust = adjust(p_channels, filters, halve)
        self.squeeze = squeeze(x_channels, filters)
        self.left1, self.right1 = separable_pair(filters, 5), separable_pair(filters, 3)
        self.left2, self.right2 = separable_pair(filters, 5), separable_pair(filters, 3)
        self.left5 = separable_pair(filters, 3)

    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        """(N, C, H, W) and the output before that, to (N, 6F, H, W)."""
        p, h = self.adjust(p), self.squeeze(x)
        parts = [
            self.left1(h) + self.right1(p),
            self.left2(p) + self.right2(p),
            average(h) + p,
            average(p) + average(p),
            self.left5(h) + h,
        ]
        return torch.cat([p, *parts], 1)


class ReductionCell(nn.Module):
    """Four maps joined: 4 F channels at half the input's size; arguments as :class:`NormalCell`'s."""

    outputs = 4

    def __init__(self, x_channels: int, p_channels: int, filters: int, halve: bool = False) -> None:
        super().__init__()
        self.adjust = adjust(p_channels, filters, halve)
        self.squeeze = squeeze(x_channels, filters)
        self.left1, self.right1 = separable_pair(filters, 5, 2), separable_pair(filters, 7, 2)
        self.right2, self.right3 = separable_pair(filters, 7, 2), separable_pair(filters, 5, 2)
        self.left4 = separable_pair(filters, 3)

    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        """(N, C, H, W) and the output before that, to (N, 4F, H / 2, W / 2)."""
        p, h = self.adjust(p), self.squeeze(x)
        x1 = self.left1(h) + self.right1(p)
        x2 = maximum(h) + self.right2(p)
        x3 = average(h, 2) + self.right3(p)
        return torch.cat([x2, x3, average(x1) + x2, self.left4(x1) + maximum(h)], 1)
