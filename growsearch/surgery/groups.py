"""From labels to groups: which channels always occur together, and how they tile each dimension."""

from dataclasses import dataclass

import numpy as np

from growsearch.surgery.labels import LabelTrace, Vector


@dataclass(frozen=True)
class Segment:
    """A run of a dimension: a group's channels in turn, each ``repeat`` times, or ``fixed`` entries if it is frozen."""

    group: int
    repeat: int
    fixed: int = 0


@dataclass
class Layout:
    """The result of grouping.

    Attributes:
        axes: (tensor name, dimension) -> its segments.
        sizes: group -> number of channels.
        frozen: group -> None or why it may not change.
    """

    axes: dict[tuple[str, int], tuple[Segment, ...]]
    sizes: list[int]
    frozen: list[str | None]


def group(trace: LabelTrace) -> Layout:
    """Join the labels and group those that occur in the same dimensions equally often.

    A group's channels must come in the same order wherever it occurs, for a remap reorders all
    places alike; a group that does not is frozen.
    """
    label = _joined(trace)
    axes = {axis: label[vector] for axis, vector in trace.axes.items()}
    groups = _refined(list(axes.values()), trace.count)
    sizes = np.bincount(groups[groups >= 0]).tolist()
    frozen: list[str | None] = [None] * len(sizes)
    for vector, reason in trace.frozen:
        for each in np.unique(groups[label[vector]]):
            if each >= 0 and frozen[each] is None:
                frozen[each] = reason
    order: dict[int, Vector] = {}
    segments = {axis: _segments(vector, groups, order, frozen) for axis, vector in axes.items()}
    if any(reason == _DISORDER for reason in frozen):  # what was segmented before it froze is inert now
        segments = {axis: _segments(vector, groups, order, frozen) for axis, vector in axes.items()}
    return Layout(segments, sizes, frozen)


_DISORDER = "its channels come in different orders"


def _joined(trace: LabelTrace) -> Vector:
    """Label -> the number of its class under all joins."""
    from scipy.sparse import coo_array  # slow to import, and many runs never edit
    from scipy.sparse.csgraph import connected_components

    left = np.concatenate([a for a, _ in trace.joins] or [np.empty(0, np.int64)])
    right = np.concatenate([b for _, b in trace.joins] or [np.empty(0, np.int64)])
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(trace.count, trace.count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def _refined(axes: list[Vector], count: int) -> Vector:
    """Class -> group, -1 for a class that no axis has: equal counts in every axis make a group.

    Each axis splits the groups of the classes that it has by how often it has them.
    """
    groups, unused = np.full(count, -1), 0
    for vector in axes:
        classes, times = np.unique(vector, return_counts=True)
        _, parts = np.unique(np.stack([groups[classes], times]), axis=1, return_inverse=True)
        groups[classes] = unused + parts.ravel()
        unused += len(classes)
    found, first = np.unique(groups[np.concatenate(axes)], return_index=True)
    number = np.full(unused + 1, -1)  # the last entry is for -1
    number[found[np.argsort(first)]] = np.arange(len(found))
    return number[groups]


def _segments(
    vector: Vector, groups: Vector, order: dict[int, Vector], frozen: list[str | None]
) -> tuple[Segment, ...]:
    """Cut a dimension into runs of one group each, and these into whole passes through the group."""
    member = groups[vector]
    cuts = np.flatnonzero(np.diff(member)) + 1
    segments: list[Segment] = []
    for run in np.split(vector, cuts) if len(vector) else []:
        number = int(groups[run[0]])
        passes = None if frozen[number] else _passes(run, number, order)
        if passes is None:
            frozen[number] = frozen[number] or _DISORDER
            segments.append(Segment(number, 0, len(run)))
        else:
            segments.extend(Segment(number, repeat) for repeat in passes)
    return tuple(segments)


def _passes(run: Vector, number: int, order: dict[int, Vector]) -> list[int] | None:
    """How often each pass through the group repeats its channels; None if a pass is not whole or not in order."""
    if number not in order:
        order[number] = run[np.sort(np.unique(run, return_index=True)[1])]
    channels, passes = order[number], []
    while len(run):
        repeat = int(np.argmax(run != run[0])) if (run != run[0]).any() else len(run)
        whole = np.repeat(channels, repeat)
        if not np.array_equal(run[: len(whole)], whole):
            return None
        passes.append(repeat)
        run = run[len(whole) :]
    return passes
