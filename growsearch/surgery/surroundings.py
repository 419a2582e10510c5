"""What a caller may have switched on around edits and proofs, and what neither takes part in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import ParamSpec, TypeVar

import torch
from torch.nn.utils import parametrize

P = ParamSpec("P")
R = TypeVar("R")


def undisturbed(function: Callable[P, R]) -> Callable[P, R]:
    """A function that runs as it does outside of ``torch.inference_mode`` and ``parametrize.cached``.

    Tensors that are made in the former can never be trained, and operators run undivided; the latter gives computed
    weights from before an edit, or those of a copy that is gone.
    """

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        if not (torch.is_inference_mode_enabled() or parametrize._cache_enabled):
            return function(*args, **kwargs)
        with _nothing_cached(), torch.inference_mode(False), torch.no_grad():  # the second switches gradients on
            return function(*args, **kwargs)

    return called


@contextmanager
def _nothing_cached() -> Iterator[None]:
    """Let weights be computed each time; those that were kept are forgotten."""
    depth, parametrize._cache_enabled, parametrize._cache = parametrize._cache_enabled, 0, {}
    try:
        yield
    finally:
        parametrize._cache_enabled = depth
