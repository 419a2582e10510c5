"""Drop path: edges of a network of cells that are cut for whole images while it is trained (Larsson et al. 2017)."""

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor, nn


class DroppedPaths:
    """What becomes of the edges of one forward pass, each of which is asked for once.

    All edges are drawn at once, edge by edge and image by image within each.

    Args:
        probability: scalar tensor, that an edge is cut for an image.
        edges: number of them.
        images: of the batch.
    """

    def __init__(self, probability: Tensor, edges: int, images: int) -> None:
        self._keep = 1.0 - probability
        self._kept = torch.rand(edges, images, 1, 1, 1, device=probability.device) < self._keep
        self._scales: dict[torch.dtype, tuple[Tensor, ...]] = {}
        self._used = 0

    def __call__(self, x_nchw: Tensor) -> Tensor:
        """The next edge's maps: those of cut images zero, the others scaled so that the mean stays."""
        dtype = x_nchw.dtype
        if dtype not in self._scales:
            self._scales[dtype] = (self._kept.to(dtype) / self._keep).unbind()
        self._used += 1
        return x_nchw * self._scales[dtype][self._used - 1]


def is_dropped(operation: nn.Module) -> bool:
    """Whether the edge of an operation may be cut; those that pass their input on may not."""
    return not isinstance(operation, nn.Identity)


def droppable(cells: Iterable[nn.Module]) -> Iterator[nn.Module]:
    """The operations of all cells whose edges may be cut."""
    for cell in cells:
        operations = cell.operations
        assert isinstance(operations, nn.ModuleList)
        yield from filter(is_dropped, operations)


def dropped_paths(network: nn.Module, x_nchw: Tensor) -> DroppedPaths | None:
    """The paths that a network of cells drops for a batch of images; None where it is to drop none.

    It drops some in training if it has a ``drop_path``, unless its ``drops_paths`` is false.
    """
    probability = network.drop_path
    if probability is None or not network.training or not network.drops_paths:
        return None
    assert isinstance(probability, Tensor) and isinstance(network.cells, nn.ModuleList)
    return DroppedPaths(probability, sum(1 for _ in droppable(network.cells)), x_nchw.shape[0])
