"""From stored bytes to what a network sees: (x - mean) / std, on whatever device the images are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

MEASURED_ON = 60_000
"""Images that statistics are measured on at most."""

CHUNK = 2048
"""Images of them at a time, so that a large set is never copied as floats."""


@dataclass(frozen=True, eq=False)
class Normalisation:
    """Mean and standard deviation of pixels scaled to 0..1.

    Attributes:
        mean: [C, 1, 1] per channel, or [C, H, W] for a mean image (Stage-Wise subtracts one).
        std: [C, 1, 1].
        source: where the numbers come from, for people to read.
    """

    mean: Tensor
    std: Tensor
    source: str
    _byte_mean: Tensor = field(init=False, repr=False)
    _byte_std: Tensor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_byte_mean", self.mean * 255.0)
        object.__setattr__(self, "_byte_std", self.std * 255.0)

    @classmethod
    def constants(cls, mean: Sequence[float], std: Sequence[float], source: str) -> Normalisation:
        """Use published numbers, one per channel."""
        return cls(_per_channel(mean), _per_channel(std), source)

    @classmethod
    def unit(cls, channels: int) -> Normalisation:
        """Scale bytes to 0..1 and do nothing else."""
        return cls(torch.zeros(channels, 1, 1), torch.ones(channels, 1, 1), "scaled to 0..1")

    @classmethod
    def measured(cls, images: Tensor) -> Normalisation:
        """Measure both per channel on ``images`` [N, C, H, W]; a constant channel gets std 1.

        Of more than ``MEASURED_ON`` images as many are looked at, evenly spaced.
        """
        total = squares = torch.zeros(images.shape[1], dtype=torch.float64)
        count = 0
        for chunk in _chunks(images):
            values = _to_unit(chunk).double()
            total, squares = total + values.sum((0, 2, 3)), squares + values.square().sum((0, 2, 3))
            count += values.numel() // values.shape[1]
        mean = total / count
        std = (squares / count - mean.square()).clamp(min=0).sqrt()
        std = torch.where(std > 1e-6, std, torch.ones_like(std))
        return cls(_per_channel(mean.tolist()), _per_channel(std.tolist()), "measured on the training images")

    @classmethod
    def mean_image(cls, images: Tensor) -> Normalisation:
        """Subtract the mean image of ``images`` [N, C, H, W], or of ``MEASURED_ON`` of them; no division."""
        total, count = torch.zeros(images.shape[1:], dtype=torch.float64), 0
        for chunk in _chunks(images):
            total, count = total + _to_unit(chunk).double().sum(0), count + chunk.shape[0]
        return cls((total / count).float(), torch.ones(images.shape[1], 1, 1), "mean image of the training images")

    def to(self, device: torch.device | str) -> Normalisation:
        """Copy both tensors to ``device``."""
        return Normalisation(self.mean.to(device), self.std.to(device), self.source)

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise [B, C, H, W]: uint8 counts as 0..255, floats as 0..1. Returns a new float32 tensor."""
        if images.dtype == torch.uint8:
            return images.to(torch.float32).sub_(self._byte_mean).div_(self._byte_std)
        return torch.sub(images.to(torch.float32), self.mean).div_(self.std)

    def describe(self) -> dict[str, object]:
        """Plain types; a mean image is given by its channel means."""
        return {
            "source": self.source,
            "mean": [round(value, 6) for value in self.mean.mean((1, 2)).tolist()],
            "std": [round(value, 6) for value in self.std.flatten().tolist()],
        }


def _per_channel(values: Sequence[float]) -> Tensor:
    return torch.tensor(list(values), dtype=torch.float32).view(-1, 1, 1)


def _chunks(images: Tensor) -> Iterator[Tensor]:
    count = images.shape[0]
    rows = torch.arange(count) if count <= MEASURED_ON else torch.linspace(0, count - 1, MEASURED_ON).long()
    for chunk in rows.split(CHUNK):
        yield images.index_select(0, chunk)


def _to_unit(images: Tensor) -> Tensor:
    return images.to(torch.float32) / 255.0 if images.dtype == torch.uint8 else images.to(torch.float32)
