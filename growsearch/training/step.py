"""One optimizer step, written so that it can be captured: device tensors in, device tensors out."""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from growsearch.randomness import derive_seed, draws_elsewhere, seed_default_generators
from growsearch.training.compiled import CompiledForward
from growsearch.training.cursor import Cursor
from growsearch.training.loader import Loader
from growsearch.training.network import Network
from growsearch.training.precision import autocast
from growsearch.training.recipe import Recipe
from growsearch.training.update import bind_update


class Statistics:
    """The floating-point buffers of a module (running means and variances) and copies, to undo a failed step.

    Attributes:
        buffers: the live tensors.
    """

    def __init__(self, module: nn.Module) -> None:
        self.buffers = [b for b in module.buffers() if b.is_floating_point() and b.dim()]
        self._copies = [torch.empty_like(b) for b in self.buffers]
        self._kinds: dict[torch.dtype, list[int]] = {}
        for index, buffer in enumerate(self.buffers):
            self._kinds.setdefault(buffer.dtype, []).append(index)

    def remember(self) -> None:
        """Copy all buffers."""
        if self.buffers:
            torch._foreach_copy_(self._copies, self.buffers)

    def keep_if(self, good: Tensor) -> None:
        """Put the copies back unless ``good``, a boolean scalar on the device, holds.

        All of one type are joined first: a few large operations in place of several for each norm.
        """
        for indices in self._kinds.values():
            live = [self.buffers[i] for i in indices]
            now = torch.cat([b.flatten() for b in live])
            before = torch.cat([self._copies[i].flatten() for i in indices])
            kept = torch.where(good, now, before).split([b.numel() for b in live])
            torch._foreach_copy_(live, [piece.view(b.shape) for piece, b in zip(kept, live, strict=True)])


class Tally:
    """Stands where a batch norm has its count of batches, and notes when that is to go up."""

    def __init__(self, counter: Tensor, due: list[Tensor]) -> None:
        self.counter, self.due = counter, due

    def add_(self, one: int) -> None:
        """Note it."""
        self.due.append(self.counter)


class BatchCounters:
    """Batch norms' counts of batches, which go up together after a forward pass: one kernel in place of one a norm.

    Norms that read their count, or have a forward pass of their own, go on counting by themselves.
    """

    def __init__(self, module: nn.Module) -> None:
        norms = (m for m in module.modules() if getattr(type(m), "forward", None) is _BatchNorm.forward)
        self.norms = [m._buffers for m in norms if m.momentum is not None and m.num_batches_tracked is not None]

    @contextmanager
    def together(self) -> Iterator[None]:
        """Hold the counts back within the block, and raise those that are due at its end."""
        due: list[Tensor] = []
        counters = [cast(Tensor, buffers["num_batches_tracked"]) for buffers in self.norms]
        for buffers, counter in zip(self.norms, counters, strict=True):
            buffers["num_batches_tracked"] = Tally(counter, due)  # type: ignore[assignment]
        try:
            yield
        finally:
            for buffers, counter in zip(self.norms, counters, strict=True):
                buffers["num_batches_tracked"] = counter
        if len({id(counter) for counter in due}) < len(due):  # a norm is used twice
            for counter in due:
                counter.add_(1)
        elif due:
            torch._foreach_add_(due, 1)


def pays(probability: Tensor) -> bool:
    """Whether drop path is to be left out where it can be."""
    return probability.device.type != "cpu"


class PathSwitch:
    """Lets a network leave drop path out while its probability is zero, without asking the device at every step.

    Not on a CPU: maps that were multiplied by one may lie otherwise in memory, and later sums differ by rounding.

    Attributes:
        on: whether there may be paths to drop.
    """

    def __init__(self, module: nn.Module) -> None:
        probability = getattr(module, "drop_path", None)
        can_switch = isinstance(probability, Tensor) and hasattr(module, "drops_paths") and pays(probability)
        self.probability: Tensor | None = probability if can_switch else None
        self.module, self.on, self._read = module, True, -1

    def look(self) -> None:
        """Read the probability, which the host waits for, if it was written to since the last look."""
        if self.probability is not None and self._read != self.probability._version:
            self._read, self.on = self.probability._version, bool(self.probability != 0)

    @contextmanager
    def set(self) -> Iterator[None]:
        """Switch the network's paths within the block."""
        if self.probability is None or self.on:
            yield
            return
        self.module.drops_paths = False  # type: ignore[assignment]
        try:
            yield
        finally:
            del self.module.drops_paths


