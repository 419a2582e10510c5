"""Pictures that fit in memory, decoded into one tensor."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from growsearch.data.pictures import Look, Source, decode, name_of
from growsearch.errors import UserError
from growsearch.memory import require_memory


def decode_all(sources: Sequence[Source], look: Look, side: int | None) -> Tensor:
    """Decode pictures into one [N, C, H, W] uint8 tensor.

    Args:
        sources: the pictures.
        look: their channels, and their size where ``side`` is None.
        side: see :func:`~growsearch.data.pictures.decode`.

    Raises:
        UserError: if one is damaged or of another size, or if they do not fit in memory.
    """
    height, width = (side, side) if side is not None else (look.height, look.width)
    needed = len(sources) * look.channels * height * width
    require_memory(needed, f"{len(sources)} images of {height}x{width}", "set data.resize to fewer pixels")
    images = torch.empty(len(sources), look.channels, height, width, dtype=torch.uint8)
    for index, source in enumerate(sources):
        pixels = decode(source, look.channels, side)
        if pixels.shape[:2] != (height, width):
            raise UserError(
                f"{name_of(source)}: {pixels.shape[0]}x{pixels.shape[1]} pixels found, {height}x{width} as in the"
                " others expected: set data.resize"
            )
        images[index] = torch.from_numpy(pixels.copy()).permute(2, 0, 1)
    return images
