"""When a rank curve has risen, and how steeply (CONet equation 3)."""

from collections.abc import Sequence
from typing import Literal

Plateau = Literal["argmax", "patience"]

PATIENCE = 4
TOLERANCE = 0.005
SLOPE_EPSILON = 1e-4
"""The authors' guard against a plateau at epoch 0."""


def plateau_epoch(curve: Sequence[float], rule: Plateau = "argmax") -> int:
    """Index of the epoch at which a rank curve has reached its plateau.

    ``argmax``: the first maximum (the authors' code, from which the published numbers come). ``patience``: the
    first epoch that none of the next four exceeds by more than 0.005, else the last.

    Raises:
        ValueError: if the curve is empty.
    """
    if not curve:
        raise ValueError("plateau_epoch: a curve of one epoch or more expected, none found")
    if rule == "argmax":
        return max(range(len(curve)), key=lambda epoch: curve[epoch])
    for epoch, value in enumerate(curve):
        ahead = curve[epoch + 1 : epoch + 1 + PATIENCE]
        if len(ahead) == PATIENCE and all(later <= value + TOLERANCE for later in ahead):
            return epoch
    return len(curve) - 1


def rank_slope(curve: Sequence[float], rule: Plateau = "argmax") -> float:
    """Rank average slope S from the curve's first epoch to its plateau, per epoch; 0 for a falling or flat curve."""
    plateau = plateau_epoch(curve, rule)
    return (curve[plateau] - curve[0]) / (plateau + SLOPE_EPSILON)
