"""Similarity of candidate operations (PR-DARTS IV-B)."""

from collections.abc import Mapping, Sequence
from typing import Any


def similarity(a: Mapping[str, Any], b: Mapping[str, Any]) -> float:
    """Similarity in [0, 1] of two operations given as ``{"op": type, setting: value, ...}``.

    0 for different types; else the share of equal settings, the type counted as one of them.
    Lists count partially: as many parts as the shorter has entries, and one for equal length.
    """
    if a["op"] != b["op"]:
        return 0.0
    settings = [name for name in a if name != "op"]
    return (1.0 + sum(_agreement(a[name], b[name]) for name in settings)) / (1 + len(settings))


def mean_similarity(operations: Sequence[Mapping[str, Any]], self_pairs: bool = True) -> float:
    """Mean of :func:`similarity` over all pairs; 1 for a single operation.

    The paper says "all pairwise"; its Figure 2 starts at 1/3, which needs each operation's pair with
    itself (``self_pairs``).

    Raises:
        ValueError: if there are no operations.
    """
    if not operations:
        raise ValueError("no operations")
    numbers = range(len(operations))
    pairs = [(i, j) for i in numbers for j in numbers if self_pairs or i != j]
    return sum(similarity(operations[i], operations[j]) for i, j in pairs) / len(pairs) if pairs else 1.0


def _agreement(a: Any, b: Any) -> float:
    if not isinstance(a, list | tuple):
        return float(a == b)
    shorter = min(len(a), len(b))
    equal = sum(x == y for x, y in zip(a, b, strict=False))
    return (float(len(a) == len(b)) + equal) / (shorter + 1)
