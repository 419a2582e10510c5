"""Training with whole batches of a size that may grow: an epoch of DARTS, and that of the found cells."""

import math
from collections.abc import Generator
from dataclasses import dataclass, field

from growsearch import events
from growsearch.actions import Action, Fitted, Net, Trained, Workbench
from growsearch.actions.training import Steps, epoch_event, fitted, set_buffers
from growsearch.algorithms.prdarts.edits import architecture_weights, probabilities
from growsearch.data.augment import Augmentation
from growsearch.errors import Diverged
from growsearch.networks.darts.search import CELL_KINDS
from growsearch.training import Cursor, Engine, EpochStats, FitPlan, FitState, Network, Rate, Recipe, fit, state
from growsearch.training.unrolled import UnrolledStep

PHASE = "search"

DIGITS = 6
"""Decimals of architecture weights that are recorded; decisions see all."""


@dataclass(frozen=True)
class BatchGrowth:
    """Rule by which a batch grows; ``largest`` at its present size or below means never."""

    multiple: int
    largest: int
    interval: int
    threshold: float


@state
class Alternation:
    """Positions of both streams within an epoch.

    Attributes:
        batch_size: images a batch has now, the same for both.
        weights: stream of the images that train weights.
        alphas: stream of the images that train architecture weights.
        steps: pairs of steps in this epoch.
        usage: largest fraction of the device's memory seen in this epoch.
        told: architecture weights after this epoch are in the record.
    """

    batch_size: int
    weights: Cursor = field(default_factory=lambda: Cursor(purpose="weights", split="train"))
    alphas: Cursor = field(default_factory=lambda: Cursor(purpose="alphas", split="val"))
    steps: int = 0
    usage: float = 0.0
    told: bool = False

    def next_epoch(self) -> None:
        """Forget sums and memory peaks; the streams stay where they are."""
        self.weights.restart()
        self.alphas.restart()
        self.steps, self.usage = 0, 0.0


@dataclass(frozen=True)
class Alternated(Trained):
    """Figures of an epoch, and its end; the streams run on over epochs and cycles.

    Attributes:
        next_batch_size: what the batch has grown to.
        weights: (pass, image) at which the stream of weights stands.
        alphas: likewise, of architecture weights.
    """

    next_batch_size: int = field(kw_only=True)
    weights: list[int] = field(kw_only=True)
    alphas: list[int] = field(kw_only=True)


@dataclass(frozen=True)
class Alternate(Action):
    """One epoch of alternating steps: architecture weights, then weights, on streams of their own.

    Attributes:
        net: the search network.
        epoch: number in the record, over all cycles.
        parted_at: training images, from the front, that train weights; the others train architecture weights.
        batch_size: images of the first batch.
        so_far: the answer to the epoch before; None to begin both streams.
        weights: recipe of the steps on weights.
        alphas: recipe of the steps on architecture weights; None in grace epochs, when their stream rests too.
        rate: learning rate of the weights.
        skip_dropout: rate of the dropout behind stride-1 skips.
        growth: of the batch, after any step.
        validate: evaluate on the images of the architecture weights afterwards.
        val_augmentation: on images treated so, drawn anew for each ``epoch``; None for plain ones.
    """

    answers = Alternated
    progress = Alternation
    net: Net
    epoch: int
    parted_at: int
    batch_size: int
    so_far: Alternated | None
    weights: Recipe
    alphas: Recipe | None
    rate: float
    skip_dropout: float
    growth: BatchGrowth
    validate: bool
    val_augmentation: Augmentation | None

    def position(self, bench: Workbench) -> Alternation:
        """Positions of the streams at the end of the epoch before."""
        made = Alternation(self.batch_size)
        if self.so_far is not None:
            made.weights.passes, made.weights.position = self.so_far.weights
            made.alphas.passes, made.alphas.position = self.so_far.alphas
        return made

    def steps(self, bench: Workbench, position: Alternation) -> Steps:
        """Train, then validate where asked.

        Raises:
            Diverged: if a loss is not finite; the weights before it are kept.
        """
        engine, network = bench.on(self.parted_at), bench.networks[self.net.name]
        network.set_rate(self.rate, self.weights.optimizer)
        set_buffers(network, {"skip_dropout": self.skip_dropout})
        stats = yield from alternate(engine, network, position, self.weights, self.alphas, self.growth)
        if stats.outcome != "ok":
            raise Diverged(PHASE, network.id, self.epoch)
        if not position.told:
            position.told = True
            yield events.Measure(network.id, "alphas", self.epoch, architecture(network))
        val = engine.evaluate(network, "val", self.val_augmentation, counter=self.epoch) if self.validate else None
        weights, alphas = position.weights, position.alphas
        return Alternated(
            stats.loss,
            stats.accuracy,
            weights.used + alphas.used,
            engine.batch_size(position.batch_size),
            val.loss if val else None,
            val.accuracy if val else None,
            next_batch_size=position.batch_size,
            weights=[weights.passes, weights.position],
            alphas=[alphas.passes, alphas.position],
        )

    def event(self, answer: Alternated) -> events.Epoch:
        """The epoch in the record."""
        return epoch_event(self.net, PHASE, self.epoch, answer, self.rate)


def architecture(network: Network) -> dict[str, dict[str, list[list[float]]]]:
    """Architecture weights and their softmax values, rounded: by cell kind, edge and candidate."""
    tables = {"alphas": architecture_weights(network), "probabilities": probabilities(network)}
    return {
        kind: {name: [[round(value, DIGITS) for value in row] for row in table[kind]] for name, table in tables.items()}
        for kind in CELL_KINDS
    }


