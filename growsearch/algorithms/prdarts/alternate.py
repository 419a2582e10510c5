"""One epoch of alternating first-order steps: architecture weights, then weights, on streams of their own."""

import math
from collections.abc import Generator
from dataclasses import dataclass, field

from growsearch.training import Cursor, Engine, EpochStats, Network, Recipe, state
from growsearch.training.autoscale import next_batch_size


def _weights_stream() -> Cursor:
    return Cursor(purpose="weights", split="train")


def _alphas_stream() -> Cursor:
    return Cursor(purpose="alphas", split="val")


@state
class Alternation:
    """Where both streams stand; they run on over epochs and cycles.

    Attributes:
        weights: stream of the images that train weights.
        alphas: stream of the images that train architecture weights.
        batch_size: images a batch has now, the same for both.
        steps: pairs of steps in this epoch.
        usage: largest fraction of the device's memory seen in this epoch.
    """

    batch_size: int
    weights: Cursor = field(default_factory=_weights_stream)
    alphas: Cursor = field(default_factory=_alphas_stream)
    steps: int = 0
    usage: float = 0.0

    def next_epoch(self) -> None:
        """Forget sums and memory peaks; the streams stay where they are."""
        self.weights.restart()
        self.alphas.restart()
        self.steps, self.usage = 0, 0.0


@dataclass(frozen=True)
class BatchGrowth:
    """When and how far a batch grows; ``largest`` at its present size or below means never."""

    multiple: int
    largest: int
    interval: int
    threshold: float


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
        progress: belongs to the caller's state.
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
