"""A step that is captured once and replayed: one launch in place of hundreds or thousands."""

from collections import Counter
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor

from growsearch.data.augment import PassPlan
from growsearch.randomness import default_generators_stand, host_generators
from growsearch.training.compiled import CompiledForward
from growsearch.training.cuda_stream import CudaStream, Launch, NotCapturable
from growsearch.training.cursor import Cursor
from growsearch.training.host_reads import HostReads
from growsearch.training.loader import Loader
from growsearch.training.network import Network
from growsearch.training.recipe import Recipe
from growsearch.training.step import Step

WARM_UPS = 5
"""Eager steps on batches of one size before they are captured; they are steps like any other.

As many as PR-DARTS takes between two looks at the memory gauge while its batch grows.
"""

MANY = 8
"""Steps in one launch where networks train side by side. A small network's step is a few dozen kernels, which a GPU has
done before the host has launched those of the others: eight in one launch should take it about as long as one does."""

WORTH_CAPTURING = 512
"""Steps to come for which a launch of many is captured. No GPU has said yet how many launches that is worth."""

Key = tuple[str, int, bool, bool]
"""What a capture holds for: split, batch size, training mode, whether paths are dropped.

A step is of one network, version and recipe anyway.
"""


@dataclass(frozen=True)
class Replay:
    """A captured step: the tensors it reads (see ``_reads``), the sums it writes, and what launches it."""

    reads: tuple[Tensor, ...]
    sums: Tensor
    launch: Launch


