"""The step of second-order DARTS: architecture weights are judged by what one step of the weights makes of them."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import SGD

from growsearch.training.cursor import Cursor
from growsearch.training.loader import Loader
from growsearch.training.network import Network
from growsearch.training.recipe import Recipe
from growsearch.training.step import Step

RADIUS = 0.01
"""Length of the step to both sides that the difference is taken over (DARTS, footnote to equation 8)."""

LEAST_NORM = 1e-12
"""Gradients below it count as this long, so that no step is without end."""

Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class UnrolledRecipe(Recipe):
    """Recipe of such a step.

    Attributes:
        inner: recipe of the weights' own steps.
    """

    inner: Recipe = field(default_factory=Recipe)


class UnrolledStep(Step):
    """A step on architecture weights alpha along the gradient of L_val(w', alpha) (DARTS, equations 6 to 8).

    w' is what one step of the weights' SGD would make of the weights w on their next batch, momentum and weight
    decay included, at its present rate xi. The gradient is that of L_val at w' less xi times the product of the
    mixed second derivatives of L_train with dL_val/dw', which is a difference of two gradients of L_train, at
    w plus and minus :data:`RADIUS` times the unit vector of dL_val/dw'. Weights, their optimizer and running
    statistics end as they were. Every pass draws the same random numbers. It is always taken eagerly.
    """

    passes = 4

    def __init__(self, network: Network, recipe: UnrolledRecipe, precision: str, seed: int) -> None:
        super().__init__(network, recipe, precision, seed)
        optimizer = network.optimizer(recipe.inner.optimizer)
        if not isinstance(optimizer, SGD) or any(group["nesterov"] for group in optimizer.param_groups):
            raise ValueError("weights must be trained with SGD without Nesterov's momentum for an unrolled step")
        self.inner_optimizer = optimizer
        self.weights: list[Tensor] = [p for group in optimizer.param_groups for p in group["params"]]
        self.inner_batch: Callable[[int], Batch] | None = None

    def look_ahead(self, loader: Loader, cursor: Cursor) -> None:
        """Say where the weights' next batch comes from; it is read and left for the weights' own step."""
        self.inner_batch = lambda size: loader.take(replace(cursor), size)

    def body(self, images: Tensor, labels: Tensor) -> Tensor:
        """As :meth:`Step.body`, on a batch of the architecture weights' images."""
        assert self.inner_batch is not None
        self.statistics.remember()
        gradients, loss, correct = self.gradients(self.inner_batch(len(labels)), (images, labels))
        with torch.no_grad():
            self.statistics.keep_if(torch.zeros((), dtype=torch.bool, device=self.device))
            for parameter, gradient in zip(self.parameters, gradients, strict=True):
                parameter.grad = gradient
            probe = loss
            if self.recipe.clip is not None:
                probe = probe + nn.utils.clip_grad_norm_(self.parameters, self.recipe.clip)
            self.failed.masked_fill_(probe - probe != 0, 1.0)
            self.update()
            batch = torch.stack((loss * len(labels), correct, self.count(len(labels))))
            return batch.masked_fill_(self.failed != 0, 0.0)

    def gradients(self, inner: Batch, outer: Batch) -> tuple[list[Tensor], Tensor, Tensor]:
        """Gradients of the architecture weights, and loss and correct answers of the outer batch at w'."""
        kept = [weight.detach().clone() for weight in self.weights]
        steps = self._inner_steps(inner)
        self._put(kept, steps)
        logits, loss = self._loss(outer)
        both = torch.autograd.grad(loss, [*self.parameters, *self.weights], allow_unused=True)
        found = [_filled(g, p) for g, p in zip(both, [*self.parameters, *self.weights], strict=True)]
        direct, ahead = found[: len(self.parameters)], found[len(self.parameters) :]
        norm = torch.stack([g.norm() for g in ahead]).norm().clamp_min(LEAST_NORM)
        radius = RADIUS / norm
        sides = []
        for sign in (1.0, -1.0):
            self._put(kept, [sign * radius * g for g in ahead])
            sides.append(self._alpha_gradients(inner))
        self._put(kept, None)
        mixed = [(plus - minus) / (2 * radius) for plus, minus in zip(*sides, strict=True)]
        rate = self.inner_optimizer.param_groups[0]["lr"]
        with torch.no_grad():
            correct = (logits.argmax(1) == outer[1]).sum(dtype=loss.dtype)
            return [g - rate * m for g, m in zip(direct, mixed, strict=True)], loss.detach(), correct

    def _inner_steps(self, inner: Batch) -> list[Tensor]:
        """The change that SGD's next step on a batch makes to each of the weights."""
        _, loss = self._loss(inner)
        gradients = torch.autograd.grad(loss, self.weights, allow_unused=True)
        by_weight = dict(zip(map(id, self.weights), gradients, strict=True))
        with torch.no_grad():
            return [
                -group["lr"] * self._direction(weight, by_weight[id(weight)], group)
                for group in self.inner_optimizer.param_groups
                for weight in group["params"]
            ]

    def _direction(self, weight: Tensor, gradient: Tensor | None, group: dict[str, Any]) -> Tensor:
        if gradient is None:  # SGD leaves what takes no part as it is
            return torch.zeros_like(weight)
        direction = gradient + group["weight_decay"] * weight
        if group["momentum"]:
            direction = direction + group["momentum"] * self.inner_optimizer.state[weight]["momentum_buffer"]
        return direction

    def _alpha_gradients(self, inner: Batch) -> list[Tensor]:
        _, loss = self._loss(inner)
        found = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        return [_filled(g, p) for g, p in zip(found, self.parameters, strict=True)]

    def _loss(self, batch: Batch) -> tuple[Tensor, Tensor]:
        images, labels = batch
        self.seed(self.number)  # every pass begins with it
        with self.autocast:
            output = self.module(images)
        logits = output[0] if isinstance(output, tuple) else output
        wide = logits if logits.dtype == torch.float64 else logits.float()
        return logits, F.cross_entropy(wide, labels, label_smoothing=self.recipe.label_smoothing)

    @torch.no_grad()
    def _put(self, kept: list[Tensor], added: list[Tensor] | None) -> None:
        """Set the weights in place to what they were, plus something."""
        torch._foreach_copy_(self.weights, kept)
        if added is not None:
            for weight, more in zip(self.weights, added, strict=True):
                weight.add_(more)


def _filled(gradient: Tensor | None, parameter: Tensor) -> Tensor:
    return torch.zeros_like(parameter) if gradient is None else gradient
