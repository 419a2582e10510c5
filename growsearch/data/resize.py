"""Square images of one size, in whole batches."""

import torch
import torch.nn.functional as F
from torch import Tensor

from growsearch.memory import require_memory

CHUNK, CHUNK_VALUES = 1024, 1 << 28
"""Images that are resized at a time, and numbers of their float copies, which are what takes memory."""


def resize_square(images: Tensor, side: int) -> Tensor:
    """Scale [N, C, H, W] until the shorter side is ``side`` (bilinear, antialiased) and cut out the centre."""
    height, width = images.shape[2:]
    if (height, width) == (side, side):
        return images
    scale = side / min(height, width)
    size = (max(side, round(height * scale)), max(side, round(width * scale)))
    top, left = (size[0] - side) // 2, (size[1] - side) // 2
    count, channels = images.shape[:2]
    whole = channels * max(size[0] * size[1], height * width)
    step = max(1, min(CHUNK, CHUNK_VALUES // whole))
    needed = count * channels * side * side * images.element_size() + 8 * step * whole
    require_memory(needed, f"{count} images scaled to {size[0]}x{size[1]}", "a smaller data.resize expected")
    resized = torch.empty(count, channels, side, side, dtype=images.dtype)
    for start in range(0, count, step):
        chunk = F.interpolate(images[start : start + step].float(), size, mode="bilinear", antialias=True)
        chunk = chunk[:, :, top : top + side, left : left + side]
        resized[start : start + step] = chunk.round().clamp(0, 255) if images.dtype == torch.uint8 else chunk
    return resized
