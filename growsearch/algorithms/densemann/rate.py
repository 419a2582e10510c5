"""Learning rates: while growing, a schedule that decisions restart and switch off; afterwards a plain one."""

from collections.abc import Sequence
from dataclasses import dataclass

from growsearch.training.schedules import stepped


@dataclass
class GrowingRate:
    """Rate of the next epoch, as a count of drops so that no rates are compared (DensEMANN section 3.1.2).

    Attributes:
        first: epoch at whose end the schedule was last started.
        drops: how often the rate has been lowered since, 0 to the number of milestones.
        active: whether milestones are being watched for.
    """

    first: int = 0
    drops: int = 0
    active: bool = False

    def value(self, lr: float, factor: float) -> float:
        """The rate in force for the next epoch."""
        return stepped(lr, factor, self.drops)

    def start(self, epoch: int, *, reset: bool = True) -> None:
        """Start the schedule at the end of an epoch, from the top unless ``reset`` is False."""
        self.first, self.active = epoch, True
        if reset:
            self.drops = 0

    def stop(self, milestones: Sequence[float]) -> None:
        """Switch the schedule off with the rate at its lowest."""
        self.active, self.drops = False, len(milestones)

    def after_training(self, epoch: int, length: int, milestones: Sequence[float]) -> None:
        """Lower the rate if a milestone has come: after an epoch's training, before its validation.

        Args:
            epoch: the epoch that was trained.
            length: of the schedule.
            milestones: fractions of it; the n-th counts only if n drops came before.
        """
        if not self.active:
            return
        age = epoch - self.first
        if self.drops < len(milestones) and age == int(length * milestones[self.drops]):
            self.drops += 1
        elif age == length:
            self.active = False


@dataclass(frozen=True)
class FinalRate:
    """Rate of the final training (DensEMANN section 3.1.3): lowered after each of the fractions ``at`` of it.

    With ``late_start`` one epoch at the lowest rate comes first, and counts for nothing (authors' code).
    """

    lr: float
    factor: float
    at: tuple[float, ...]
    late_start: bool = False

    def rate(self, epoch: int, epochs: int) -> float:
        """The rate of epoch ``epoch`` of ``epochs``."""
        if self.late_start:
            if epoch == 0:
                return stepped(self.lr, self.factor, len(self.at))
            epoch, epochs = epoch - 1, epochs - 1
        return stepped(self.lr, self.factor, sum(epoch >= int(fraction * epochs) for fraction in self.at))
