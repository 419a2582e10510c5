"""Memory that a network takes as a function of its groups' sizes."""

from collections.abc import Sequence

import numpy as np

from growsearch.surgery.channels import ChannelMap
from growsearch.surgery.groups import Segment

ALIVE = 3
"""So many results of operators are there at once."""


class Footprint:
    """Bytes of all tensors that carry channels, and of the largest results of operators, in double precision.

    Args:
        channel_map: what tiles their dimensions.
    """

    def __init__(self, channel_map: ChannelMap) -> None:
        axes = {(axis.name, axis.dim): axis for group in channel_map.axes for axis in group}
        names = sorted(axes)
        self._weights = _lengths([axes[each].segments for each in names], len(channel_map.sizes))
        self._starts = [row for row, (name, _) in enumerate(names) if not row or name != names[row - 1][0]]
        self._maps = _lengths([segments for segments, _ in channel_map.maps], len(channel_map.sizes))
        self._entries = np.array([entries for _, entries in channel_map.maps], float)

    def bytes(self, sizes: Sequence[int]) -> float:
        """Of the network with these numbers of channels."""
        now = np.asarray(sizes, float)
        weights, maps = (repeats @ now + fixed for repeats, fixed in (self._weights, self._maps))
        held = float(np.multiply.reduceat(weights, self._starts).sum()) if len(weights) else 0.0
        return 8 * (held + ALIVE * float((maps * self._entries).max(initial=0)))

    def shared_out(self, wanted: dict[int, int], sizes: Sequence[int], limit: float) -> list[list[int]]:
        """Few lists of groups that may get sizes at once so that the network stays within a limit.

        A group that is too large by itself is in a list of its own.

        Args:
            wanted: group -> size.
            sizes: of all groups before.
            limit: bytes.
        """
        lists: list[tuple[list[int], list[int]]] = []
        for number, size in wanted.items():
            for members, taken in lists:
                before, taken[number] = taken[number], size
                if self.bytes(taken) <= limit:
                    members.append(number)
                    break
                taken[number] = before
            else:
                taken = list(sizes)
                taken[number] = size
                lists.append(([number], taken))
        return [members for members, _ in lists]


def _lengths(dimensions: Sequence[tuple[Segment, ...]], groups: int) -> tuple[np.ndarray, np.ndarray]:
    """What makes lengths of sizes: entries that each channel of each group has in each dimension, and fixed ones."""
    repeats, fixed = np.zeros((len(dimensions), groups)), np.zeros(len(dimensions))
    for row, segments in enumerate(dimensions):
        for segment in segments:
            repeats[row, segment.group] += segment.repeat
            fixed[row] += segment.fixed
    return repeats, fixed
