"""The position of a stream of training images."""

from dataclasses import field

import torch
from torch import Tensor

from growsearch.training.stateful import state


def _no_sums() -> Tensor:
    return torch.zeros(3, dtype=torch.float64)


@state
class Cursor:
    """A position in an endless sequence of passes over a split, and what was summed since the last report.

    Attributes:
        purpose: names the stream's draws together with the network's id and ``passes``.
        split: which images it runs over: ``train``, ``val`` or ``test``.
        passes: index of the pass under way.
        position: images of that pass already used.
        used: images used since :meth:`restart`, over all passes.
        sums: loss times images, correct answers, images; on the device while training.
        outcome: ``ok``, or why training had to end: ``diverged``.
    """

    purpose: str = "train"
    split: str = "train"
    passes: int = 0
    position: int = 0
    used: int = 0
    sums: Tensor = field(default_factory=_no_sums)
    outcome: str = "ok"

    def restart(self) -> None:
        """Forget the sums; the position in the pass stays."""
        self.used, self.sums, self.outcome = 0, _no_sums(), "ok"

    def next_pass(self) -> None:
        """Leave what remains of this pass and go to the start of the next; forget the sums."""
        self.passes, self.position = self.passes + 1, 0
        self.restart()
