"""From labels to groups: which channels always occur together, and how they tile each dimension."""

from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from growsearch.surgery.conditions import Condition, Formula, Size
from growsearch.surgery.labels import Bond, LabelTrace
from growsearch.surgery.remembering import plain
from growsearch.surgery.widths import Vector, Width, same, tiled


@dataclass(frozen=True)
class Segment:
    """Part of a dimension: a group's channels in turn, each ``repeat`` times, or ``fixed`` entries of a fixed group."""

    group: int
    repeat: int
    fixed: int = 0


@dataclass
class Layout:
    """The result of grouping.

    Attributes:
        axes: (tensor name, dimension) -> its segments.
        attributes: (module path, attribute, index or None) -> the segments that it counts.
        sizes: group -> number of channels.
        bonds: group -> what may be done with it.
        frozen: group -> None or why it may not be widened exactly.
        even: group -> None or why all of its channels must be copied equally often.
        unprunable: group -> None or why none of its channels may be cut.
        conditions: comparisons of the code whose outcome may depend on sizes of groups.
        groups: label -> group, -1 for none.
    """

    axes: dict[tuple[str, int], tuple[Segment, ...]]
    attributes: dict[tuple[str, str, int | None], tuple[Segment, ...]]
    sizes: list[int]
    bonds: list[Bond]
    frozen: list[str | None]
    even: list[str | None]
    unprunable: list[str | None]
    conditions: list[Condition]
    groups: Vector

    def tied(self, names: Iterable[str]) -> frozenset[str]:
        """Those of some tensors whose first dimension has entries that are tied all together."""
        parts = {name: self.axes.get((name, 0), ()) for name in names}
        return frozenset(n for n, each in parts.items() if any(self.unprunable[part.group] == _TIED for part in each))

    def stuck(self, but: Container[str] = ()) -> int:
        """Number of entries of all dimensions of matrices and larger tensors that cannot be cut, but for reasons."""
        large = [parts for (name, _), parts in self.axes.items() if (name, 1) in self.axes]
        reasons = [None if reason in but else reason for reason in self.unprunable]
        every = [part for parts in large for part in parts if reasons[part.group] is not None]
        return sum(part.fixed + part.repeat * self.sizes[part.group] for part in every)


def group(trace: LabelTrace) -> Layout:
    """Join the labels and group those that occur in the same dimensions equally often.

    A group's channels must come in the same order wherever it occurs, for a remap reorders all
    places alike; a group that does not is fixed.
    """
    label = _joined(trace)
    alike: dict[bytes, Vector] = {}  # many dimensions have the same channels
    axes = {axis: _interned(label[vector], alike) for axis, vector in trace.axes.items()}
    attributes = {key: _interned(label[vector], alike) for key, vector in trace.attributes.items()}
    groups = _refined(list(alike.values()), trace.count)
    sizes = np.bincount(groups[groups >= 0]).tolist()
    bonds = [Bond.FREE for _ in sizes]
    unprunable: list[str | None] = [None for _ in sizes]
    frozen: list[str | None] = [None for _ in sizes]
    even: list[str | None] = [None for _ in sizes]
    for vector, reason, bond in {(id(each[0]), *each[1:]): each for each in trace.frozen}.values():
        numbers = set(groups[label[vector]].tolist())
        if bond is Bond.EVEN and len(numbers) > 1:  # copies of some entries change a mean over all of them
            bond = Bond.CUT
        for each in numbers:
            if each >= 0:
                bonds[each] = max(bonds[each], bond)
                held = even if bond is Bond.EVEN else frozen
                held[each] = held[each] or reason
                if bond is Bond.FIXED:
                    unprunable[each] = unprunable[each] or reason
    order: dict[int, Vector] = {}

    def segmented() -> tuple[dict[Any, tuple[Segment, ...]], dict[Any, tuple[Segment, ...]]]:
        once: dict[tuple[Segment, ...], tuple[Segment, ...]] = {}  # an edit knows them by their identity
        every = ((id(vector), _segments(vector, groups, order, unprunable)) for vector in alike.values())
        found = {number: once.setdefault(parts, parts) for number, parts in every}
        ours = {axis: found[id(vector)] for axis, vector in axes.items()}
        return ours, {key: found[id(vector)] for key, vector in attributes.items()}

    segments = segmented()
    single = {each for each, size in enumerate(sizes) if size == 1 and unprunable[each] is None}
    for parts in segments[0].values() if single else ():
        single.difference_update(part.group for part, count in _counted(parts) if count == 1)
    for each in single:
        unprunable[each] = _TIED
    if {_DISORDER, _TIED}.intersection(unprunable):  # what was segmented before it froze is inert now
        segments = segmented()
        for each, why in enumerate(unprunable):
            if why in (_DISORDER, _TIED):
                bonds[each], frozen[each] = Bond.FIXED, frozen[each] or why
    of_label = groups[label]
    return Layout(*segments, sizes, bonds, frozen, even, unprunable, _conditions(trace, of_label, sizes), of_label)


