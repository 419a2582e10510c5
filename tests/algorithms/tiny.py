"""A few real digits, an engine on them, and a network."""

from functools import cache

import torch
from sklearn.datasets import load_digits

from growsearch.data.augment import Augmentation
from growsearch.data.dataset import Dataset, Split
from growsearch.data.normalise import Normalisation
from growsearch.training import Engine
from growsearch.training.config import HardwareConfig

DENSENET_WITH_DROPOUT = {
    "family": "densenet",
    "in_channels": 1,
    "classes": 10,
    "stem": "small",
    "stem_filters": 8,
    "filters": [[4, 4], [4]],
    "bottlenecks": [[8, 8], [8]],
    "transitions": [8],
    "dropout": 0.3,
}


@cache
def digits() -> tuple[torch.Tensor, torch.Tensor]:
    """All digits and their labels."""
    bunch = load_digits()
    return torch.tensor(bunch.images / 16 * 255).round().to(torch.uint8)[:, None], torch.tensor(bunch.target)


def tiny_dataset(train: int = 150, val: int = 60, test: int = 60, **changes) -> Dataset:
    """The first digits, 8x8, as bytes."""
    images, labels = digits()
    cuts = [(0, train), (train, train + val), (train + val, train + val + test)]
    splits = [Split(images[a:b], labels[a:b]) for a, b in cuts]
    made = Dataset(
        "tiny",
        *splits,
        tuple("0123456789"),
        Normalisation.constants([0.5], [0.5], "chosen"),
        Augmentation(crop_padding=1),
    )
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def tiny_engine(seed: int = 0, data: Dataset | None = None, **hardware) -> Engine:
    """An engine on the CPU."""
    config = HardwareConfig(**{"device": "cpu", "threads": 1, **hardware})
    return Engine(data or tiny_dataset(), config, seed)
