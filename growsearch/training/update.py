"""An optimizer's step, bound to the tensors that it updates."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Optimizer

Update = Callable[[], None]


def bind_update(optimizer: Optimizer, found_inf: Tensor) -> Update:
    """The optimizer's fused step as a function, good until its groups or its state change.

    While ``found_inf`` (float32 scalar on the device) is 1 it leaves everything as it is. The kernels are
    called as :class:`torch.optim.SGD` and :class:`torch.optim.Adam` call them, without those classes' hooks,
    profiler records and regrouping, which cost a small network as much as its forward pass.
    """
    dtypes = {parameter.dtype for group in optimizer.param_groups for parameter in group["params"]}
    if len(dtypes) > 1:
        optimizer.found_inf = found_inf  # type: ignore[attr-defined]
        return lambda: _step(optimizer)
    bind = _bind_sgd if isinstance(optimizer, SGD) else _bind_adam
    parts = [bind(optimizer, group, found_inf) for group in optimizer.param_groups]
    return parts[0] if len(parts) == 1 else lambda: _in_turn(parts)


def _bind_sgd(optimizer: Optimizer, group: dict[str, Any], found_inf: Tensor) -> Update:
    momentum, rate = group["momentum"], group["lr"]
    rows = [(p, optimizer.state[p]["momentum_buffer"] if momentum else None) for p in group["params"]]

    def update() -> None:
        moved = [(p, p.grad, buffer) for p, buffer in rows if p.grad is not None]
        if not moved:
            return
        params, grads, buffers = zip(*moved, strict=True)
        torch._fused_sgd_(
            params,
            grads,
            buffers if momentum else [],
            weight_decay=group["weight_decay"],
            momentum=momentum,
            lr=rate,
            dampening=group["dampening"],
            nesterov=group["nesterov"],
            maximize=group["maximize"],
            is_first_step=False,  # momentum is allocated as zeros
            found_inf=found_inf,
        )

    return update


def _bind_adam(optimizer: Optimizer, group: dict[str, Any], found_inf: Tensor) -> Update:
    rows = [(p, *(optimizer.state[p][key] for key in ("exp_avg", "exp_avg_sq", "step"))) for p in group["params"]]
    beta1, beta2 = group["betas"]

    def update() -> None:
        moved = [(row[0], row[0].grad, *row[1:]) for row in rows if row[0].grad is not None]
        if not moved:
            return
        params, grads, averages, squares, steps = zip(*moved, strict=True)
        torch._foreach_add_(steps, 1)
        torch._fused_adam_(
            params,
            grads,
            averages,
            squares,
            [],
            steps,
            lr=group["lr"],
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
            amsgrad=False,
            maximize=group["maximize"],
            found_inf=found_inf,
        )
        torch._foreach_sub_(steps, [found_inf] * len(steps))

    return update


def _in_turn(parts: list[Update]) -> None:
    for part in parts:
        part()


def _step(optimizer: Optimizer) -> None:
    optimizer.step()
