"""How long a network takes for an image."""

import copy
import statistics
import time
from collections.abc import Sequence

import torch
from torch import nn

WARM_UP = 5


def forward_milliseconds(model: nn.Module, input_shape: Sequence[int], repeats: int = 50) -> float:
    """Median milliseconds that a forward pass of one image takes on the CPU, in evaluation mode.

    Args:
        model: left as it is; a copy is timed.
        input_shape: of one image (C, H, W).
        repeats: timed passes, behind five that are not.
    """
    twin = copy.deepcopy(model).cpu().float().eval()
    image = torch.zeros(1, *input_shape)
    milliseconds = []
    with torch.no_grad():
        for _ in range(WARM_UP + repeats):
            start = time.perf_counter()
            twin(image)
            milliseconds.append(1000 * (time.perf_counter() - start))
    return statistics.median(milliseconds[WARM_UP:])
