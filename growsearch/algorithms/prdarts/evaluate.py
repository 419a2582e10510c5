"""Training of the found cells with a batch that grows into the device's memory."""

import dataclasses
from collections.abc import Generator, Iterator

from growsearch.algorithms.prdarts.alternate import Alternation, BatchGrowth, alternate
from growsearch.events import Epoch, Event
from growsearch.training import Engine, EpochStats, FitPlan, FitState, Network, Rate, Recipe, fit
from growsearch.training.cursor import Cursor


class GrowingEngine(Engine):
    """An engine whose epochs take whole batches of a size that may grow, on a stream that runs on over epochs."""

    def __init__(self, engine: Engine, progress: Alternation, growth: BatchGrowth) -> None:
        """Share data and device with ``engine``; ``progress`` belongs to the caller's state."""
        super().__init__(engine.data, engine.hardware, engine.seed, engine.gauge, engine.work)
        self.notes = engine.notes
        self.divisors = engine.divisors
        self.progress, self.growth = progress, growth

    def epoch(
        self, network: Network, cursor: Cursor, recipe: Recipe, rate: Rate | None = None, batches: int | None = None
    ) -> Generator[None, None, EpochStats]:
        """As :meth:`Engine.epoch`, but the stream and the size of its batches are ``progress``'s."""
        if rate is not None:
            network.set_rate(rate, recipe.optimizer)
        stats = yield from alternate(self, network, self.progress, recipe, None, self.growth)
        self.progress.next_epoch()
        return stats


def fit_growing(
    engine: Engine, network: Network, fit_state: FitState, plan: FitPlan, progress: Alternation, growth: BatchGrowth
) -> Iterator[Event | None]:
    """:func:`~growsearch.training.fitting.fit` with a growing batch; without room to grow, exactly that function."""
    if growth.largest <= plan.recipe.batch_size:
        yield from fit(engine, network, fit_state, plan)
        return
    for event in fit(GrowingEngine(engine, progress, growth), network, fit_state, plan):
        if isinstance(event, Epoch):
            event = dataclasses.replace(event, batch_size=engine.batch_size(progress.batch_size))
        yield event
