"""Values of small tensors in a trace: constants of the code, counters, draws, and what is computed of these alone."""

from math import prod
from typing import Any

import torch
from torch import Tensor

from growsearch.dispatch import carry_out
from growsearch.surgery.labels import MOST_KNOWN, LabelTrace
from growsearch.surgery.operators import flat, mapped, name_of

_FILLED = {"zeros_like", "ones_like", "full_like"}


def is_filled(func: Any, x: Tensor, labels: LabelTrace) -> bool:
    """Whether an operator gives a small tensor of one number, in the shape of a tensor that an edit leaves alone."""
    return (
        name_of(func) in _FILLED
        and x.numel() <= MOST_KNOWN
        and all(vector is None or labels.is_fixed(vector) for vector in labels.get(x))
    )


def value_of(func: Any, args: Any, kwargs: Any, tensors: list[Tensor], labels: LabelTrace, runs: int) -> Any:
    """What an operator gives whose arguments are all known, and small; else None.

    Args:
        func: the operator.
        args: its arguments.
        kwargs: those by name.
        tensors: those of its arguments that are tensors.
        labels: the trace, which holds what is known.
        runs: number of the run, where chance decides what the network runs.
    """
    filled = bool(tensors) and is_filled(func, tensors[0], labels)

    def real(leaf: Any) -> Any:
        if isinstance(leaf, torch.device):
            return torch.device("cpu")
        if isinstance(leaf, torch.Generator):  # the caller's own goes on where it was
            other = torch.Generator(leaf.device)
            own = other.manual_seed(1000 * runs + len(labels.draws)) if runs else None
            return own or other.set_state(leaf.get_state())
        if not isinstance(leaf, Tensor) or not leaf.is_meta:
            return leaf
        return torch.empty(leaf.shape, dtype=leaf.dtype, device="cpu") if filled else labels.values.get(id(leaf))

    if not filled and any(each.is_meta and id(each) not in labels.values for each in tensors):
        return None
    if not tensors and prod(each for each in flat(args) if type(each) is int) > MOST_KNOWN:
        return None
    try:
        if not tensors:
            given = {name: real(each) for name, each in kwargs.items()}
            return carry_out(func, args, given | {"device": torch.device("cpu")}, tensors)
        return func(*mapped(real, args), **dict(zip(kwargs, mapped(real, kwargs.values()), strict=True)))
    except Exception:  # the same call on the meta device says what is wrong
        return None
