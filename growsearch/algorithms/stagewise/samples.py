"""Training images to score stages with: as they are, not augmented."""

from collections.abc import Iterator

import torch
from torch import Tensor

from growsearch.randomness import generator
from growsearch.training import Engine


def scoring_batches(
    engine: Engine, count: int = 0, layout: torch.memory_format = torch.contiguous_format
) -> Iterator[tuple[Tensor, Tensor]]:
    """Normalised training images (N, C, H, W) and their classes (N,), on the device.

    Args:
        engine: its data and seed.
        count: images, the same ones for every network of a run; 0 or too many for all.
        layout: of the images.
    """
    split = engine.data.train
    rows = torch.arange(len(split))
    if 0 < count < len(split):
        rows = torch.randperm(len(split), generator=generator(engine.seed, "score samples"))[:count].sort().values
    for chunk in rows.to(split.images.device).split(engine.hardware.eval_batch):
        batch = split.take(chunk)
        images = engine.data.normalisation(batch.images)
        yield images.contiguous(memory_format=layout), batch.labels
