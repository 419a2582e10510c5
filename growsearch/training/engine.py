"""Everything a method trains with: the data on a device, passes, steps and evaluations."""

from collections import OrderedDict
from collections.abc import Generator
from dataclasses import dataclass
from typing import TypeVar

import torch

from growsearch.data.augment import Augmentation
from growsearch.data.dataset import Dataset, Split
from growsearch.training.config import HardwareConfig
from growsearch.training.cursor import Cursor
from growsearch.training.device import LAYOUTS, Gauge, memory_gauge, resolve_device
from growsearch.training.evaluate import Evaluation, evaluate
from growsearch.training.feed import Feed
from growsearch.training.network import Network
from growsearch.training.optimizer import Rate
from growsearch.training.recipe import Recipe
from growsearch.training.step import Step
from growsearch.training.work import Work

K = TypeVar("K")

KEPT = 8
"""Feeds and steps of that many networks stay ready."""


@dataclass(frozen=True)
class EpochStats:
    """What a pass of training (or a part of one) showed: means over its images, accuracy a fraction."""

    loss: float
    accuracy: float
    images: int
    outcome: str


class Engine:
    """Trains and evaluates networks on one data set, one device and one seed.

    Attributes:
        data: the data set, its images on the device.
        seed: the run's; every draw of training derives from it.
        device: where everything happens.
        gauge: fraction of the device's memory in use at its peak since the last call; batch-size
            autoscaling asks it. Tests put a function of their own here.
        work: what training has spent; engines of one run share it.
    """

    def __init__(
        self,
        data: Dataset,
        hardware: HardwareConfig,
        seed: int,
        gauge: Gauge | None = None,
        work: Work | None = None,
    ) -> None:
        self.device = resolve_device(hardware.device)
        self.hardware, self.seed = hardware, seed
        self.data = data.to(self.device)
        self.gauge = gauge or memory_gauge(self.device)
        self.work = work or Work()
        self._feeds: OrderedDict[tuple[object, ...], Feed] = OrderedDict()
        self._steps: OrderedDict[tuple[object, ...], Step] = OrderedDict()

    def place(self, network: Network) -> None:
        """Bring a network to this engine's device and layout; for new and restored networks."""
        network.place(self.device, LAYOUTS[self.hardware.layout])

    def split(self, name: str) -> Split:
        """One of ``train``, ``val`` and ``test``."""
        return {"train": self.data.train, "val": self.data.val, "test": self.data.test}[name]

    def feed(
        self, network: Network, cursor: Cursor, augmentation: Augmentation, copies: int = 1, shuffle: bool = True
    ) -> Feed:
        """The stream that ``cursor`` stands in, with no more augmentation than the data bear."""
        key = (cursor.purpose, cursor.split, network.id, augmentation, copies)
        if key not in self._feeds:
            self._feeds[key] = Feed(
                self.split(cursor.split),
                self.data.normalisation,
                augmentation.within(self.data.augmentation),
                self.seed,
                network.id,
                layout=LAYOUTS[self.hardware.layout],
                copies=copies,
                shuffle=shuffle,
            )
        return _newest(self._feeds, key)

    def step(self, network: Network, recipe: Recipe) -> Step:
        """The step of a network under a recipe; made anew after each structural change."""
        key = (network.id, recipe)
        known = self._steps.get(key)
        if known is None or known.network is not network or known.version != network.version:
            self._steps[key] = Step(network, recipe, self.hardware.precision, self.seed)
        return _newest(self._steps, key)

    def train_batch(self, network: Network, cursor: Cursor, recipe: Recipe, size: int) -> None:
        """Take one optimizer step on the next ``size`` images; ``cursor.outcome`` tells of a failure."""
        step = self.step(network, recipe)
        feed = self.feed(network, cursor, recipe.augmentation, recipe.copies)
        cursor.sums = cursor.sums.to(self.device)
        start = (cursor.passes, cursor.position, cursor.used)
        try:
            step(*feed.take(cursor, size), cursor.sums)
        except torch.OutOfMemoryError:
            network.optimizer(recipe.optimizer).zero_grad(set_to_none=True)
            cursor.passes, cursor.position, cursor.used = start
            cursor.outcome = "out_of_memory"
            return
        network.steps += 1
        self.work.count(network, size, self.data.image_shape)
        look = self.device.type == "cpu" or network.steps % self.hardware.heartbeat == 0
        if look and step.has_failed():
            cursor.outcome = "diverged"

    def epoch(
        self, network: Network, cursor: Cursor, recipe: Recipe, rate: Rate | None = None, batches: int | None = None
    ) -> Generator[None, None, EpochStats]:
        """Train from where ``cursor`` stands to the end of its pass (or for ``batches`` batches in all).

        Yields after every optimizer step, with the state whole; returns what the pass showed. The
        caller moves the cursor on (``next_pass``) before its next yield.
        """
        if rate is not None:
            network.set_rate(rate, recipe.optimizer)
        network.module.train()
        length = len(self.split(cursor.split)) * recipe.copies
        end = length if batches is None else min(length, batches * recipe.batch_size)
        while cursor.used < end and cursor.outcome == "ok":
            size = min(recipe.batch_size, end - cursor.used)
            if end - cursor.used - size == 1:
                size += 1  # batch norm cannot train on a single image
            self.train_batch(network, cursor, recipe, size)
            yield None
        return self.stats(network, cursor, recipe)

    def stats(self, network: Network, cursor: Cursor, recipe: Recipe) -> EpochStats:
        """What was summed since the cursor's last restart (the host waits for the device here)."""
        if cursor.outcome == "ok" and self.step(network, recipe).has_failed():
            cursor.outcome = "diverged"
        loss, correct, images = cursor.sums.tolist()
        return EpochStats(loss / max(images, 1), correct / max(images, 1), int(images), cursor.outcome)

    def evaluate(
        self, network: Network, split: str = "val", augmentation: Augmentation | None = None, counter: int = 0
    ) -> Evaluation:
        """Evaluate on a split; with ``augmentation``, on images drawn anew for each ``counter``.

        Raises:
            ValueError: if the split is empty.
        """
        cursor = Cursor(purpose="evaluate", split=split, passes=counter if augmentation is not None else 0)
        feed = self.feed(network, cursor, augmentation or Augmentation(), shuffle=False)
        if not len(feed):
            raise ValueError(f"the {split} split is empty")
        return evaluate(network.module, feed, cursor, self.hardware.eval_batch, self.hardware.precision)


def _newest(kept: OrderedDict[tuple[object, ...], K], key: tuple[object, ...]) -> K:
    """Mark an entry as used last, and let the oldest go."""
    kept.move_to_end(key)
    while len(kept) > KEPT:
        kept.popitem(last=False)
    return kept[key]
