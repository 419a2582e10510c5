"""Recurrent layers of torch: two steps show all that happens to their channels."""

from typing import Any

import torch
from torch import Tensor

from growsearch.surgery.labels import LabelTrace

STEPS = 2
"""The first one reads the states that a sequence begins with, each other one those of the step before."""


def few_steps(func: Any, args: Any, kwargs: Any, labels: LabelTrace) -> Any:
    """Carry out ``torch.lstm`` or one of its kind for two steps, and let all further ones give what the second gives.

    Packed sequences are followed step by step, and those whose steps are channels.
    """
    x, batch_first = args[0], args[-1]
    packed = isinstance(args[2], Tensor)
    dim = 1 if batch_first is True else 0
    if kwargs or packed or x.dim() != 3 or x.shape[dim] <= STEPS:
        return func(*args, **kwargs)
    steps = labels.get(x)[dim]
    if steps is not None and not labels.is_fixed(steps):
        return func(*args)
    labels.steps = max(labels.steps, x.shape[dim])
    out, *states = func(x.narrow(dim, 0, STEPS), *args[1:])
    further = list(out.shape)
    further[dim] = x.shape[dim] - STEPS
    return torch.cat([out, out.narrow(dim, STEPS - 1, 1).expand(further)], dim), *states
