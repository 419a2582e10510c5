"""Optimizer state moves with the tensor it belongs to."""

from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

from torch import Tensor
from torch.optim import Optimizer

Optimizers: TypeAlias = Optimizer | Iterable[Optimizer] | None

SECOND_MOMENTS = frozenset({"exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum"})
"""State that averages squared gradients: where a gradient is halved, these are quartered."""


def as_list(optimizer: Optimizers) -> list[Optimizer]:
    """No, one or several optimizers as a list."""
    if optimizer is None:
        return []
    return [optimizer] if isinstance(optimizer, Optimizer) else list(optimizer)


def hand_over(
    optimizer: Optimizers, old: Tensor, new: Tensor, carry: Callable[[Tensor, bool], Tensor] | None = None
) -> None:
    """Put ``new`` in ``old``'s place in the parameter groups and give it the old tensor's state.

    Args:
        optimizer: none, one or several; those that do not hold ``old`` are left as they are.
        old: the parameter that leaves.
        new: the parameter that takes its place; identical to ``old``'s place and group settings.
        carry: (state of ``old``'s shape, whether it is a second moment) -> state of ``new``'s shape; None
            drops the state. Counters are kept as they are; state of any other shape (factored moments)
            cannot follow and is dropped.
    """
    for each in as_list(optimizer):
        for group in each.param_groups:
            group["params"] = [new if parameter is old else parameter for parameter in group["params"]]
        state = each.state.pop(old, None)
        if state is not None and carry is not None and _fits(state, old):
            each.state[new] = {key: _carried(key, value, old, carry) for key, value in state.items()}


def _fits(state: dict[str, Any], old: Tensor) -> bool:
    return all(value.dim() == 0 or value.shape == old.shape for value in state.values() if isinstance(value, Tensor))


def _carried(key: str, value: Any, old: Tensor, carry: Callable[[Tensor, bool], Tensor]) -> Any:
    if isinstance(value, Tensor) and value.shape == old.shape and key != "step":
        return carry(value, key in SECOND_MOMENTS)
    return value
