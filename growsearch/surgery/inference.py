"""Edits and proofs inside ``torch.inference_mode``: its tensors can never be trained, and operators run undivided."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import torch

P = ParamSpec("P")
R = TypeVar("R")


def outside_inference(function: Callable[P, R]) -> Callable[P, R]:
    """A function that makes ordinary tensors without a graph even where its caller is in inference mode."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if not torch.is_inference_mode_enabled():
            return function(*args, **kwargs)
        with torch.inference_mode(False), torch.no_grad():  # leaving the mode switches gradients on
            return function(*args, **kwargs)

    return called
