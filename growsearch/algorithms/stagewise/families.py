"""The module types of the paper and their constants."""

from dataclasses import dataclass
from typing import Any

from growsearch.errors import UserError


@dataclass(frozen=True)
class Family:
    """Starting point and step of a search over one kind of module.

    Attributes:
        network: name of the network family.
        m0: modules per stage at the start.
        delta: modules a stage grows by.
        width: channels of the stem.
        weight_decay: Keras' l2 penalty adds its square to the loss, so decay is twice its factor. It applies
            to kernels of convolutions; for cells see :func:`~growsearch.algorithms.stagewise.networks.penalised`.
    """

    network: str
    m0: tuple[int, ...]
    delta: int
    width: int
    weight_decay: float


FAMILIES = {
    "residual": Family("resnet", (6, 6, 6), 2, 16, 2e-4),
    "cell": Family("nasnet", (2, 2, 2), 1, 32, 1e-3),
    "bottleneck": Family("bottleneck", (2, 2, 2, 2), 1, 64, 2e-4),
}
"""By the name that ``algo.modules`` gives; bottleneck's m0 and delta are ours (the paper prints none)."""


def starting_depths(m0: Any, name: str) -> list[int]:
    """The depth vector that ``algo.m0`` means for a family: a list, one number for all stages, or None.

    Raises:
        UserError: if it has the wrong length or entries.
    """
    usual = FAMILIES[name].m0
    found = list(usual) if m0 is None else [m0] * len(usual) if isinstance(m0, int) else m0
    right = isinstance(found, list) and (len(found) == len(usual) or name != "bottleneck") and len(found) > 0
    if not right or not all(isinstance(depth, int) and depth >= 1 for depth in found):
        raise UserError(f"algo.m0: {m0} is not accepted; use a number or {len(usual)} numbers of at least 1")
    return list(found)
