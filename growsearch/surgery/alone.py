"""What a network computes of one sample, in place of several, where that tells as much of its channels."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from growsearch.errors import is_lack_of_memory
from growsearch.surgery.agreement import Outputs, compared, is_undefined

Runs = dict[bool, Outputs]
"""Outputs by whether the network trains."""


def of_the_first(several: Runs, run: Callable[[bool, int], Outputs]) -> Runs:
    """The outputs of the first sample alone; nothing if these tell less than those of several samples.

    In eval mode they must be what the network computes of this sample among the others. Where outputs tell samples
    apart, those of the second sample alone must differ from them, in both modes: a norm over samples could hide
    all there is.

    Args:
        several: outputs of several samples, in both modes.
        run: gives the outputs of one sample, in a mode.
    """
    try:
        first, second = ({mode: run(mode, place) for mode in several} for place in (0, 1))
    except Exception as error:  # such as a batch norm of single entries
        if is_lack_of_memory(error):
            raise
        return {}
    among = [(_sample(leaf, 0), [_sample(each, 0) for each in behind]) for leaf, behind in several[False]]
    if compared(among, first[False], "") is not None:
        return {}
    for mode, outputs in several.items():
        if is_undefined(first[mode]) and not is_undefined(outputs):
            return {}
        for (leaf, _), one, other in zip(outputs, first[mode], second[mode], strict=True):
            apart = isinstance(leaf, Tensor) and not _alike(_sample(leaf, 0), _sample(leaf, 1))
            if apart and _alike(one[0], other[0]):
                return {}
    return first


def _sample(leaf: Any, place: int) -> Any:
    return leaf[place : place + 1] if isinstance(leaf, Tensor) and leaf.dim() else leaf


def _alike(first: Tensor, second: Tensor) -> bool:
    return compared([(first, [first])], [(second, [second])], "") is None
