"""The ledger: what a run has spent so far, counted the same way for every method."""

from dataclasses import dataclass
from typing import Any

from growsearch.events import Edit, Epoch, Event, Phase
from growsearch.runner.typecheck import misfit

FINAL_PHASES = ("final training", "evaluation")
"""Phases after which the architecture no longer changes."""


@dataclass
class Ledger:
    """Counts that go into the checkpoint and the result.

    Attributes:
        seconds: wall-clock time, over all processes that worked on the run, while they were not stopped.
        search_seconds: of these, until the architecture was final; None while it is not.
        images: training images used, over all networks.
        steps: optimizer steps, over all networks.
        epochs: reports of trained epochs (whole or part).
        edits: structural changes.
        joules: energy of the device, until the last checkpoint; None once a part of it is not known.
        cpu_seconds: CPU time of these processes and their workers, until the last checkpoint.
    """

    seconds: float = 0.0
    search_seconds: float | None = None
    images: int = 0
    steps: int = 0
    epochs: int = 0
    edits: int = 0
    joules: float | None = None
    cpu_seconds: float = 0.0

    @classmethod
    def restored(cls, tree: dict[str, Any]) -> "Ledger":
        """The inverse of ``dataclasses.asdict``.

        Raises:
            TypeError: for other fields, or of other types.
        """
        made = cls(**tree)
        if wrong := misfit(cls, tree):
            raise TypeError(f"ledger, {wrong}")
        return made

    def use(self, joules: float | None) -> None:
        """Add energy; what is not known makes the sum unknown."""
        self.joules = None if self.joules is None or joules is None else self.joules + joules

    def count(self, event: Event | None) -> None:
        """Take an event into account."""
        if isinstance(event, Epoch):
            self.epochs += 1
            self.images += event.images
        elif isinstance(event, Edit):
            self.edits += 1
        elif isinstance(event, Phase) and event.name in FINAL_PHASES and self.search_seconds is None:
            self.search_seconds = self.seconds
