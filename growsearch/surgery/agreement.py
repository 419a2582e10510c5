"""Whether two runs of a network agree."""

from math import isfinite
from typing import Any, TypeAlias

import torch
from torch import Tensor

Outputs: TypeAlias = list[tuple[Any, list[Tensor]]]
"""Every output of some runs, each with what it was computed from."""
TOLERANCE = 1e-8
"""Largest change of an output, relative to its largest entry."""


def compared(before: Outputs, after: Outputs, when: str) -> str | None:
    """None if two runs agree, else how they differ."""
    if len(before) != len(after):
        return f"it has other outputs {when}"
    for (old, old_behind), (new, new_behind) in zip(before, after, strict=True):
        if not isinstance(old, Tensor):
            text = isinstance(old, (str, bytes))
            if type(old) is not type(new) or not (old == new or (not text and abs(old - new) <= TOLERANCE * abs(old))):
                return f"a {'text' if text else 'number'} that it returns changes {when}"
            continue
        if old.shape != new.shape or len(old_behind) != len(new_behind):
            return f"its output has another shape {when}"
        for first, second in zip(old_behind, new_behind, strict=True):
            if first.shape == second.shape and not _close(first, second):
                return f"its output changes {when}"
    return None


def is_undefined(outputs: Outputs) -> bool:
    """Whether there is an entry that is no number, as the standard deviation of a single channel."""
    return any(bool(leaf.isnan().any()) for leaf, _ in outputs if isinstance(leaf, Tensor))


def _close(before: Tensor, after: Tensor) -> bool:
    """Equal to the tolerance; integers exactly, and what is infinite or undefined in the same places."""
    if not before.numel():
        return True
    if not (before.is_floating_point() or before.is_complex()):
        return torch.equal(before, after)
    gaps = before - after
    gap, largest = _largest(gaps), _largest(before)
    if isfinite(gap) and isfinite(largest):  # as nearly always: then all entries of both are finite
        return gap <= TOLERANCE * largest
    known = torch.isfinite(before)
    if not torch.equal(known, torch.isfinite(after)) or not known.any() or bool(gaps.isinf().any()):
        return False
    return _largest(gaps[known]) <= TOLERANCE * _largest(before[known])


def _largest(tensor: Tensor) -> float:
    """Absolute value of the entry farthest from zero, NaN if one is."""
    least, most = torch.aminmax(tensor.abs() if tensor.is_complex() else tensor)
    return max(-float(least), float(most))
