"""A layout that a network must not have on a CPU."""

import torch
from torch import nn

from growsearch.errors import UserError

FEWEST_CHANNELS = 16
"""Input channels below which oneDNN's backward pass of a strided 1x1 convolution in channels_last writes
outside of its memory on some processors: 8 with AVX2, 16 with AVX-512 (oneDNN issue 6035)."""


def require_sound_layout(module: nn.Module, device: torch.device, layout: torch.memory_format) -> None:
    """Refuse channels_last on a CPU where training could corrupt memory.

    Raises:
        UserError: naming the convolution.
    """
    if layout != torch.channels_last or device.type != "cpu":
        return
    for name, part in module.named_modules():
        if not isinstance(part, nn.Conv2d) or part.kernel_size != (1, 1) or max(part.stride) == 1:
            continue
        channels = part.in_channels // part.groups
        if channels < FEWEST_CHANNELS:
            raise UserError(
                f"hardware.layout: channels_last found, but on a CPU {name}, a strided 1x1 convolution of {channels} "
                "input channels, may corrupt memory; contiguous expected"
            )
