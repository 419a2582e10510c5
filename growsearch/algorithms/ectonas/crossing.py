"""Topology crossing: whether a search ended in another class of network than it began in (Table 3)."""

from collections.abc import Iterable

from growsearch.algorithms.ectonas.offspring import Spec

CLASSES = ("cnn", "ffnn")


def topology_class(spec: Spec) -> str:
    """``cnn`` if there is a convolution cell, else ``ffnn``."""
    return "cnn" if spec["cells"] else "ffnn"


def crossing_table(runs: Iterable[tuple[str, str]]) -> dict[str, dict[str, float]]:
    """Count (start class, end class) pairs as Table 3 does.

    Returns:
        By start class: ``final_cnn``, ``final_ffnn``, and ``crossing_percent``, the share of its runs
        that ended in the other class (0 where there are none).
    """
    pairs = list(runs)
    table: dict[str, dict[str, float]] = {}
    for start in CLASSES:
        ends = [end for begin, end in pairs if begin == start]
        crossed = sum(end != start for end in ends)
        table[start] = {f"final_{end}": ends.count(end) for end in CLASSES}
        table[start]["crossing_percent"] = 100 * crossed / len(ends) if ends else 0.0
    return table
