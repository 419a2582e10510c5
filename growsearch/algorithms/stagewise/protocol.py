"""How a network of the search is trained (section IV)."""

from dataclasses import dataclass, replace

from growsearch.algorithms.stagewise.config import StagewiseConfig, TrainingProtocol
from growsearch.data.augment import Augmentation
from growsearch.training import FitPlan
from growsearch.training.plan import recipe_of, schedule_of
from growsearch.training.schedules import Schedule


@dataclass(frozen=True)
class Held:
    """A schedule of ``length`` epochs whose last rate holds for all further ones."""

    inner: Schedule
    length: int

    def rate(self, epoch: int, epochs: int) -> float:
        """The rate of an epoch, however many there are."""
        return self.inner.rate(min(epoch, self.length - 1), self.length)


def fit_plan(config: StagewiseConfig, epochs: int, phase: str) -> FitPlan:
    """Training for ``epochs`` in all; those beyond the protocol's go on at its final rate."""
    protocol = config.protocol
    settings = protocol.settings(config.modules)
    augmentation = Augmentation(protocol.crop_padding, protocol.flip, pad_value="mean")
    recipe = replace(recipe_of(settings), augmentation=augmentation, copies=protocol.augment_copies)
    return FitPlan(epochs, recipe, Held(schedule_of(settings), protocol.epochs), phase=phase)


def decayed(rate: float, protocol: TrainingProtocol, updates: int) -> float:
    """Keras' time decay: the rate over 1 + time_decay * updates, of one network."""
    return rate / (1 + protocol.time_decay * updates)
