"""A network and a data set in another package."""

from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from growsearch.data.config import DataConfig
from growsearch.data.dataset import Split
from growsearch.data.raw import Raw
from growsearch.families.layout import Group, head, row
from growsearch.surgery.initialise import library_


class ToyNet(nn.Module):
    """A convolution, the mean of each channel, a classifier; ``spec()`` reads the live sizes."""

    OPTIONS: ClassVar = {"channels": 4}

    def __init__(self, channels: int, image_shape: list[int], classes: int) -> None:
        super().__init__()
        self.image_shape = image_shape
        self.conv = nn.Conv2d(image_shape[0], channels, 3, padding=1)
        self.head = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x).relu().mean((2, 3)))

    @classmethod
    def spec_from_options(
        cls, options: dict[str, Any], image_shape: tuple[int, ...], num_classes: int
    ) -> dict[str, Any]:
        return {"family": "toy_net", **options, "image_shape": list(image_shape), "classes": num_classes}

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "ToyNet":
        return cls(**{key: value for key, value in spec.items() if key != "family"})

    def spec(self) -> dict[str, Any]:
        channels, classes = self.conv.weight.shape[0], self.head.weight.shape[0]
        return {"family": "toy_net", "channels": channels, "image_shape": self.image_shape, "classes": classes}

    @staticmethod
    def groups(spec: dict[str, Any]) -> list[Group]:
        return [Group("conv", row("convolution", [spec["channels"]], "3x3")), head(spec["classes"])]

    def initialise(self, generator: torch.Generator) -> None:
        library_(self, generator)


def stripes(config: DataConfig) -> Raw:
    """Two classes of 8x8 images: stripes that lie, and stripes that stand."""
    draws = torch.Generator().manual_seed(0)
    labels = torch.arange(400) % 2
    lines = torch.randint(0, 256, (400, 1, 8, 1), generator=draws, dtype=torch.uint8).expand(-1, -1, -1, 8)
    images = torch.where(labels.bool()[:, None, None, None], lines, lines.transpose(2, 3)).contiguous()
    return Raw(pool=Split(images, labels), test=None, classes=("lie", "stand"))
