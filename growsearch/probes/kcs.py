"""Kernel connection strength: how much a filter weighs (DensEMANN equation 1)."""

import torch
from torch import Tensor


def kcs(weight: Tensor) -> Tensor:
    """Mean absolute weight of every filter.

    Args:
        weight: (filters, channels / groups, *window), any floating type.

    Returns:
        (filters,) in float64 on the weight's device (float32 where the device has no float64).
    """
    wide = torch.float32 if weight.device.type == "mps" else torch.float64
    return weight.detach().to(wide).abs().flatten(1).mean(1)
