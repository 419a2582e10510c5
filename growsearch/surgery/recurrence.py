"""Recurrent layers of torch: two steps show all that happens to their channels."""

from typing import Any

import torch
from torch import Tensor

from growsearch.surgery.labels import LabelTrace

STEPS = 2
"""The first one reads the states that a sequence begins with, each other one those of the step before."""


def few_steps(labels: LabelTrace, func: Any, args: Any, kwargs: Any) -> Any:
    """Carry out ``torch.lstm`` or one of its kind for two steps, and let all further ones give what the second gives.

    Sequences whose steps are channels are followed step by step.
    """
    x, *others = args
    packed = isinstance(args[1], Tensor) and args[1].dim() == 1  # all steps' rows, and how many each step has
    dim = 1 if args[-1] is True and not packed else 0
    steps = args[1].shape[0] if packed else x.shape[dim]
    own = labels.get(x)[dim]
    if kwargs or steps <= STEPS or (own is not None and not labels.is_fixed(own)) or (packed and args[1].is_meta):
        return func(*args, **kwargs)
    labels.steps, length = max(labels.steps, steps), STEPS
    if packed:
        others[0] = args[1][:STEPS]
        length = int(others[0].sum())
    out, *states = func(x.narrow(dim, 0, length), *others)
    further = list(out.shape)
    further[dim] = x.shape[dim] - length
    return torch.cat([out, out.narrow(dim, length - 1, 1).expand(further)], dim), *states
