"""Random changes of colour for whole batches: each picture by amounts of its own, drawn before the pass.

Shapes: B of a batch, H height, W width.
"""

import torch
from torch import Tensor

ONE = 1_000_000
"""The table of draws holds whole numbers: so much is a factor of 1, or a turn of the whole colour circle."""

LUMA = (0.299, 0.587, 0.114)


def recolour(pictures: Tensor, brightness: Tensor, contrast: Tensor, saturation: Tensor, hue: Tensor) -> Tensor:
    """Change brightness, contrast, saturation and hue, in this order (torchvision draws the order).

    Args:
        pictures: [B, 3, H, W] float32 in 0..1.
        brightness: [B] factors in units of 1 / :data:`ONE`.
        contrast: likewise.
        saturation: likewise.
        hue: [B] turns of the colour circle, in the same unit.

    Returns:
        [B, 3, H, W] in 0..1, a new tensor.
    """
    bright, sharp, vivid = (values[:, None, None, None] / ONE for values in (brightness, contrast, saturation))
    pictures = (pictures * bright).clamp(0, 1)
    mean = grey(pictures).mean((2, 3), keepdim=True)
    pictures = mean.lerp(pictures, sharp.to(pictures.dtype)).clamp(0, 1)
    pictures = grey(pictures).lerp(pictures, vivid.to(pictures.dtype)).clamp(0, 1)
    return turned(pictures, hue[:, None, None] / ONE)


def grey(pictures: Tensor) -> Tensor:
    """Luma [B, 1, H, W]."""
    red, green, blue = pictures.unbind(1)
    return (LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue)[:, None]


def turned(pictures: Tensor, turns: Tensor) -> Tensor:
    """Turn hues by so much of the colour circle; value and saturation (of HSV) stay.

    Args:
        pictures: [B, 3, H, W] in 0..1.
        turns: [B, 1, 1].
    """
    red, green, blue = pictures.unbind(1)
    value = pictures.amax(1)
    chroma = value - pictures.amin(1)
    divisor = chroma.where(chroma > 0, torch.ones_like(chroma))
    sixth = torch.where(
        value == red,
        (green - blue) / divisor,
        torch.where(value == green, 2 + (blue - red) / divisor, 4 + (red - green) / divisor),
    )
    sixth = sixth + 6 * turns
    return torch.stack([_channel(number, sixth, value, chroma) for number in (5.0, 3.0, 1.0)], 1)


def _channel(number: float, sixth: Tensor, value: Tensor, chroma: Tensor) -> Tensor:
    """Red, green or blue (5, 3, 1) of a hue in sixths of the circle, a value and a chroma."""
    place = (number + sixth).remainder(6)
    return value - chroma * torch.minimum(place, 4 - place).clamp(0, 1)
