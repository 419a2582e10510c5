"""Actions that train and evaluate networks."""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from growsearch import events
from growsearch.actions.base import Action, Net
from growsearch.actions.workbench import Workbench
from growsearch.data.augment import Augmentation
from growsearch.errors import Diverged
from growsearch.training import Cursor, Evaluation, FitPlan, FitState, Network, Rate, Recipe, fit
from growsearch.training.optimizer import used_rate

Steps = Generator[events.Event | None, None, Any]


@dataclass(frozen=True)
class Trained:
    """Figures of a pass: means over its images, accuracies as fractions; validation where it was asked for."""

    loss: float
    accuracy: float
    images: int
    batch_size: int
    val_loss: float | None = None
    val_accuracy: float | None = None


@dataclass(frozen=True)
class Train(Action):
    """One pass over the training images, or a part of one, and the validation after it.

    Attributes:
        net: what is trained.
        phase: name that the record gives it.
        epoch: number in the record.
        stream: names its images' draws, together with ``number``.
        number: of the pass.
        recipe: constants of the step.
        rate: learning rate, or rates by parameter name.
        buffers: scalar buffers of the network to be set before, such as a drop-path probability.
        batches: so many batches in place of the whole pass.
        validate: evaluate on the validation split afterwards.
        val_augmentation: on images treated so, drawn anew for each ``epoch``; None for plain ones.
    """

    answers = Trained
    progress = Cursor
    net: Net
    phase: str
    epoch: int
    stream: str
    number: int
    recipe: Recipe
    rate: Rate
    buffers: dict[str, float] = field(default_factory=dict)
    batches: int | None = None
    validate: bool = True
    val_augmentation: Augmentation | None = None

    def position(self, bench: Workbench) -> Cursor:
        """The start of the pass."""
        return Cursor(purpose=self.stream, passes=self.number)

    def steps(self, bench: Workbench, position: Cursor) -> Steps:
        """Train, then validate.

        Raises:
            Diverged: if a loss is not finite; the weights before it are kept.
        """
        engine, network = bench.engine, bench.networks[self.net.name]
        set_buffers(network, self.buffers)
        stats = yield from engine.epoch(network, position, self.recipe, self.rate, self.batches)
        if stats.outcome != "ok":
            raise Diverged(self.phase, network.id, self.epoch)
        shown = Trained(stats.loss, stats.accuracy, stats.images, engine.batch_size(self.recipe.batch_size))
        if not self.validate:
            return shown
        val = engine.evaluate(network, "val", self.val_augmentation, counter=self.epoch)
        return replace(shown, val_loss=val.loss, val_accuracy=val.accuracy)

    def event(self, answer: Trained) -> events.Epoch:
        """The epoch in the record."""
        return epoch_event(self.net, self.phase, self.epoch, answer, used_rate(self.rate, 0.0, 0))


def epoch_event(net: Net, phase: str, epoch: int, shown: Trained, lr: float) -> events.Epoch:
    """The record of a pass."""
    return events.Epoch(
        network=net.id,
        phase=phase,
        epoch=epoch,
        train_loss=shown.loss,
        train_accuracy=shown.accuracy,
        val_loss=shown.val_loss,
        val_accuracy=shown.val_accuracy,
        lr=lr,
        batch_size=shown.batch_size,
        images=shown.images,
        params=net.params,
    )


def set_buffers(network: Network, values: dict[str, float]) -> None:
    """Write numbers into scalar buffers of the network's module, where it has them."""
    for name, value in values.items():
        tensor = getattr(network.module, name, None)
        if isinstance(tensor, Tensor):
            tensor.fill_(value)


@dataclass(frozen=True)
class Fitted:
    """State of a phase of training.

    Attributes:
        epochs: finished.
        val: validation (loss, accuracy) after each; empty without a validation split.
        test: test accuracies of the last epochs, as the plan asks.
        best: index of the best epoch so far under the plan's rule.
        capped: it ended early, for the run had taken as many seconds as allowed.
    """

    epochs: int = 0
    val: list[list[float]] = field(default_factory=list)
    test: list[float] = field(default_factory=list)
    best: int = -1
    capped: bool = False

    @property
    def val_accuracy(self) -> float | None:
        """Validation accuracy of the weights that the phase ends with."""
        return self.val[self.best][1] if self.val else None

    @property
    def val_loss(self) -> float | None:
        """Validation loss of the weights that the phase ends with."""
        return self.val[self.best][0] if self.val else None


@dataclass(frozen=True)
class Fit(Action):
    """A phase of training, or the part of it up to ``until``; the epochs come into the record one by one.

    Attributes:
        net: what is trained; it ends with the weights that the plan keeps.
        plan: how.
        stream: names its images' draws.
        so_far: the answer to an earlier part of the same phase; None to begin.
        until: epochs, of those of the plan, after which to stop; None for all.
        rates: by parameter name, in place of the plan's schedule.
        max_seconds: of the run, after which the phase ends with the best weights so far; 0 for no such cap.
    """

    answers = Fitted
    progress = FitState
    net: Net
    plan: FitPlan
    stream: str = "train"
    so_far: Fitted | None = None
    until: int | None = None
    rates: dict[str, float] | None = None
    max_seconds: float = 0.0

    def position(self, bench: Workbench) -> FitState:
        """The start of the phase, or where an earlier part of it ended."""
        if self.so_far is None:
            return FitState(cursor=Cursor(purpose=self.stream))
        return bench.fits[self.net.name]

    def steps(self, bench: Workbench, position: FitState) -> Steps:
        """Train from where the phase stands.

        Raises:
            Diverged: if a loss is not finite; the weights before it are kept.
        """
        network = bench.networks[self.net.name]
        bench.fits[self.net.name] = position
        yield from fit(bench.engine, network, position, self.plan, self.until, self.rates, self._out_of_time(bench))
        return fitted(network, self.plan, position)

    def _out_of_time(self, bench: Workbench) -> Callable[[], bool]:
        return lambda: 0 < self.max_seconds <= bench.clock()


def fitted(network: Network, plan: FitPlan, position: FitState) -> Fitted:
    """The answer to a phase of training that has come to an end, or to its ``until``.

    Raises:
        Diverged: if a loss was not finite.
    """
    if position.outcome == "diverged":
        raise Diverged(plan.phase, network.id, position.epoch - 1)
    val, test = [list(pair) for pair in position.val], list(position.test)
    return Fitted(position.epoch, val, test, position.best, position.outcome == "capped")


@dataclass(frozen=True)
class Evaluate(Action):
    """Loss and accuracy on a split; with ``augmentation``, on images drawn anew for each ``counter``."""

    answers = Evaluation
    net: Net
    split: str = "val"
    augmentation: Augmentation | None = None
    counter: int = 0

    def perform(self, bench: Workbench) -> Evaluation:
        """Evaluate it."""
        return bench.engine.evaluate(bench.networks[self.net.name], self.split, self.augmentation, self.counter)
