"""Classes of labels under joins."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from growsearch.surgery.groups import _classes

COUNT = 60


def joined(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two equally long vectors: labels in turn, in any order, or with some of them twice."""
    size = int(rng.integers(0, 9))

    def vector() -> np.ndarray:
        start, kind = int(rng.integers(0, COUNT - size)), rng.integers(0, 4)
        in_turn = np.arange(start, start + size)
        if kind == 0:
            return rng.integers(0, COUNT, size)
        if kind == 1 and size > 2:  # begins and ends as if in turn
            return np.concatenate([in_turn[:1], rng.permutation(in_turn[1:-1]), in_turn[-1:]])
        return in_turn

    return vector(), vector()


@pytest.mark.parametrize("seed", range(60))
def test_classes_are_the_connected_parts_of_all_joins(seed: int) -> None:
    rng = np.random.default_rng(seed)
    joins = [joined(rng) for _ in range(int(rng.integers(0, 14)))]
    joins += [joins[int(each)] for each in rng.integers(0, len(joins), 3)] if joins else []
    left, right = (np.concatenate([pair[side] for pair in joins] or [np.empty(0, int)]) for side in (0, 1))
    graph = coo_array((np.ones(len(left)), (left, right)), shape=(COUNT, COUNT))
    expected = connected_components(graph, directed=False)[1]

    in_turn = [
        each for pair in joins for each in pair if np.array_equal(each, np.arange(COUNT)[each[:1].sum() :][: len(each)])
    ]
    own = set(map(id, in_turn)) if seed % 2 else set()  # which saves looking again
    found = _classes(joins, COUNT, own)

    assert np.array_equal(found[:, None] == found, expected[:, None] == expected)
    assert np.array_equal(found[found], found) and found.max() < COUNT
