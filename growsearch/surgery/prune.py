"""Fewer channels."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from torch import nn

from growsearch.errors import UserError
from growsearch.surgery.arguments import channel_numbers, each_once, require_group
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.momentum import Optimizers
from growsearch.surgery.remap import Removed, remap_checked


def prune(
    model: nn.Module,
    group: ChannelGroup,
    keep: Sequence[int],
    *,
    momentum: Literal["follow", "drop"] = "follow",
    optimizer: Optimizers = None,
    removed: Removed | None = None,
) -> None:
    """Keep the channels ``keep`` of a group, in this order, and cut the others out of every tensor.

    An exact copy that widening made gives its share of the consumers back to its twins, so pruning the
    copies restores the network; any other channel is cut with all it contributed.

    Args:
        model: the network that ``group`` was traced on.
        group: a handle.
        keep: numbers of the channels to keep, each once; at least one.
        momentum: see :func:`growsearch.surgery.remap`.
        optimizer: see :func:`growsearch.surgery.remap`.
        removed: called with the group and the numbers of the channels to cut before they go (beta folding).

    Raises:
        UserError: if ``keep`` is empty, repeats a channel or is out of range, or the group is unprunable or stale.
    """
    require_group(group)
    kept = channel_numbers(keep, f"keep of {group.name}", 0, group.size - 1)
    if not each_once(kept):
        twice = np.flatnonzero(np.bincount(kept) > 1)[:5].tolist()
        raise UserError(f"keep of {group.name}: {twice} come more than once; name each channel at most once")
    remap_checked(model, group, kept, True, {}, "scale_consumers", momentum, optimizer, removed)
