"""The operations of DARTS cells as modules: N x C x H x W in, the same or halved maps out."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from growsearch.errors import UserError
from growsearch.networks.darts.candidate import Candidate


class SeparableBlock(nn.Module):
    """ReLU, depthwise k x k, pointwise 1 x 1, batch norm (one norm a block, none between the convs)."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, dilation: int, stride: int, affine: bool
    ) -> None:
        super().__init__()
        padding = (kernel - 1) * dilation // 2
        self.depthwise = nn.Conv2d(
            in_channels, in_channels, kernel, stride, padding, dilation, groups=in_channels, bias=False
        )
        self.pointwise = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply the block; the ReLU is not in place, others read its input."""
        return self.norm(self.pointwise(self.depthwise(functional.relu(x_nchw))))


class SeparableStack(nn.Module):
    """A conv candidate: blocks C -> m1 C -> ... -> C of one kernel size and dilation; the first is strided."""

    def __init__(self, candidate: Candidate, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        widths = [channels, *(m * channels for m in candidate.expansions), channels]
        self.blocks = nn.ModuleList(
            SeparableBlock(a, b, candidate.kernel, candidate.dilation, stride if i == 0 else 1, affine)
            for i, (a, b) in enumerate(pairwise(widths))
        )

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply all blocks."""
        for block in self.blocks:
            x_nchw = block(x_nchw)
        return x_nchw


class FactorizedReduction(nn.Module):
    """ReLU, two 1 x 1 stride-2 convs of half the output each, the second one pixel further, batch norm."""

    def __init__(self, in_channels: int, out_channels: int, affine: bool) -> None:
        super().__init__()
        if out_channels % 2:
            raise UserError(f"channels: {out_channels} is not accepted; use an even number (factorized reduction)")
        self.even = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.odd = nn.Conv2d(in_channels, out_channels // 2, 1, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply the layers."""
        return self.norm(self.halves(functional.relu(x_nchw)))

    def halves(self, relu_nchw: Tensor) -> Tensor:
        """Both convs, before the norm; an odd map is padded by one so that both halves agree.

        On a CPU in channels_last every second pixel is taken first and the convs are not strided: the backward pass
        of strided 1 x 1 convs of few channels writes outside of its memory there (oneDNN issue 6035).
        """
        odd_rows, odd_columns = relu_nchw.shape[2] % 2, relu_nchw.shape[3] % 2
        shifted = functional.pad(relu_nchw, (0, odd_columns, 0, odd_rows)) if odd_rows or odd_columns else relu_nchw
        if relu_nchw.device.type == "cpu" and relu_nchw.is_contiguous(memory_format=torch.channels_last):
            even = functional.conv2d(relu_nchw[:, :, ::2, ::2], self.even.weight)
            odd = functional.conv2d(shifted[:, :, 1::2, 1::2], self.odd.weight)
            return torch.cat((even, odd), dim=1)
        return torch.cat((self.even(relu_nchw), self.odd(shifted[:, :, 1:, 1:])), dim=1)


class ReluConvNorm(nn.Module):
    """ReLU, 1 x 1 conv, batch norm: brings a cell's input to the cell's width."""

    def __init__(self, in_channels: int, out_channels: int, affine: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.norm = nn.BatchNorm2d(out_channels, affine=affine)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply the three."""
        return self.norm(self.conv(functional.relu(x_nchw)))


class RowColumnConv(nn.Module):
    """AmoebaNet's conv_7x1_1x7: ReLU, 1 x 7 conv, 7 x 1 conv (a stride is split over the two), batch norm."""

    def __init__(self, channels: int, stride: int, affine: bool) -> None:
        super().__init__()
        self.row = nn.Conv2d(channels, channels, (1, 7), (1, stride), (0, 3), bias=False)
        self.column = nn.Conv2d(channels, channels, (7, 1), (stride, 1), (3, 0), bias=False)
        self.norm = nn.BatchNorm2d(channels, affine=affine)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply the stack."""
        return self.norm(self.column(self.row(functional.relu(x_nchw))))


class Zero(nn.Module):
    """The operation none."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Zeros of the output's shape."""
        return x_nchw[:, :, :: self.stride, :: self.stride] * 0.0


def pooling(candidate: Candidate, stride: int) -> nn.Module:
    """Max or average pooling that keeps (or halves) the map; averages leave padding out."""
    padding = candidate.kernel // 2
    if candidate.kind == "max":
        return nn.MaxPool2d(candidate.kernel, stride, padding)
    return nn.AvgPool2d(candidate.kernel, stride, padding, count_include_pad=False)


def operation(candidate: Candidate, channels: int, stride: int, affine: bool) -> nn.Module:
    """The bare module of a candidate with ``channels`` inputs and outputs (no norm after pools)."""
    match candidate.op:
        case "conv":
            return SeparableStack(candidate, channels, stride, affine)
        case "pool":
            return pooling(candidate, stride)
        case "skip":
            return nn.Identity() if stride == 1 else FactorizedReduction(channels, channels, affine)
        case "conv_7x1_1x7":
            return RowColumnConv(channels, stride, affine)
        case _:
            return Zero(stride)
