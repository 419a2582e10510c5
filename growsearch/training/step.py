"""One optimizer step, written so that it could be captured: device tensors in, device tensors out."""

from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.randomness import derive_seed, seed_default_generators
from growsearch.training.network import Network
from growsearch.training.recipe import Recipe
from growsearch.training.update import bind_update


class Step:
    """Forward, backward, clipping and update of one network under one recipe.

    A call reads only fixed tensors: the batch, the rates in the optimizer's groups, the network's
    drop-path probability. It never asks the host for a value. The first loss (or gradient norm)
    that is not finite raises ``failed``; from then on weights, optimizer state and batch-norm
    statistics stay as they were before that step, until the host looks.

    Attributes:
        failed: scalar on the device, 1 once a step was not finite.
    """

    def __init__(self, network: Network, recipe: Recipe, precision: str, seed: int) -> None:
        self.network, self.recipe, self.seed = network, recipe, seed
        self.version = network.version
        self.optimizer = network.optimizer(recipe.optimizer)
        self.parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        self.buffers = [b for b in network.module.buffers() if b.is_floating_point() and b.dim()]
        self.before = [torch.empty_like(b) for b in self.buffers]
        self.device = network.device
        self.autocast = torch.autocast(self.device.type, torch.bfloat16) if precision == "bf16" else nullcontext()
        self.failed = torch.zeros((), dtype=torch.float32, device=self.device)
        self.counts: dict[int, Tensor] = {}
        self.update = bind_update(self.optimizer, self.failed)
        every = {id(p) for p in network.module.parameters() if p.requires_grad}
        # Naming the parameters cuts the backward pass short where others are trained too, and costs time.
        self.inputs = self.parameters if every - set(map(id, self.parameters)) else None

    def __call__(self, images: Tensor, labels: Tensor, sums: Tensor) -> None:
        """Train on one batch and add (loss * images, correct, images) to ``sums`` (float64, on the device)."""
        module, recipe = self.network.module, self.recipe
        seed_default_generators(derive_seed(self.seed, "step", self.network.id, self.network.steps), self.device)
        if self.buffers:
            torch._foreach_copy_(self.before, self.buffers)
        with self.autocast:
            output = module(images)
        logits, auxiliary = output if isinstance(output, tuple) else (output, None)
        loss = F.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
        total = loss
        if auxiliary is not None:
            aux_loss = F.cross_entropy(auxiliary.float(), labels, label_smoothing=recipe.label_smoothing)
            total = loss + recipe.aux_weight * aux_loss
        for parameter in self.parameters:  # all that zero_grad does, without its book-keeping
            parameter.grad = None
        total.backward(inputs=self.inputs)
        with torch.no_grad():
            probe = total.detach()
            if recipe.clip is not None:
                probe = probe + nn.utils.clip_grad_norm_(self.parameters, recipe.clip)
            self.failed.masked_fill_(probe - probe != 0, 1.0)  # inf - inf is not a number, and so is not 0
            self.update()
            failed = self.failed != 0
            if self.device.type != "cpu":
                self._restore_buffers(~failed)
            correct = (logits.argmax(1) == labels).sum().to(loss.dtype)
            batch = torch.stack((loss.detach() * len(labels), correct, self._count(len(labels))))
            sums.add_(batch.masked_fill_(failed, 0.0))

    def has_failed(self) -> bool:
        """Look at the flag (a host read), and undo what the failed forward pass left in the buffers."""
        if not self.failed.item():
            return False
        if self.device.type == "cpu":
            self._restore_buffers(self.failed == 0)
        return True

    def _count(self, images: int) -> Tensor:
        if images not in self.counts:
            self.counts[images] = torch.full((), float(images), device=self.device)
        return self.counts[images]

    def _restore_buffers(self, good: Tensor) -> None:
        for buffer, before in zip(self.buffers, self.before, strict=True):
            buffer.copy_(torch.where(good, buffer, before))
