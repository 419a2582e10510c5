"""Parameters that edits took out of their networks, so that an optimizer that still holds one is noticed."""

from collections.abc import Iterable
from weakref import ReferenceType, ref

from torch import Tensor, nn
from torch.optim import Optimizer

from growsearch.errors import UserError

_MOST = 4096
"""So many are remembered before those that nobody holds are forgotten."""
_replaced: dict[int, tuple[ReferenceType[Tensor], ReferenceType[nn.Module], str]] = {}


def note(old: Tensor, module: nn.Module, leaf: str) -> None:
    """Remember that a parameter is no longer what a module has under this name."""
    if len(_replaced) >= _MOST:
        for number in [number for number, (each, _, _) in _replaced.items() if each() is None]:
            del _replaced[number]
    _replaced[id(old)] = ref(old), ref(module), leaf


def require_current(optimizers: Iterable[Optimizer]) -> None:
    """Check that no optimizer holds a parameter in whose place an edit put another one.

    Raises:
        UserError: for one that does: it would train on silently without that part of the network.
    """
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if id(parameter) in _replaced and _is_replaced(parameter):
                    kind, shape = type(optimizer).__name__, tuple(parameter.shape)
                    raise UserError(
                        f"optimizer: {kind} holds a parameter of shape {shape} that an edit without it replaced; give"
                        " the optimizer to every edit, or make a new one"
                    )


def _is_replaced(parameter: Tensor) -> bool:
    """Whether it was replaced and has not been put back since."""
    each, module, leaf = _replaced[id(parameter)]
    owner = module()
    return each() is parameter and owner is not None and owner._parameters.get(leaf) is not parameter
