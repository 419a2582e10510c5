"""Parameters that edits took out of their networks, so that an optimizer that still holds one is noticed."""

import warnings
from collections.abc import Iterable
from functools import cache
from typing import Any
from weakref import ReferenceType, ref

from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook

from growsearch.errors import UserError

_MOST = 4096
"""So many are remembered before those that nobody holds are forgotten."""
_ADVICE = "give the optimizer to every edit, or make a new one"
_replaced: dict[int, tuple[ReferenceType[Tensor], ReferenceType[nn.Module], str]] = {}


def note(old: Tensor, module: nn.Module, leaf: str) -> None:
    """Remember that a parameter is no longer what a module has under this name."""
    if len(_replaced) >= _MOST:
        for number in [number for number, (each, _, _) in _replaced.items() if each() is None]:
            del _replaced[number]
    _replaced[id(old)] = ref(old), ref(module), leaf
    _watch_steps()


def followed(old: Tensor) -> None:
    """Forget a parameter in whose place an optimizer has got the new one."""
    _replaced.pop(id(old), None)


def require_current(optimizers: Iterable[Optimizer]) -> None:
    """Check that no optimizer holds a parameter in whose place an edit put another one.

    Raises:
        UserError: for one that does: it would train on silently without that part of the network.
    """
    for optimizer in optimizers:
        if left := _left_behind(optimizer):
            raise UserError(f"optimizer: {left}; {_ADVICE}")


@cache
def _watch_steps() -> None:
    """Warn from now on of each step of an optimizer that leaves out a part of its network."""

    def warn(optimizer: Optimizer, *_: Any) -> None:
        if _replaced and (left := _left_behind(optimizer)):
            warnings.warn(f"{left}, and does not train what took its place; {_ADVICE}", stacklevel=3)

    register_optimizer_step_pre_hook(warn)


def _left_behind(optimizer: Optimizer) -> str | None:
    """What an optimizer holds that is no longer its network's, in words."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if id(parameter) in _replaced and _is_replaced(parameter):
                kind, shape = type(optimizer).__name__, tuple(parameter.shape)
                return f"{kind} holds a parameter of shape {shape} that an edit without it replaced"
    return None


def _is_replaced(parameter: Tensor) -> bool:
    """Whether it was replaced and has not been put back since."""
    each, module, leaf = _replaced[id(parameter)]
    owner = module()
    return each() is parameter and owner is not None and owner._parameters.get(leaf) is not parameter