@state
class GrowingFit:
    """State of a phase of training with a growing batch."""

    fit: FitState
    stream: Alternation


@dataclass(frozen=True)
class FitGrowing(Action):
    """A phase of training whose batch grows, in epochs of whole batches on a stream that runs on over them.

    Without room to grow it is :class:`~growsearch.actions.Fit`.

    Attributes:
        net: what is trained; it ends with the weights that the plan keeps.
        plan: how.
        growth: of the batch, after any step.
        max_seconds: of the run, after which the phase ends; 0 for no such cap.
    """

    answers = Fitted
    progress = GrowingFit
    net: Net
    plan: FitPlan
    growth: BatchGrowth
    max_seconds: float = 0.0

    def position(self, bench: Workbench) -> GrowingFit:
        """The start of the phase."""
        return GrowingFit(FitState(), Alternation(self.plan.recipe.batch_size))

    def steps(self, bench: Workbench, position: GrowingFit) -> Steps:
        """Train from where the phase stands.

        Raises:
            Diverged: if a loss is not finite; the weights before it are kept.
        """
        engine, network = bench.engine, bench.networks[self.net.name]
        if self.growth.largest > self.plan.recipe.batch_size:
            engine = GrowingEngine(engine, position.stream, self.growth)
        limit = self.max_seconds
        yield from fit(engine, network, position.fit, self.plan, out_of_time=lambda: 0 < limit <= bench.clock())
        return fitted(network, self.plan, position.fit)


class GrowingEngine(Engine):
    """An engine whose epochs take whole batches of a size that may grow, on a stream that runs on over epochs."""

    def __init__(self, engine: Engine, stream: Alternation, growth: BatchGrowth) -> None:
        """Share data and device with ``engine``; ``stream`` belongs to the action's position."""
        super().__init__(engine.data, engine.hardware, engine.seed, engine.gauge, engine.work)
        self.notes, self.divisors = engine.notes, engine.divisors
        self.stream, self.growth = stream, growth

    def batch_size(self, planned: int) -> int:
        """Images of a batch, as large as it has grown."""
        return super().batch_size(self.stream.batch_size)

    def epoch(
        self,
        network: Network,
        cursor: Cursor,
        recipe: Recipe,
        rate: Rate | None = None,
        batches: int | None = None,
        time_decay: float = 0.0,
    ) -> Generator[None, None, EpochStats]:
        """As :meth:`Engine.epoch`, at a constant rate, but the images are those of the growing stream."""
        if rate is not None:
            network.set_rate(rate, recipe.optimizer)
        stats = yield from alternate(self, network, self.stream, recipe, None, self.growth)
        self.stream.next_epoch()
        return stats


def alternate(
    engine: Engine,
    network: Network,
    progress: Alternation,
    weights: Recipe,
    alphas: Recipe | None,
    growth: BatchGrowth,
) -> Generator[None, None, EpochStats]:
    """Train to the end of an epoch: as many whole batches as the weights' images hold (DARTS, Algorithm 1).

    Args:
        engine: its ``train`` split trains weights, its ``val`` split architecture weights.
        network: has an optimizer for each role.
        progress: belongs to an action's position.
        weights: recipe of the steps on weights.
        alphas: recipe of the steps on architecture weights; None in grace epochs, when their
            stream rests too.
        growth: of the batch, which may change after any step.
    """
    network.module.train()
    if progress.steps == 0 and growth.largest > progress.batch_size:
        engine.memory_use()  # forgets the peak of what came before
    pieces = math.ceil(len(engine.split("train")) / growth.multiple)
    while progress.weights.outcome == "ok":
        size = engine.batch_size(progress.batch_size)
        if (progress.weights.used + size) // growth.multiple > pieces:
            break
        if alphas is not None:
            step = engine.step(network, alphas)
            if isinstance(step, UnrolledStep):
                step.look_ahead(engine.loader(network, progress.weights, weights.augmentation), progress.weights)
            engine.train_batch(network, progress.alphas, alphas, size)
        if progress.alphas.outcome == "ok":
            engine.train_batch(network, progress.weights, weights, size)
        else:
            progress.weights.outcome = progress.alphas.outcome
        progress.steps += 1
        grow(engine, progress, growth)
        yield None
    if alphas is not None and progress.weights.outcome == "ok":
        progress.weights.outcome = engine.stats(network, progress.alphas, alphas).outcome
    return engine.stats(network, progress.weights, weights)


def grow(engine: Engine, progress: Alternation, growth: BatchGrowth) -> None:
    """Look at the memory gauge after every few steps and set the batch size of the next (PR-DARTS III-C).

    A batch that was made smaller because memory ran out grows no more.
    """
    full = engine.batch_size(progress.batch_size) < progress.batch_size
    if full or growth.largest <= progress.batch_size or progress.steps % growth.interval:
        return
    progress.usage = max(progress.usage, engine.memory_use())
    size = next_batch_size(
        progress.batch_size, progress.usage, growth.multiple, growth.largest, threshold=growth.threshold
    )
    if size > progress.batch_size:
        progress.batch_size = size
        engine.release_memory()


def next_batch_size(size: int, usage: float, multiple: int, largest: int, threshold: float = 0.95) -> int:
    """Batch size after one look at the memory gauge.

    Memory is taken to be proportional to the batch; one look at most doubles it and never shrinks it.

    Args:
        size: images a batch has now.
        usage: fraction of the device's memory in use at its peak.
        multiple: new sizes are multiples of this.
        largest: no batch is larger.
        threshold: fraction of the memory that may be used.
    """
    if usage <= 0:
        return size
    fitting = math.floor(threshold * size / usage)
    return max(size, min(fitting - fitting % multiple, largest, 2 * size))