def _interned(vector: Vector, alike: dict[bytes, Vector]) -> Vector:
    """The first one of vectors with the same entries."""
    return alike.setdefault(vector.tobytes(), vector)


def _conditions(trace: LabelTrace, groups: Vector, sizes: list[int]) -> list[Condition]:
    """The comparisons that were noted, with groups in place of labels; each once, those of fixed numbers left out."""

    def resolved(number: Any) -> Formula:
        if isinstance(number, Width):
            vector = number.vector if number.attribute is None else trace.attributes.get(number.attribute)
            if vector is None:
                return number.plain
            members, counts = np.unique(groups[vector], return_counts=True)
            known = [(int(each), int(n) // sizes[each]) for each, n in zip(members, counts, strict=True) if each >= 0]
            fixed = int(counts[members < 0].sum())
            return Size(tuple(known), fixed, number.parts, number.times)
        formula = getattr(number, "formula", None)
        if formula is not None:
            return formula[0], resolved(formula[1]), resolved(formula[2])
        return plain(number)

    formulas = dict.fromkeys((operate, resolved(a), resolved(b)) for operate, a, b in trace.comparisons)
    return [each for each in map(Condition.of, formulas) if each.groups]


_DISORDER = "its channels come in different orders"
_TIED = "views and splits tie all its entries together"
"""How the entries of several channels would lie cannot be told from one."""


def _counted(parts: tuple[Segment, ...]) -> list[tuple[Segment, int]]:
    """Each segment with the number of its dimension's entries that one channel of its group has."""
    total = Counter[int]()
    for part in parts:
        total[part.group] += part.repeat
    return [(part, total[part.group]) for part in parts]


def _joined(trace: LabelTrace) -> Vector:
    """Label -> the number of its class under all joins.

    Vectors that must stay equally long are joined too, unless they have the same channels equally often.
    """
    label, waiting = _classes(trace.joins, trace.count, set(map(id, trace.axes.values()))), trace.equal
    while True:
        if trace.measure_multiples(label):
            waiting = trace.equal
        apart = (place for place, pair in enumerate(waiting) if not _same_channels(*(label[each] for each in pair)))
        place = next(apart, None)
        if place is not None:
            label = _merged(label, [waiting[place]])
            waiting = waiting[place + 1 :]  # those before it still have the same channels
            continue
        tied = trace.tie_multiples()
        if not tied:
            return label
        label, waiting = _merged(label, tied), trace.equal


def _same_channels(first: Vector, second: Vector) -> bool:
    """Whether two vectors have the same entries equally often."""
    return same(first, second) or same(np.sort(first), np.sort(second))


def _merged(label: Vector, joins: list[tuple[Vector, Vector]]) -> Vector:
    """Labels of classes after more joins."""
    pairs = [np.stack((label[first], label[second])) for first, second in joins]
    return _connected(np.concatenate(pairs, axis=1), len(label))[label]


def _classes(joins: list[tuple[Vector, Vector]], count: int, own: Container[int] = ()) -> Vector:
    """Label -> a label of its class, the same one for all of a class.

    Nearly every join is of a tensor's own labels, which come one after another, with labels that were given out
    before: each of these then points to the one it is joined with. The others are edges of a graph.

    Args:
        joins: pairs of equally long vectors of labels.
        count: number of labels.
        own: identities of vectors whose labels come one after another.
    """
    every, label = np.arange(count), np.arange(count)
    pointing, edges = dict[int, int](), list[tuple[Vector, Vector]]()
    for first, second in {(id(a), id(b)): (a, b) for a, b in joins if len(a)}.values():
        old, new = (first, second) if first[0] < second[0] else (second, first)
        start, stop = int(new[0]), int(new[-1]) + 1
        in_turn = id(new) in own or same(new, every[start:stop])
        last = old[-1] if id(old) in own else old.max()
        if in_turn and last < start and same(new, label[start:stop]):
            label[start:stop], pointing[start] = old, stop
        elif not in_turn or not same(old, label[start:stop]):  # as it is in the other mode
            edges.append((first, second))
    for start, stop in sorted(pointing.items()):  # what they point to comes before them
        label[start:stop] = label[label[start:stop]]
    pairs = np.concatenate([np.stack((label[a], label[b])) for a, b in edges] or [np.empty((2, 0), np.int64)], axis=1)
    pairs = pairs[:, pairs[0] != pairs[1]]
    return _connected(pairs, count)[label] if pairs.size else label


def _connected(pairs: Vector, count: int) -> Vector:
    """Label -> the smallest label of its part of a graph, for the edges between pairs of labels (2, edges).

    In each turn the larger root of every edge gets the smaller one, then each label its root.
    """
    label = np.arange(count)
    while True:
        ends = label[pairs]
        if same(*ends):
            return label
        np.minimum.at(label, ends.max(0), ends.min(0))
        while not same(roots := label[label], label):
            label = roots


def _refined(axes: list[Vector], count: int) -> Vector:
    """Class -> group, -1 for a class that no axis has: equal counts in every axis make a group.

    A class's counts are compared by a sum of random multiples of them, one multiple an axis.
    """
    groups = np.full(count, -1)
    if not axes:
        return groups
    classes = np.concatenate(axes)
    where = np.repeat(np.arange(len(axes)), [len(vector) for vector in axes])
    pairs, times = np.unique(where * count + classes, return_counts=True)
    multiples = np.random.default_rng(0).integers(1, 2**63, len(axes), dtype=np.uint64)
    counts = np.zeros(count, np.uint64)
    np.add.at(counts, pairs % count, multiples[pairs // count] * times.astype(np.uint64))
    _, first, part = np.unique(counts[classes], return_index=True, return_inverse=True)
    groups[classes] = np.argsort(np.argsort(first))[part]
    return groups


def _segments(vector: Vector, groups: Vector, order: dict[int, Vector], fixed: list[str | None]) -> tuple[Segment, ...]:
    """Cut a dimension into runs of one group each, and these into whole passes through the group."""
    member = groups[vector]
    starts = [0, *((member[1:] != member[:-1]).nonzero()[0] + 1).tolist()] if len(vector) else []
    segments: list[Segment] = []
    for start, stop in pairwise([*starts, len(vector)]):
        run, number = vector[start:stop], int(member[start])
        passes = None if fixed[number] else _passes(run, number, order)
        if passes is None:
            fixed[number] = fixed[number] or _DISORDER
            segments.append(Segment(number, 0, len(run)))
        else:
            kinds = {repeat: Segment(number, repeat) for repeat in passes}
            segments.extend(kinds[repeat] for repeat in passes)
    return tuple(segments)


def _passes(run: Vector, number: int, order: dict[int, Vector]) -> list[int] | None:
    """Number of times each pass through the group repeats its channels; None if a pass is not whole or not in order."""
    if number not in order:
        order[number] = run[np.sort(np.unique(run, return_index=True)[1])]
    channels, passes = order[number], list[int]()
    if len(run) == len(channels) and run.tobytes() == channels.tobytes():  # as nearly always
        return [1]
    while len(run):
        repeat = int(np.argmax(run != run[0])) or len(run)
        whole = np.repeat(channels, repeat)
        times, rest = divmod(len(run), len(whole))
        if times > 1 and not rest and same(run, tiled(whole, times)):  # as nearly all the others
            return [*passes, *[repeat] * times]
        if not same(run[: len(whole)], whole):
            return None
        passes.append(repeat)
        run = run[len(whole) :]
    return passes
