"""The order of cells, in search and in evaluation."""

from collections.abc import Iterator
from dataclasses import dataclass

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


def cell_places(channels: int, layers: int, outputs: tuple[int, int]) -> Iterator[CellPlace]:
    """Place ``layers`` cells behind a stem of ``3 * channels``.

    Args:
        channels: width of the first cell.
        layers: number of cells.
        outputs: states that a normal and a reduction cell concatenate (1 for a mean).
    """
    before, last, after_reduction = STEM_MULTIPLIER * channels, STEM_MULTIPLIER * channels, False
    for position in range(layers):
        reduction = position in reduction_positions(layers)
        channels *= 2 if reduction else 1
        yield CellPlace(channels, (before, last), reduction, after_reduction)
        before, last, after_reduction = last, channels * outputs[reduction], reduction
