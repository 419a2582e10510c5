"""Images of one size, in whole batches."""

import torch
import torch.nn.functional as F
from torch import Tensor

from growsearch.memory import require_memory

CHUNK, CHUNK_VALUES = 1024, 1 << 28
"""Images that are resized at a time, and numbers of their float copies, which are what takes memory."""


def resize_to_cover(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale [N, C, H, W] until ``size`` (height, width) is covered (bilinear, antialiased) and cut out the centre."""
    height, width = images.shape[2:]
    if (height, width) == size:
        return images
    scale = max(size[0] / height, size[1] / width)
    covering = (max(size[0], round(height * scale)), max(size[1], round(width * scale)))
    top, left = (covering[0] - size[0]) // 2, (covering[1] - size[1]) // 2
    count, channels = images.shape[:2]
    whole = channels * max(covering[0] * covering[1], height * width)
    step = max(1, min(CHUNK, CHUNK_VALUES // whole))
    needed = count * channels * size[0] * size[1] * images.element_size() + 8 * step * whole
    require_memory(needed, f"{count} images scaled to {covering[0]}x{covering[1]}", "use a smaller data.resize")
    resized = torch.empty(count, channels, *size, dtype=images.dtype)
    for start in range(0, count, step):
        chunk = F.interpolate(images[start : start + step].float(), covering, mode="bilinear", antialias=True)
        chunk = chunk[:, :, top : top + size[0], left : left + size[1]]
        resized[start : start + step] = chunk.round().clamp(0, 255) if images.dtype == torch.uint8 else chunk
    return resized
