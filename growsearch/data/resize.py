"""Square images of one size, in whole batches."""

import torch
import torch.nn.functional as F
from torch import Tensor

CHUNK = 1024
"""Images that are resized at a time: their float copies are what takes memory."""


def resize_square(images: Tensor, side: int) -> Tensor:
    """Scale [N, C, H, W] until the shorter side is ``side`` (bilinear, antialiased) and cut out the centre."""
    height, width = images.shape[2:]
    if (height, width) == (side, side):
        return images
    scale = side / min(height, width)
    size = (max(side, round(height * scale)), max(side, round(width * scale)))
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    resized = torch.empty(images.shape[0], images.shape[1], side, side, dtype=images.dtype)
    for start in range(0, images.shape[0], CHUNK):
        chunk = F.interpolate(images[start : start + CHUNK].float(), size, mode="bilinear", antialias=True)
        chunk = chunk[:, :, top : top + side, left : left + side]
        resized[start : start + CHUNK] = chunk.round().clamp(0, 255) if images.dtype == torch.uint8 else chunk
    return resized
