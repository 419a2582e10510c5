"""The auxiliary head of DARTS' evaluation network."""

from torch import Tensor, nn

MIN_MAP = 8
"""Smallest map the head makes sense on: pooling 5 with stride 3 and a 2 x 2 conv leave one value of it."""

IMAGENET_MIN_MAP = 7
"""Likewise for the variant for ImageNet, which pools with stride 2."""


def fits_auxiliary(image_size: int | None, imagenet: bool) -> bool:
    """Whether the map behind the second reduction cell is large enough for the head; yes for images of any size."""
    if image_size is None:
        return True
    return -(-image_size // 32) >= IMAGENET_MIN_MAP if imagenet else -(-image_size // 4) >= MIN_MAP


class AuxiliaryHead(nn.Module):
    """ReLU, average pool 5 stride 3, 1 x 1 conv to 128, norm, ReLU, 2 x 2 conv to 768, norm, ReLU, linear.

    On maps larger than 8 x 8 what the last conv leaves is averaged. ImageNet's variant pools with stride 2 and has no
    norm behind its last conv.
    """

    def __init__(self, in_channels: int, num_classes: int, imagenet: bool = False) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.ReLU(),
            nn.AvgPool2d(5, stride=2 if imagenet else 3, count_include_pad=False),
            nn.Conv2d(in_channels, 128, 1, bias=False),
            nn.BatchNorm2d(128),
            nn.ReLU(),
            nn.Conv2d(128, 768, 2, bias=False),
            nn.Identity() if imagenet else nn.BatchNorm2d(768),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(768, num_classes)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Logits, N x classes."""
        return self.classifier(self.features(x_nchw).mean((2, 3)))
