"""How large the results of a run's operators are, and which channels they have."""

from typing import Any

from torch import Tensor

from growsearch.surgery.widths import Vector

SMALL = 2**12
"""Smaller results do not count for the memory that a run needs."""
ALIVE = 3
"""So many results of operators are there at once."""


class Results:
    """What a run takes of memory besides its tensors.

    Attributes:
        largest: entries of the largest tensor that an operator made or, as far as is known, needed meanwhile.
    """

    def __init__(self) -> None:
        self.largest = 0
        self._most: dict[int, tuple[Vector, int]] = {}

    def note(self, tensor: Tensor, labels: tuple[Vector | None, ...]) -> None:
        """Note what an operator made."""
        entries = tensor.numel()
        if entries > self.largest:
            self.largest = entries
        if entries >= SMALL:
            for vector in labels:
                if vector is not None:
                    self._keep(vector, ALIVE * entries // len(vector))

    def note_windows(self, weight: Tensor, out: Tensor, channels: Vector | None) -> None:
        """Note a convolution, which is computed from each window's entries.

        Args:
            weight: its weight (outputs, inputs of a group, ...).
            out: its result (samples, outputs, ...).
            channels: labels of its inputs.
        """
        outputs = max(1, out.shape[1])
        windows = out.numel() // outputs * (weight.numel() // outputs)
        self.largest = max(self.largest, windows)
        if windows >= SMALL and channels is not None:
            self._keep(channels, windows // len(channels))

    def _keep(self, vector: Vector, entries: int) -> None:
        known = self._most.get(id(vector))
        if known is None or entries > known[1]:
            self._most[id(vector)] = vector, entries

    def members(self, groups: Vector) -> list[tuple[Vector, int]]:
        """The groups of the entries of each dimension of channels, with how many numbers each entry stands for.

        Args:
            groups: label -> group, -1 for none.
        """
        found: dict[bytes, tuple[Vector, int]] = {}
        for vector, entries in self._most.values():
            members = groups[vector]
            key: Any = members.tobytes()
            if key not in found or entries > found[key][1]:
                found[key] = members, entries
        return [(members, entries) for members, entries in found.values() if (members >= 0).any()]
