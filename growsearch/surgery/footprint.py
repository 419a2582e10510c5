"""Memory that a network takes as a function of its groups' sizes."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np

from growsearch.surgery.channels import ChannelMap
from growsearch.surgery.groups import Segment
from growsearch.surgery.widths import Vector

ALIVE = 3
"""So many results of operators are there at once."""
Lengths: TypeAlias = tuple[np.ndarray, np.ndarray]
"""Of the dimensions of tensors that carry channels, and of those of large results of operators."""


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
        results = channel_map.results()
        self._maps = _counted([members for members, _ in results], channel_map.sizes)
        self._entries = np.array([entries for _, entries in results], float)

    def lengths(self, sizes: Sequence[int]) -> Lengths:
        """Of all dimensions with these numbers of channels."""
        now = np.asarray(sizes, float)
        weights, maps = (now @ repeats + fixed for repeats, fixed in (self._weights, self._maps))
        return weights, maps

    def changed(self, lengths: Lengths, number: int, channels: int) -> Lengths:
        """Lengths after a group got so many channels more."""
        weights, maps = (
            before + channels * repeats[number]
            for before, (repeats, _) in zip(lengths, (self._weights, self._maps), strict=True)
        )
        return weights, maps

    def bytes(self, lengths: Lengths, share: float = 1) -> float:
        """Of the network with dimensions of these lengths, run for a share of the samples."""
        weights, maps = lengths
        held = float(np.multiply.reduceat(weights, self._starts).sum()) if len(weights) else 0.0
        return 8 * (held + share * ALIVE * float((maps * self._entries).max(initial=0)))

    def shared_out(self, wanted: dict[int, int], sizes: Sequence[int], limit: float) -> list[list[int]]:
        """Few lists of groups that may get sizes at once so that the network stays within a limit.

        A group that is too large by itself is in a list of its own.

        Args:
            wanted: group -> size.
            sizes: of all groups before.
            limit: bytes.
        """
        lists: list[tuple[list[int], Room]] = []
        for number, size in wanted.items():
            members = next((members for members, room in lists if room.fits(number, size)), None)
            if members is None:
                members, room = [], Room(self, sizes, limit)
                room.put(number, size)
                lists.append((members, room))
            members.append(number)
        return [members for members, _ in lists]


class Room:
    """A network whose groups get other sizes, one after another, while it stays within a limit.

    Args:
        footprint: its memory.
        sizes: of all groups at first.
        limit: bytes.
    """

    def __init__(self, footprint: Footprint, sizes: Sequence[int], limit: float) -> None:
        self._footprint, self._sizes, self._limit = footprint, list(sizes), limit
        self._lengths = footprint.lengths(sizes)

    def fits(self, number: int, size: int) -> bool:
        """Whether there is room for a group of this size; if so it gets it."""
        if self._footprint.bytes(self._after(number, size)) > self._limit:
            return False
        self.put(number, size)
        return True

    def put(self, number: int, size: int) -> None:
        """Give a group this size."""
        self._lengths, self._sizes[number] = self._after(number, size), size

    def _after(self, number: int, size: int) -> Lengths:
        return self._footprint.changed(self._lengths, number, size - self._sizes[number])


def _counted(dimensions: Sequence[Vector], sizes: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The same for dimensions of which the group of each entry is known, -1 for none, at these sizes."""
    counts = np.array([np.bincount(members + 1, minlength=len(sizes) + 1) for members in dimensions])
    counts = counts.reshape(-1, len(sizes) + 1)
    return counts[:, 1:].T / np.maximum(1, sizes)[:, None], counts[:, 0].astype(float)


def _lengths(dimensions: Sequence[tuple[Segment, ...]], groups: int) -> tuple[np.ndarray, np.ndarray]:
    """What makes lengths of sizes: entries that each channel of each group has in each dimension, and fixed ones."""
    repeats, fixed = np.zeros((groups, len(dimensions))), np.zeros(len(dimensions))
    for index, segments in enumerate(dimensions):
        for segment in segments:
            repeats[segment.group, index] += segment.repeat
            fixed[index] += segment.fixed
    return repeats, fixed
