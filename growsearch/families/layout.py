"""The layers of a network as plain data, and the paths beside them."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from growsearch.run_folder.plain import number


@dataclass(frozen=True)
class Layer:
    """``kind`` picks the colour; ``width`` is channels or units, ``kernels`` the windows of its convolutions."""

    kind: str
    width: float
    kernels: str = ""


Links = Callable[[int], Iterator[tuple[int, int]]]
"""Of so many layers of a group, from which to which a path leads beside those in between; -1 is the layer before it."""


def no_links(_: int) -> Iterator[tuple[int, int]]:
    """One layer after another."""
    return iter(())


def all_earlier(count: int) -> Iterator[tuple[int, int]]:
    """Dense blocks: every layer, and what comes after the block, takes all outputs since the block's input."""
    return ((source, target) for target in range(count + 1) for source in range(-1, target - 1))


def around_each(count: int) -> Iterator[tuple[int, int]]:
    """Residual blocks, a bar each."""
    return ((index - 1, index) for index in range(count))


def around(convolutions: int) -> Links:
    """Residual blocks of so many convolutions, a bar for each of these."""
    return lambda count: ((start - 1, start + convolutions - 1) for start in range(0, count, convolutions))


def two_before(count: int) -> Iterator[tuple[int, int]]:
    """Cells that take the outputs of the two cells before them."""
    return ((index - 2, index) for index in range(count))


@dataclass(frozen=True)
class Group:
    """Layers that belong together, such as a block, a stage or a cell."""

    label: str
    layers: list[Layer]
    links: Links = no_links


def row(kind: str, widths: Any, kernels: str = "") -> list[Layer]:
    """Layers of one kind with these widths; what is no number is left out."""
    return [Layer(kind, float(width), kernels) for width in widths if number(width) is not None]


def head(classes: Any) -> Group:
    """The classifier."""
    return Group("classes", row("classifier", [classes]))


def resized_cells(spec: dict[str, Any]) -> list[Group]:
    """Cells whose convolutions were widened or cut: those alone, as cells show no single width any more."""
    kernels = [shape for shape in spec["resized"].values() if len(shape) == 4]
    layers = [Layer("convolution", float(shape[0]), f"{shape[2]}x{shape[3]}") for shape in kernels]
    return [Group("convolutions of changed size", layers), head(spec["classes"])]
