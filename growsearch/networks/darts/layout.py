"""The order of cells, in search and in evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import nn

STEM_MULTIPLIER = 3
"""Width of the stem in multiples of the first cell's."""


@dataclass(frozen=True)
class CellPlace:
    """A cell's width, the widths of its two inputs, and where it stands."""

    channels: int
    in_channels: tuple[int, int]
    reduction: bool
    after_reduction: bool


def reduction_positions(layers: int) -> tuple[int, ...]:
    """0-based positions of the two cells that halve maps and double channels (a third and two thirds)."""
    return tuple(sorted({layers // 3, 2 * layers // 3}))


def cell_places(
    channels: int, layers: int, outputs: tuple[int, int], stem: int | None = None, after_reduction: bool = False
) -> Iterator[CellPlace]:
    """Place ``layers`` cells behind a stem.

    Args:
        channels: width of the first cell.
        layers: number of cells.
        outputs: states that a normal and a reduction cell concatenate (1 for a mean).
        stem: its width; ``3 * channels`` by default.
        after_reduction: the first of the stem's two outputs has maps twice as large as the second.
    """
    before = last = STEM_MULTIPLIER * channels if stem is None else stem
    for position in range(layers):
        reduction = position in reduction_positions(layers)
        channels *= 2 if reduction else 1
        yield CellPlace(channels, (before, last), reduction, after_reduction)
        before, last, after_reduction = last, channels * outputs[reduction], reduction


def imagenet_stem(in_channels: int, inner: int, width0: int, width1: int) -> nn.Sequential:
    """Three 3 x 3 convs of stride 2; the second and the third feed the first cell."""

    def conv(a: int, b: int) -> list[nn.Module]:
        return [nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b)]

    return nn.Sequential(
        nn.Sequential(*conv(in_channels, inner), nn.ReLU(), *conv(inner, width0)),
        nn.Sequential(nn.ReLU(), *conv(width0, width1)),
    )
