"""Everything a method trains with: the data on a device, passes, steps and evaluations."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from growsearch.data.augment import Augmentation
from growsearch.data.dataset import Dataset, Split
from growsearch.errors import UserError
from growsearch.randomness import derive_seed, draws_elsewhere, seed_default_generators
from growsearch.training.compiled import CompiledForward
from growsearch.training.config import HardwareConfig
from growsearch.training.cost import TrainingCost
from growsearch.training.cuda_graphs import CapturedStep
from growsearch.training.cuda_stream import CudaStream
from growsearch.training.cursor import Cursor
from growsearch.training.device import COMPILED, REPLAYED, Gauge, memory_gauge, resolve_device, resolve_step
from growsearch.training.evaluate import Evaluation, evaluate
from growsearch.training.loader import Loader
from growsearch.training.network import Network
from growsearch.training.optimizer import Rate, used_rate
from growsearch.training.out_of_memory import attempt, divided
from growsearch.training.precision import check_precision, computing_in, make_repeatable, set_precision
from growsearch.training.recipe import Recipe
from growsearch.training.step import Step
from growsearch.training.unrolled import UnrolledRecipe, UnrolledStep

K = TypeVar("K")

KEPT, KEPT_BY_EACH = 16, 3
"""So many loaders stay ready, or so many for each network that is trained side by side: they draw a pass when made."""


@dataclass(frozen=True)
class EpochStats:
    """Figures of a pass of training (or a part of one): means over its images, accuracy a fraction."""

    loss: float
    accuracy: float
    images: int
    outcome: str


@contextmanager
def single_values() -> Iterator[None]:
    """Say in a line that batch norm cannot train on one image whose maps have one pixel.

    Raises:
        UserError: in place of PyTorch's ValueError.
    """
    try:
        yield
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        raise UserError(
            "batch size: 1 is too small, as maps of one pixel come before a batch norm; use 2 or more"
        ) from error


class Engine:
    """Trains and evaluates networks on one data set, one device and one seed.

    Attributes:
        data: the data set, its images on the device.
        seed: the run's; every draw of training derives from it.
        device: where everything happens.
        gauge: fraction of the device's memory in use at its peak since the last call; batch-size
            autoscaling asks it. Tests put a function of their own here.
        work: what training has spent; engines of one run share it.
        step_kind: how steps are taken: ``eager``, ``captured``, ``compiled`` or ``fused``.
        cuda_streams: where steps are captured; empty where none are.
        notes: what a reader of the result must know of how steps were taken, not told yet.
        divisors: what batches of ``training`` and ``evaluation`` are divided by, since memory ran out.
    """

    def __init__(
        self,
        data: Dataset,
        hardware: HardwareConfig,
        seed: int,
        gauge: Gauge | None = None,
        work: TrainingCost | None = None,
    ) -> None:
        self.divisors = {"training": 1, "evaluation": 1}
        self.device = resolve_device(hardware.device)
        self.hardware, self.seed = hardware, seed
        if self.device.type == "cuda":
            torch.cuda.set_device(self.device)
        check_precision(hardware.precision, self.device)
        make_repeatable(self.device)
        set_precision(hardware.precision, self.device)
        self.data = data.to(self.device)
        self.gauge = gauge or memory_gauge(self.device)
        self.work = work or TrainingCost()
        self.step_kind = resolve_step(hardware.step, self.device)
        self.cuda_streams = [CudaStream(self.device)] if self.step_kind in REPLAYED else []
        self.notes: list[str] = []
        self._loaders: OrderedDict[tuple[object, ...], Loader] = OrderedDict()
        self._steps: WeakKeyDictionary[Network, dict[Recipe, Step]] = WeakKeyDictionary()
        self._lanes: WeakKeyDictionary[Network, int] = WeakKeyDictionary()
        self._next_lane = itertools.count()
        self._eager_steps = 0

    def on(self, data: Dataset) -> "Engine":
        """An engine on other data with this one's device and seed; what it spends and notes counts here."""
        other = Engine(data, self.hardware, self.seed, self.gauge, self.work)
        other.notes, other.divisors = self.notes, self.divisors
        return other

    def open_cuda_streams(self, count: int) -> None:
        """Let so many networks train side by side, each on a stream of its own, where steps are captured.

        For networks whose steps draw no random numbers on the device: they would share its one generator.
        """
        if self.cuda_streams and len(self.cuda_streams) != count:
            self.cuda_streams = [CudaStream(self.device) for _ in range(count)]
            self._lanes.clear()

    def wait(self) -> None:
        """Let all networks' steps end; to be called before their tensors are read during an epoch."""
        if len(self.cuda_streams) > 1:
            torch.cuda.synchronize(self.device)

    def place(self, network: Network) -> None:
        """Bring a network to this engine's device and layout; for new and restored networks."""
        network.place(self.device, self.hardware.layout, self.hardware.precision)

    def split(self, name: str) -> Split:
        """One of ``train``, ``val`` and ``test``."""
        return {"train": self.data.train, "val": self.data.val, "test": self.data.test}[name]

    def loader(
        self, network: Network, cursor: Cursor, augmentation: Augmentation, copies: int = 1, shuffle: bool = True
    ) -> Loader:
        """The stream that ``cursor`` stands in, with no more augmentation than the data allow."""
        key = (cursor.purpose, cursor.split, network.id, network.layout, augmentation, copies)
        if key not in self._loaders:
            self._loaders[key] = Loader(
                self.split(cursor.split),
                self.data.normalisation,
                augmentation.within(self.data.augmentation),
                self.seed,
                network.id,
                layout=network.layout,
                copies=copies,
                shuffle=shuffle,
            )
        return _newest(self._loaders, key, max(KEPT, KEPT_BY_EACH * len(self.cuda_streams)))

    def step(self, network: Network, recipe: Recipe) -> Step:
        """The step of a network under a recipe; made anew after each structural change, gone with the network."""
        steps = self._steps.setdefault(network, {})
        known = steps.get(recipe)
        company = network.version, network.guide, network.pace
        if known is None or (known.version, known.guide, known.pace) != company:
            steps.pop(recipe, None)
            steps[recipe] = known = self._make_step(network, recipe)
        return known

    def _make_step(self, network: Network, recipe: Recipe) -> Step:
        if isinstance(recipe, UnrolledRecipe):
            return UnrolledStep(network, recipe, self.hardware.precision, self.seed)
        precision, tell, replayed = self.hardware.precision, self.notes.append, self.step_kind in REPLAYED
        compiled = None
        if self.step_kind in COMPILED:
            make = partial(CompiledForward, network.module, replayed, tell)
            # One for all recipes, where it does not depend on the sizes that it has met.
            compiled = network.cached("compiled", make) if replayed else make()
        if replayed:
            cuda_stream = self._cuda_stream(network)
            beside = len(self.cuda_streams) > 1
            return CapturedStep(network, recipe, precision, self.seed, cuda_stream, tell, compiled, beside)
        return Step(network, recipe, precision, self.seed, compiled)

    def _cuda_stream(self, network: Network) -> CudaStream:
        """The stream of a network: they are given out by turns, to networks as they are first trained."""
        if len(self.cuda_streams) == 1:
            return self.cuda_streams[0]
        if network not in self._lanes:
            self._lanes[network] = next(self._next_lane) % len(self.cuda_streams)
        return self.cuda_streams[self._lanes[network]]

    def _stream(self, network: Network) -> AbstractContextManager[None]:
        """Select the stream that a network is trained on: the current one, or one of its own if there are several."""
        return self._cuda_stream(network).inside() if len(self.cuda_streams) > 1 else nullcontext()

    def divide(self, saved: Mapping[str, int]) -> None:
        """Take over what batches were divided by when a run was saved; 1 where nothing is known."""
        self.divisors.update({phase: max(1, int(saved.get(phase, 1))) for phase in self.divisors})

    def batch_size(self, planned: int) -> int:
        """Images of a batch that is to hold ``planned``: fewer once memory ran out and the policy says so."""
        return divided(planned, self.divisors["training"])

    def train_batch(self, network: Network, cursor: Cursor, recipe: Recipe, size: int, left: int = 1) -> None:
        """Take one optimizer step on the next ``size`` images; ``cursor.outcome`` tells of a failure.

        Where ``left`` such batches are to come, a GPU may take several steps in one launch.

        Raises:
            OutOfMemory: with network and cursor somewhere within the step.
        """
        with self._stream(network):
            step = self.step(network, recipe)
            loader = self.loader(network, cursor, recipe.augmentation, recipe.copies)
            cursor.sums = cursor.sums.to(self.device, non_blocking=True)
            with attempt("training", network, size), single_values():
                taken = step.take(loader, cursor, size, network.steps, left)
            self._eager_steps += not step.replayed
            network.steps += taken
            self.work.count(network, taken * size, self.data.image_shape, step.passes, taken)
            look = self.device.type == "cpu" or network.steps % self.hardware.heartbeat < taken
            if look and step.has_failed():
                cursor.outcome = "diverged"

    def memory_use(self) -> float:
        """Reading of the gauge since the last look; 0 if no step was taken eagerly, for replays show nothing new."""
        eager, self._eager_steps = self._eager_steps, 0
        use = self.gauge()
        return use if eager else 0.0

    def release_memory(self) -> bool:
        """Give back what captured steps hold, until they are captured anew; says whether that was anything."""
        released = [step.release() for steps in self._steps.values() for step in steps.values()]
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return any(released)

    def epoch(
        self,
        network: Network,
        cursor: Cursor,
        recipe: Recipe,
        rate: Rate | None = None,
        batches: int | None = None,
        time_decay: float = 0.0,
    ) -> Generator[None, None, EpochStats]:
        """Train from where ``cursor`` stands to the end of its pass (or for ``batches`` batches in all).

        Yields after every optimizer step, or the several of one launch, with the state whole; returns what the pass
        showed. The caller moves the cursor on (``next_pass``) before its next yield. With ``time_decay`` each step's
        rate is ``rate`` over 1 + ``time_decay`` * steps that the network has taken.
        """
        if rate is not None:
            network.set_rate(rate, recipe.optimizer)
        network.module.train()
        if len(self.cuda_streams) > 1:
            self._cuda_stream(network).follow()
        length = len(self.split(cursor.split)) * recipe.copies
        end = length if batches is None else min(length, batches * recipe.batch_size)
        while cursor.used < end and cursor.outcome == "ok":
            size = min(self.batch_size(recipe.batch_size), end - cursor.used)
            if end - cursor.used - size == 1:
                size += 1  # batch norm cannot train on a single image
            whole, rest = divmod(end - cursor.used, size)
            left = 1 if time_decay else whole - (rest == 1)
            if time_decay and isinstance(rate, float | int):
                network.set_rate(used_rate(rate, time_decay, network.steps), recipe.optimizer)
            self.train_batch(network, cursor, recipe, size, left)
            yield None
        return self.stats(network, cursor, recipe)

    def stats(self, network: Network, cursor: Cursor, recipe: Recipe) -> EpochStats:
        """Figures summed since the cursor's last restart (the host waits for the device here)."""
        with self._stream(network):
            if cursor.outcome == "ok" and self.step(network, recipe).has_failed():
                cursor.outcome = "diverged"
            loss, correct, images = cursor.sums.tolist()
        return EpochStats(loss / max(images, 1), correct / max(images, 1), int(images), cursor.outcome)

    def evaluate(
        self,
        network: Network,
        split: str = "val",
        augmentation: Augmentation | None = None,
        counter: int = 0,
        precision: str | None = None,
        each: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Evaluation:
        """Evaluate on a split; with ``augmentation``, on images drawn anew for each ``counter``.

        Args:
            network: whose module is evaluated, in evaluation mode.
            split: ``train``, ``val`` or ``test``.
            augmentation: None for the images as they are.
            counter: names the draws of the augmentation.
            precision: in place of ``hardware.precision``.
            each: see :func:`growsearch.training.evaluate.evaluate`; it may hear of a batch twice.

        Raises:
            ValueError: if the split is empty.
        """
        cursor = Cursor(purpose="evaluate", split=split, passes=counter if augmentation is not None else 0)
        loader = self.loader(network, cursor, augmentation or Augmentation(), shuffle=False)
        if not len(loader):
            raise ValueError(f"the {split} split is empty")
        start, precision = cursor.position, precision or self.hardware.precision
        batch = divided(self.hardware.eval_batch, self.divisors["evaluation"])
        value = derive_seed(self.seed, "evaluate", network.id, network.steps)  # for networks that draw here, too
        seed_default_generators(value, self.device, draws_elsewhere(network.module))
        computing = computing_in(precision, self.hardware.precision, self.device)
        with attempt("evaluation", network, min(batch, len(loader))), computing:
            try:
                return evaluate(network.module, loader, cursor, batch, each)
            except torch.OutOfMemoryError:  # a captured step may hold most of the memory between its replays
                if not self.release_memory():
                    raise
            cursor.position = start
            return evaluate(network.module, loader, cursor, batch, each)


def _newest(kept: OrderedDict[tuple[object, ...], K], key: tuple[object, ...], most: int) -> K:
    """Mark an entry as used last, and let the oldest of more than ``most`` go."""
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
    return kept[key]