class CapturedStep(Step):
    """A step that replays itself once batches of its size have come ``WARM_UPS`` times.

    Before each replay the host writes the batch's rows of the plan to a fixed tensor and seeds the
    generator; augmentation, forward, backward, clipping, update, the flag and the undoing are one graph.
    Pictures that are decoded batch by batch are augmented outside of it and copied to fixed tensors.
    Rates and probabilities are read from the tensors they are written to between steps. Batches of
    another size, such as a pass's last, are taken eagerly until they have come often enough themselves.

    Args:
        cuda_stream: where it is captured.
        tell: hears in a sentence why a step stays eager, should it.
        side_by_side: other networks train beside it. Then :data:`MANY` steps may be one launch, unless it draws random
            numbers: the host seeds the generator before each step.
        compiled: the forward pass where a compiler makes its kernels. Its first steps, which compile it, load the
            kernels and choose among them, are the warm-ups; a graph records what is launched after that.
    """

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        precision: str,
        seed: int,
        cuda_stream: CudaStream,
        tell: Callable[[str], None],
        compiled: CompiledForward | None = None,
        side_by_side: bool = False,
    ) -> None:
        super().__init__(network, recipe, precision, seed, compiled)
        self.cuda_stream, self.tell = cuda_stream, tell
        self.capturable, self.at_once = True, MANY if side_by_side else 1
        self.replays: dict[Key, Replay] = {}
        self.replays_of_many: dict[Key, Replay] = {}
        self._seen: Counter[Key] = Counter()

    def take(self, loader: Loader, cursor: Cursor, size: int, number: int, left: int = 1) -> int:
        """As :meth:`Step.take`."""
        self.paths.look()
        key = cursor.split, size, self.module.training, self.paths.on
        if left >= self.at_once > 1 and (many := self._many(loader, key, left)) is not None:
            return self._take_many(many, loader, cursor, size)
        reads = _reads(loader, loader.rows(cursor, size))
        replay = self.replays.get(key) or self._approach(loader, key, reads)
        self.replayed = replay is not None
        if replay is None:
            self._take_eagerly(loader, reads, key, cursor, number)
            return 1
        for fixed, given in zip(replay.reads, reads, strict=True):
            fixed.copy_(given)
        self.seed(number)
        replay.launch()
        cursor.sums.add_(replay.sums)
        return 1

    def _many(self, loader: Loader, key: Key, left: int) -> Replay | None:
        """The launch of many steps, captured if it pays once single ones are; None where there is none."""
        if key in self.replays and key not in self.replays_of_many and left >= WORTH_CAPTURING and loader.resident:
            self._capture_many(loader, key)
        return self.replays_of_many.get(key)

    def _take_many(self, replay: Replay, loader: Loader, cursor: Cursor, size: int) -> int:
        """As many single steps would: the sums are added up one by one, from where the cursor's stand."""
        replay.reads[0].copy_(loader.rows(cursor, self.at_once * size).table)
        replay.sums.copy_(cursor.sums)
        replay.launch()
        cursor.sums.copy_(replay.sums)
        self.replayed = True
        return self.at_once

    def _capture_many(self, loader: Loader, key: Key) -> None:
        fixed = self.replays[key].reads[0].repeat(self.at_once, 1)
        sums = torch.zeros(3, dtype=torch.float64, device=self.device)  # as a cursor has them

        def body() -> None:
            with nullcontext() if self.compiled is None else self.compiled.frozen():
                for rows in fixed.split(key[1]):
                    sums.add_(self.body(*_batch(loader, (rows,))))

        try:
            self.replays_of_many[key] = Replay((fixed,), sums, self.cuda_stream.capture(body))
        except (NotCapturable, torch.OutOfMemoryError):
            self.at_once = 1  # single ones are captured already
        finally:
            self.drop_gradients()

    def release(self) -> bool:
        """Give the captures' memory back; the next batches are warm-ups again."""
        held = bool(self.replays)
        self.replays.clear()
        self.replays_of_many.clear()
        self._seen.clear()
        return held

    def _approach(self, loader: Loader, key: Key, reads: tuple[Tensor, ...]) -> Replay | None:
        """Count batches of one size, and capture when there have been enough."""
        self._seen[key] += 1
        enough = self._seen[key] > WARM_UPS and (self.compiled is None or self.compiled.has_made(self.variant(key[1])))
        return self._capture(loader, key, reads) if self.capturable and enough else None

    def _capture(self, loader: Loader, key: Key, reads: tuple[Tensor, ...]) -> Replay | None:
        fixed = tuple(torch.zeros_like(each) for each in reads)
        sums = torch.zeros(3, device=self.device)
        self.count(key[1])  # made here, outside of the graph's memory

        def body() -> None:
            with nullcontext() if self.compiled is None else self.compiled.frozen():
                sums.copy_(self.body(*_batch(loader, fixed)))

        try:
            self.replays[key] = Replay(fixed, sums, self.cuda_stream.capture(body))
        except NotCapturable as error:
            self._stay_eager(str(error))
        except torch.OutOfMemoryError:
            self.release()
            torch.cuda.empty_cache()
            self._stay_eager("memory ran out while they were captured")
        finally:
            self.drop_gradients()  # they lie in the graph's memory, for its own use
        return self.replays.get(key)

    def _take_eagerly(self, loader: Loader, reads: tuple[Tensor, ...], key: Key, cursor: Cursor, number: int) -> None:
        last = self.capturable and self._seen[key] == WARM_UPS
        watch = HostReads() if last and self.compiled is None else None  # compiled kernels are no operators to watch
        self.seed(number)
        before = host_generators() if last and self.draws_elsewhere else None
        stood = default_generators_stand(self.device) if last and self.at_once > 1 else b""
        with self.cuda_stream.aside(), watch or nullcontext():
            cursor.sums.add_(self.body(*_batch(loader, reads)))
        if stood and default_generators_stand(self.device) != stood:
            self.at_once = 1
        if before is not None and host_generators() != before:
            self._stay_eager("it draws from Python's or numpy's generator, which a replay would not ask again")
        elif watch is not None and watch.found is not None:
            self._stay_eager(f"it makes the host wait for the device ({watch.found})")

    def _stay_eager(self, why: str) -> None:
        self.capturable = False
        self.tell(f"steps of network {self.network_id} are not captured but taken one operation at a time: {why}")


def _reads(loader: Loader, rows: PassPlan) -> tuple[Tensor, ...]:
    """What a step reads of its batch: rows of the plan, or images and labels where these have to be decoded first."""
    return (rows.table,) if loader.resident else loader.batch(rows)


def _batch(loader: Loader, reads: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """Images and labels of the batch."""
    if loader.resident:
        return loader.batch(PassPlan(reads[0]))
    images, labels = reads
    return images, labels
