"""What callers of edits hand over, checked before anything is changed."""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.memory import require_memory
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.tensors import tensor_of

MOST = 2**24
"""So many channels may be listed; a list that never ends is found out at once."""


def each_once(sources: np.ndarray) -> bool:
    """Whether no old channel comes twice."""
    return bool(np.bincount(sources).max() == 1)


def require_group(group: Any) -> None:
    """Raise UserError for what is no handle, such as its name."""
    if not isinstance(group, ChannelGroup):
        raise UserError(f"group: {str(group)[:60]} is not accepted; use a handle from channel_groups")


def require_groups(groups: Any) -> None:
    """Raise UserError for what is no list of handles."""
    if not isinstance(groups, (list, tuple)):
        raise UserError(f"groups: {str(groups)[:60]} is not accepted; use a list of handles from channel_groups")
    for each in groups:
        require_group(each)


def channel_numbers(values: Iterable[Any], what: str, lowest: int, highest: int) -> np.ndarray:
    """Whole numbers (of Python, numpy or torch) as an array.

    Raises:
        UserError: if there are none or too many, or one is no whole number from ``lowest`` to ``highest``; a mask is
            none.
    """
    listed = values.tolist() if isinstance(values, (Tensor, np.ndarray)) else values
    known = type(listed) in (list, range) or isinstance(listed, Iterable)  # the latter takes a while to tell
    numbers: list[Any] = list(islice(listed, MOST + 1)) if known else []
    if len(numbers) > MOST:
        raise UserError(f"{what}: there are more than {MOST} of them; use fewer")
    kinds = set(map(type, numbers))
    if kinds != {int}:
        numbers = [each.tolist() if isinstance(each, (Tensor, np.generic)) else each for each in numbers]
        kinds = set(map(type, numbers))
    if kinds != {int} or min(numbers) < lowest or max(numbers) > highest:  # sooner than numpy would tell
        found = f"{len(numbers)} entries such as {numbers[:3]}" if len(numbers) > 12 else str(numbers or values)
        raise UserError(f"{what}: {found} is not accepted; use whole numbers from {lowest} to {highest}")
    return np.array(numbers)


def require_room(model: nn.Module, group: ChannelGroup, size: int) -> None:
    """Check that there is memory for a group of so many channels, where it becomes much larger.

    Raises:
        UserError: if there is not.
    """
    if size <= 2 * group.size:
        return
    needed = 64 * size  # lists of channels
    for axis in group.axes:
        tensor = tensor_of(*group.map.holders(model, axis.name)[0])
        entries = size * sum(segment.repeat for segment in axis.segments if segment.group == group.number)
        needed += tensor.nbytes // tensor.shape[axis.dim] * entries if tensor.device.type == "cpu" else 0
    require_memory(needed, f"{group.name} of {size} channels", "use fewer channels")
