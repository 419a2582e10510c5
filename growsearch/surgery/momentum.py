"""Optimizer state moves with the tensor it belongs to.

An optimizer keeps for each weight a few entries. What becomes of an entry when channels are copied follows
from what it is; entries and optimizers that are not listed are refused, for a guess would train on silently.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, optim
from torch.optim import Optimizer

from growsearch.errors import UserError
from growsearch.surgery.replaced import followed, require_current

Optimizers: TypeAlias = Optimizer | Iterable[Optimizer] | None


@dataclass(frozen=True)
class Entry:
    """Kind of an entry of an optimizer's state, for an entry of the weight's shape.

    Attributes:
        power: of the gradient it is proportional to: where a gradient is halved, a second moment is quartered.
        averages_weight: whether it is an average of the weight, so that it changes as the weight does.
        start: the option of the parameter group that new channels start at; they start at 0 if it is empty.
    """

    power: int = 0
    averages_weight: bool = False
    start: str = ""


Carry: TypeAlias = Callable[[Tensor, Entry, Tensor | float], Tensor]
"""(state of the old tensor's shape, what it is, where new channels start) -> state of the new tensor's shape."""

COUNTER, GRADIENT, SQUARE, SCALE_FREE = None, Entry(1), Entry(2), Entry()
FACTORS = ("row_var", "col_var")
"""Means of a squared gradient over its last and over its last but one dimension (Adafactor)."""

_ADAM: dict[str, Entry | None] = {"step": COUNTER, "exp_avg": GRADIENT, "exp_avg_sq": SQUARE, "max_exp_avg_sq": SQUARE}
STATE: dict[type[Optimizer], Mapping[str, Entry | None]] = {
    optim.SGD: {"momentum_buffer": GRADIENT},
    optim.Adam: _ADAM,
    optim.AdamW: _ADAM,
    optim.Adamax: {"step": COUNTER, "exp_avg": GRADIENT, "exp_inf": Entry(1)},
    optim.NAdam: {**_ADAM, "mu_product": COUNTER},
    optim.RAdam: _ADAM,
    optim.RMSprop: {"step": COUNTER, "square_avg": SQUARE, "grad_avg": GRADIENT, "momentum_buffer": SCALE_FREE},
    optim.Adagrad: {"step": COUNTER, "sum": Entry(2, start="initial_accumulator_value")},
    optim.Adadelta: {"step": COUNTER, "square_avg": SQUARE, "acc_delta": SCALE_FREE},
    optim.Adafactor: {"step": COUNTER, "variance": SQUARE, **dict.fromkeys(FACTORS, SQUARE)},
    optim.ASGD: {"step": COUNTER, "eta": COUNTER, "mu": COUNTER, "ax": Entry(averages_weight=True)},
    optim.Rprop: {"step": COUNTER, "prev": GRADIENT, "step_size": Entry(start="lr")},
}
"""Optimizer -> its state's entries. Subclasses are known by their parents; an own optimizer may be added."""
if hasattr(optim, "Muon"):
    STATE[optim.Muon] = {"momentum_buffer": GRADIENT}


def as_list(optimizer: Optimizers) -> list[Optimizer]:
    """No, one or several optimizers as a list.

    Raises:
        UserError: for an optimizer whose state cannot follow an edit.
    """
    if optimizer is None:
        return []
    several = isinstance(optimizer, Iterable) and not isinstance(optimizer, Optimizer)
    optimizers = list(optimizer) if several else [optimizer]  # type: ignore[arg-type]
    for each in optimizers:
        _entries(each)
    return optimizers  # type: ignore[return-value]


def _entries(optimizer: object) -> Mapping[str, Entry | None]:
    for kind in type(optimizer).__mro__:
        if kind in STATE:
            return STATE[kind]
    known = ", ".join(kind.__name__ for kind in STATE)
    raise UserError(
        f"optimizer: {type(optimizer).__name__} is not accepted, as its state does not follow an "
        f"edit; use {known} (or enter your own in growsearch.surgery.momentum.STATE)"
    )


def hand_over(optimizer: Optimizers, moves: Sequence[tuple[Tensor, Tensor, Carry | None]]) -> None:
    """Put new parameters in the old ones' places in the parameter groups and give them the old ones' state.

    Args:
        optimizer: none, one or several; parameters that they do not hold are passed over.
        moves: the parameter that leaves, the one that takes its place, and what maps one entry of the state (see
            :data:`Carry`; counters are kept as they are) or None to drop the state.

    Raises:
        UserError: for an entry that is not known, or is not of the tensor's shape, and for an optimizer that an earlier
            edit was not given.
    """
    replaced = {id(old): new for old, new, _ in moves}
    optimizers = as_list(optimizer)
    for each in optimizers:
        options: dict[int, Mapping[str, Any]] = {}
        for group in each.param_groups:
            options |= {id(parameter): group for parameter in group["params"] if id(parameter) in replaced}
            group["params"] = [replaced.get(id(parameter), parameter) for parameter in group["params"]]
        for old, new, carry in moves:
            state, settings = each.state.pop(old, None), options.get(id(old), {})
            if id(old) in options:
                followed(old)
            if state and carry is not None:
                each.state[new] = _carried(each, state, settings, old, new, carry)
            elif state and settings.get("fused") and "momentum_buffer" in state:
                each.state[new] = {"momentum_buffer": torch.zeros_like(new)}  # the fused step wants all of them or none
            elif state and isinstance(each, optim.Adagrad):  # torch 2.11 makes its state with the optimizer alone
                begin = settings["initial_accumulator_value"]
                each.state[new] = {"step": torch.zeros_like(state["step"]), "sum": torch.full_like(new.detach(), begin)}
    require_current(optimizers)


def _carried(
    optimizer: Optimizer, state: dict[str, Any], options: Mapping[str, Any], old: Tensor, new: Tensor, carry: Carry
) -> dict[str, Any]:
    entries, carried = _entries(optimizer), dict(state)
    for key, value in state.items():
        if key not in entries:
            kind = type(optimizer).__name__
            raise UserError(f"state of optimizer {kind}: entry {key!r} is not known; it may have {', '.join(entries)}")
        entry = entries[key]
        if entry is None or not isinstance(value, Tensor) or key in FACTORS:
            continue
        if value.shape != old.shape:
            shapes = f"it has shape {tuple(value.shape)}, its weight {tuple(old.shape)}"
            raise UserError(f"state of optimizer {type(optimizer).__name__}: {key!r} of shape {shapes}")
        start = new.detach() if entry.averages_weight else float(options.get(entry.start, 0.0)) if entry.start else 0.0
        carried[key] = carry(value, entry, start)
    if all(isinstance(state.get(key), Tensor) for key in FACTORS):
        carried |= _factored(state, carry)
    return carried


def _factored(state: Mapping[str, Tensor], carry: Carry) -> dict[str, Tensor]:
    """Carry the second moments that two factors stand for, and take their means again.

    Exact where neither averaged dimension changes (a convolution's windows); else as exact as the factors are.
    """
    rows, columns = (state[key] for key in FACTORS)
    mean = rows.mean(-2, keepdim=True)
    squares = carry(torch.where(mean > 0, rows * columns / mean, 0.0), SQUARE, 0.0)
    return {key: squares.mean(dim, keepdim=True) for key, dim in zip(FACTORS, (-1, -2), strict=True)}
