"""Training loops over one subject: through the engine, and the bare loop that anybody would write."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from subjects import Subject
from torch import Tensor, nn

from growsearch.training import Cursor, Engine, Network
from growsearch.training.config import HardwareConfig
from growsearch.training.layout import LAYOUTS

BATCHES = 8
"""Batches of noise that a loop goes round in."""

Loop = Callable[[int], None]
"""Takes so many steps, and returns when the device has finished them."""


def engine_loop(subject: Subject, device: torch.device, layout: str, step: str, precision: str = "float32") -> Loop:
    """Steps as a search takes them; ``step`` is ``hardware.step``, and so on."""
    hardware = HardwareConfig(device=str(device), threads=1, layout=layout, step=step, precision=precision)
    engine = Engine(subject.noise(BATCHES), hardware, 0)
    network = Network(0, subject.build(), **subject.optimizers)
    engine.place(network)
    network.module.train()
    cursors = {recipe.optimizer: Cursor(recipe.optimizer) for recipe in subject.recipes}

    def loop(steps: int) -> None:
        for _ in range(steps):
            for recipe in subject.recipes:
                cursor = cursors[recipe.optimizer]
                if cursor.used == len(engine.data.train):
                    cursor.next_pass()
                engine.train_batch(network, cursor, recipe, subject.batch_size)
        for recipe in subject.recipes:
            outcome = engine.stats(network, cursors[recipe.optimizer], recipe).outcome
            if outcome != "ok":
                raise RuntimeError(f"training on noise ended: {outcome}")

    return loop


def bare_loop(subject: Subject, device: torch.device, layout: str, reads: bool = True) -> Loop:
    """The same batches of the same network: index, forward, backward, torch's own optimizers, loss.

    With ``reads`` the host reads the loss of every step, as most loops do; else once in the end.
    """
    data, memory_format = subject.noise(BATCHES).to(device), LAYOUTS[layout]
    images = data.normalisation(data.train.images).contiguous(memory_format=memory_format)
    labels, module = data.train.labels, subject.build().to(device=device, memory_format=memory_format).train()
    optimizers = {role: _plain_optimizer(module, subject, role) for role in subject.optimizers}
    order: list[Tensor] = []

    def loop(steps: int) -> None:
        total: Tensor | float = 0.0
        for _ in range(steps):
            for recipe in subject.recipes:
                if not order:
                    order.extend(torch.randperm(len(images), device=device).split(subject.batch_size))
                rows, optimizer = order.pop(), optimizers[recipe.optimizer]
                output = module(images[rows])
                logits, auxiliary = output if isinstance(output, tuple) else (output, None)
                loss = F.cross_entropy(logits, labels[rows])
                if auxiliary is not None:
                    loss = loss + recipe.aux_weight * F.cross_entropy(auxiliary, labels[rows])
                module.zero_grad()
                loss.backward()
                if recipe.clip is not None:
                    nn.utils.clip_grad_norm_([p for g in optimizer.param_groups for p in g["params"]], recipe.clip)
                optimizer.step()
                total += loss.item() if reads else loss.detach()
        float(total)

    return loop


def _plain_optimizer(module: nn.Module, subject: Subject, role: str) -> torch.optim.Optimizer:
    """One group, rates as numbers, torch's default implementation."""
    config = subject.optimizers[role]
    names = [name for name, _ in module.named_parameters() if ("alphas" in name) == (role == "alphas")]
    parameters = [module.get_parameter(name) for name in names]
    if config.kind == "adam":
        return torch.optim.Adam(parameters, config.lr, config.betas, weight_decay=config.weight_decay)
    return torch.optim.SGD(
        parameters, config.lr, config.momentum, weight_decay=config.weight_decay, nesterov=config.nesterov
    )
