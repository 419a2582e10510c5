"""How large the results of a run's operators are, and which channels they have."""

from torch import Tensor

from growsearch.surgery.widths import Vector

SMALL = 2**12
"""Results of fewer entries do not count for the memory that a run needs."""


class Results:
    """What the operators of a run made.

    Attributes:
        largest: entries of the largest tensor that an operator made or, as far as is known, needed meanwhile.
    """

    def __init__(self) -> None:
        self.largest = 0
        self._most: dict[int, tuple[Vector, int]] = {}

    def note(self, tensor: Tensor, labels: tuple[Vector | None, ...]) -> None:
        """Note a tensor that an operator made, and the labels of its dimensions."""
        entries = tensor.numel()
        self.largest = max(self.largest, entries)
        for vector in labels if entries >= SMALL else ():
            if vector is not None and entries // len(vector) > self._most.get(id(vector), (vector, 0))[1]:
                self._most[id(vector)] = vector, entries // len(vector)

    def note_windows(self, weight: Tensor, out: Tensor) -> None:
        """Note a convolution, which is computed from each window's entries.

        Args:
            weight: its weight (outputs, inputs of a group, ...).
            out: its result (samples, outputs, ...).
        """
        outputs = max(1, out.shape[1])
        self.largest = max(self.largest, out.numel() // outputs * (weight.numel() // outputs))

    def of_groups(self, groups: Vector) -> list[tuple[Vector, int]]:
        """Each dimension of channels of large results: the groups of its entries, and the most that one of them counts.

        Args:
            groups: label -> group, -1 for none.
        """
        found: dict[bytes, tuple[Vector, int]] = {}
        for vector, entries in self._most.values():
            members = groups[vector]
            _, most = found.get(members.tobytes(), (members, 0))
            found[members.tobytes()] = members, max(most, entries)
        return [each for each in found.values() if (each[0] >= 0).any()]