class Step:
    """Forward, backward, clipping and update of one network under one recipe.

    :meth:`body` reads only fixed tensors: the batch, the rates in the optimizer's groups, the network's
    drop-path probability. It never asks the host for a value. The first loss (or gradient norm)
    that is not finite raises ``failed``; from then on weights, optimizer state and batch-norm
    statistics stay as they were before that step, until the host looks.

    It knows the network's module and not the network, so that it goes when the network does.

    Attributes:
        failed: scalar on the device, 1 once a step was not finite.
        replayed: whether the last step was a replay of a captured one.
        undoes_at_once: statistics are put back within the step that failed; on a CPU, where the host
            looks after every step, only when it sees that one has.
        passes: forward passes that it takes.
    """

    replayed = False
    passes = 1

    def __init__(
        self,
        network: Network,
        recipe: Recipe,
        precision: str,
        seed: int,
        compiled: CompiledForward | None = None,
    ) -> None:
        self.module, self.network_id, self.version = network.module, network.id, network.version
        self.recipe, self.seed_of_run = recipe, seed
        self.guide, self.pace = network.guide, network.pace
        self.compiled = compiled if compiled is not None and compiled.works else None
        self.counters = BatchCounters(network.module) if self.compiled is None else None
        self.number = 0
        self.optimizer = network.optimizer(recipe.optimizer)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.statistics = Statistics(network.module)
        self.paths = PathSwitch(network.module)
        self.device = network.device
        self.undoes_at_once = self.device.type != "cpu"
        self.draws_elsewhere = draws_elsewhere(network.module)
        self.autocast = autocast(precision, self.device)
        self.failed = torch.zeros((), dtype=torch.float32, device=self.device)
        self.counts: dict[int, Tensor] = {}
        update = bind_update(self.optimizer, self.failed)
        self.update = update if self.pace is None else self.pace.of(update, network.module)
        every = {id(p) for p in network.module.parameters() if p.requires_grad}
        # Naming the parameters cuts the backward pass short where others are trained too, and costs time.
        self.inputs = self.parameters if every - set(map(id, self.parameters)) else None

    def take(self, loader: Loader, cursor: Cursor, size: int, number: int, left: int = 1) -> int:
        """Train on the next ``size`` images as the network's step ``number``; the cursor counts what they showed.

        Where ``left`` batches of that size are to come, more than one may be taken; returns how many.
        """
        images, labels = loader.take(cursor, size)
        self.paths.look()
        self.seed(number)
        cursor.sums.add_(self.body(images, labels))
        return 1

    def seed(self, number: int) -> None:
        """Make what step ``number`` draws a function of the run's seed, the network and that number."""
        self.number = number
        value = derive_seed(self.seed_of_run, "step", self.network_id, number)
        seed_default_generators(value, self.device, self.draws_elsewhere)

    def body(self, images: Tensor, labels: Tensor) -> Tensor:
        """The device's part: train on one batch, and return (loss * images, correct, images) as float32 [3]."""
        self.statistics.remember()
        loss, total, logits = self._passes(images, labels) if self.compiled is None else self._try(images, labels)
        with torch.no_grad():
            probe = total.detach()
            if self.recipe.clip is not None:
                probe = probe + nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
            self.failed.masked_fill_(probe - probe != 0, 1.0)  # inf - inf is not a number, and so is not 0
            self.update()
            failed = self.failed != 0
            if self.undoes_at_once:
                self.statistics.keep_if(~failed)
            correct = (logits.argmax(1) == labels).sum(dtype=loss.dtype)
            batch = torch.stack((loss.detach() * len(labels), correct, self.count(len(labels))))
            return batch.masked_fill_(failed, 0.0)

    def _passes(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Forward and backward pass: the loss, what was differentiated, and the logits."""
        recipe, forward = self.recipe, self.module if self.compiled is None else self.compiled
        with self.counters.together() if self.counters else nullcontext(), self.paths.set(), self.autocast:
            output = forward(images if self.guide is None else images.clone())  # which a network may write into
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        total = loss
        if auxiliary is not None:
            aux_loss = F.cross_entropy(auxiliary.float(), labels, label_smoothing=recipe.label_smoothing)
            total = loss + recipe.aux_weight * aux_loss
        if self.guide is not None:
            total = self.guide.mixed(total, logits, images)
        self.drop_gradients()
        total.backward(inputs=self.inputs)
        return loss, total, logits

    def _try(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The passes as they are compiled; should they not be when they are first called, those of the module."""
        assert self.compiled is not None
        variant = self.variant(len(labels))
        if self.compiled.has_made(variant):
            return self._passes(images, labels)
        before = [(buffer, buffer.clone()) for buffer in self.module.buffers()]
        try:
            found = self._passes(images, labels)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # a compiler may fail in any way; what is the network's own fault, comes again
            self.compiled.give_up(error, self.network_id)
            self.compiled, self.counters = None, BatchCounters(self.module)
            for buffer, old in before:  # statistics of what comes before the part that failed
                buffer.copy_(old)
            self.seed(self.number)
            return self._passes(images, labels)
        self.compiled.note_made(variant)
        return found

    def variant(self, size: int) -> tuple[int, bool, bool]:
        """What a step on a batch of ``size`` is compiled for."""
        return size, self.module.training, self.paths.on

    def drop_gradients(self) -> None:
        """All that ``zero_grad`` does, without its book-keeping."""
        for parameter in self.parameters:
            parameter.grad = None

    def has_failed(self) -> bool:
        """Look at the flag (a host read), and undo what the failed forward pass left in the statistics."""
        if not self.failed.item():
            return False
        if not self.undoes_at_once:
            self.statistics.keep_if(self.failed == 0)
        return True

    def release(self) -> bool:
        """Give back the memory that is held for steps to come, and say whether there was any; eager steps hold none."""
        return False

    def count(self, images: int) -> Tensor:
        """A number of images as a scalar on the device, made once."""
        if images not in self.counts:
            self.counts[images] = torch.full((), float(images), device=self.device)
        return self.counts[images]
