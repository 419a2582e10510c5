"""The first dense layer after a pooling has come or gone before it (ECToNAS, appendix A.2).

Its weight is seen as (units, C, H, W), the order in which PyTorch flattens maps.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery.morphisms.replace import replace_tensor

PoolRewrite = Literal["avg", "max_abs", "max_signed"]


def size_before_last_pooling(size: int, poolings: int) -> int:
    """Side of the maps after all but the last of ``poolings`` 2x2 poolings that pad odd sides at their end."""
    for _ in range(poolings - 1):
        size = (size + 1) // 2
    return size


def pooled_weight(weight_UCHW: Tensor, rewrite: PoolRewrite) -> Tensor:
    """Rewrite for maps that are now pooled 2x2: (U, C, ceil(H/2), ceil(W/2)), border windows as far as they go.

    Args:
        weight_UCHW: the dense layer's weight as maps.
        rewrite: ``avg``: mean of each window (average pooling). ``max_abs``: its weight of largest absolute value with
            its sign, the first of equals (max pooling, paper). ``max_signed``: its largest weight (max
            pooling, authors' code).

    Raises:
        UserError: if the rewrite is unknown.
    """
    weight = weight_UCHW.detach()
    match rewrite:
        case "avg":
            return F.avg_pool2d(weight, 2, ceil_mode=True, count_include_pad=False)
        case "max_signed":
            return F.max_pool2d(weight, 2, ceil_mode=True)
        case "max_abs":
            _, place = F.max_pool2d(weight.abs(), 2, ceil_mode=True, return_indices=True)
            return weight.flatten(2).gather(2, place.flatten(2)).view(place.shape)
        case _:
            raise UserError(f"rewrite for a pooling: {rewrite!r} is not accepted; use avg, max_abs or max_signed")


def unpooled_weight(weight_UCHW: Tensor, size: tuple[int, int]) -> Tensor:
    """Rewrite for maps that are no longer pooled 2x2: every weight repeated 2x2, cut to (U, C, *size).

    Raises:
        UserError: if maps of that size would not be pooled to (H, W).
    """
    height, width = size
    if ((height + 1) // 2, (width + 1) // 2) != tuple(weight_UCHW.shape[2:]):
        raise UserError(
            f"removal of a pooling: maps of {height}x{width} are not accepted; use a size that "
            f"pooling brings to {weight_UCHW.shape[2]}x{weight_UCHW.shape[3]}"
        )
    repeated = weight_UCHW.detach().repeat_interleave(2, 2).repeat_interleave(2, 3)
    return repeated[:, :, :height, :width]


def follow_pooling(dense: nn.Linear, size: tuple[int, int], rewrite: PoolRewrite) -> None:
    """Rewrite the first dense layer for a pooling that has come before it.

    Args:
        dense: the layer that reads flattened maps.
        size: (H, W) of the maps it has read so far.
        rewrite: see :func:`pooled_weight`.
    """
    _replace_maps(dense, pooled_weight(_maps(dense, size), rewrite))


def follow_removed_pooling(dense: nn.Linear, size: tuple[int, int], new_size: tuple[int, int]) -> None:
    """Rewrite the first dense layer for a pooling that has gone.

    Args:
        dense: the layer that reads flattened maps.
        size: (H, W) of the maps it has read so far.
        new_size: (H, W) of the maps it will read; see :func:`size_before_last_pooling`.
    """
    _replace_maps(dense, unpooled_weight(_maps(dense, size), new_size))


def _maps(dense: nn.Linear, size: tuple[int, int]) -> Tensor:
    if dense.in_features % (size[0] * size[1]):
        raise UserError(f"dense layer: its {dense.in_features} inputs are not whole maps of {size[0]}x{size[1]}")
    return dense.weight.unflatten(1, (-1, *size))


def _replace_maps(dense: nn.Linear, weight_UCHW: Tensor) -> None:
    replace_tensor(dense, "weight", weight_UCHW.flatten(1))
    dense.in_features = dense.weight.shape[1]
