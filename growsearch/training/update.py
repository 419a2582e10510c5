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
    if isinstance(optimizer, SGD) and found_inf.device.type != "cpu" and can_go_together(optimizer):
        return bind_together(optimizer, found_inf)
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


def can_go_together(optimizer: Optimizer) -> bool:
    """Whether groups differ in nothing but their rates, as AdaS has one for each tensor."""
    first, *others = optimizer.param_groups
    alike = ("momentum", "weight_decay", "dampening", "maximize")
    same = all(group[name] == first[name] for group in others for name in alike)
    return bool(others) and same and first["momentum"] > 0 and not any(g["nesterov"] for g in optimizer.param_groups)


def bind_together(optimizer: Optimizer, found_inf: Tensor) -> Update:
    """One step of SGD for groups that :func:`can_go_together`, in a handful of launches in place of one a group.

    The fused kernel takes one rate for all its tensors. So at a rate of zero it moves the momentum alone, and what
    that comes to at rates laid out as the tensors are is subtracted. This reads and writes as many numbers again as
    a step does, for which a CPU would take longer than the calls do.
    """
    groups = optimizer.param_groups
    rows = [(p, optimizer.state[p]["momentum_buffer"], number) for number, g in enumerate(groups) for p in g["params"]]
    device, zero = found_inf.device, torch.zeros((), device=found_inf.device)
    lengths = [p.numel() for p, _, _ in rows]
    numbers = (number for _, _, number in rows)
    index = torch.cat([torch.full((n,), each, dtype=torch.int32) for n, each in zip(lengths, numbers, strict=True)])
    index, laid_out = index.to(device), torch.empty(sum(lengths), device=device)
    pieces = laid_out.split(lengths)
    by_row = [piece.as_strided(p.shape, p.stride()) for piece, (p, _, _) in zip(pieces, rows, strict=True)]
    settings = {name: groups[0][name] for name in ("weight_decay", "momentum", "dampening", "maximize")}

    def update() -> None:
        moved = [
            (p, p.grad, buffer, own) for (p, buffer, _), own in zip(rows, by_row, strict=True) if p.grad is not None
        ]
        if not moved:
            return
        params, grads, buffers, owns = zip(*moved, strict=True)
        rates = torch.stack([group["lr"] for group in groups]) * (1.0 - found_inf)
        torch.index_select(rates, 0, index, out=laid_out)
        torch._fused_sgd_(
            params,
            grads,
            buffers,
            lr=zero,
            nesterov=False,
            is_first_step=False,
            found_inf=found_inf,
            **settings,
        )
        torch._foreach_addcmul_(params, buffers, owns, value=-1.0)

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
