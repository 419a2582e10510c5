"""Channel labels of tensors while a network runs, and what the run says about them.

A *label* is the identity of one channel. Every parameter and buffer gets fresh labels on each of
its dimensions; operators carry them to activations and say which labels must be the same channel
(`join`) and what may not be done with them (`freeze`). A dimension without labels (`None`: batch,
space, a constant) has a size that no edit changes.
"""

import operator
from collections import defaultdict
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from growsearch.surgery.remembering import Comparison, plain
from growsearch.surgery.results import Results
from growsearch.surgery.widths import Vector, Width, factor_counting, factors_of, one_share, same, tiled
from growsearch.surgery.written import Code

Labels: TypeAlias = tuple[Vector | None, ...]
"""One vector, or None, for each dimension of a tensor."""
Origin: TypeAlias = tuple[str, tuple[int | None, ...]]
"""Name of a parameter, and which of its dimensions, if any, each dimension of a tensor is."""


Draws: TypeAlias = list[tuple[str, tuple[bool, ...]]]
"""For each draw of a run the operator, and for each dimension of what it drew whether that is one of channels."""


class Bond(IntEnum):
    """Permission of an operator for changes of channels; the strictest one of a group's operators counts."""

    FREE = 0
    """Any channel may be copied any number of times: whoever reads the copies is divided among them."""
    EVEN = 1
    """Exact only if all channels are copied equally often, as under a mean over them; any channel may be cut."""
    CUT = 2
    """Copies change what is computed (a sum, a softmax); any channel may be cut, and all be permuted."""
    ORDERED = 3
    """Channels may be cut, but their order has a meaning (a convolution along the channels)."""
    FIXED = 4
    """No channel may be added or cut."""


MOST_KNOWN = 4096
"""Up to so many entries of a tensor of the meta device are kept beside it."""


ALONE = "scores of a single entry, or hidden by a mask, which tell nothing of its channels; take another example"
"""Why channels of queries and keys cannot be proven."""


class LabelTrace:
    """The labels of every tensor of one run, and what operators said about them.

    Args:
        tensors: the network's distinct parameters and buffers by name.
        heads: where code splits channels by two numbers that it holds, the outer one follows the channels: whole
            heads come and go, not places inside of them.
        whole: names of weights of grouped convolutions whose blocks come and go, not places inside of them.
        shortest: of several dimensions of channels that a view merges, the shortest one is followed, not the longest.
        held: where code splits channels by a number that it holds and, outside of it, by what is left (-1), the one
            follows them, not the other: the size of heads, not their number.

    Attributes:
        axes: (tensor name, dimension) -> the labels it was given.
        attributes: (module path, attribute, index in a tuple or None) -> the labels that it counts.
        roles: (tensor name, dimension) -> what operators used it as.
        joins: pairs of equally long vectors of labels that are the same channels.
        equal: pairs of vectors that must stay equally long.
        multiples: sizes written as some times another, with labels that were not yet that many times the same.
        frozen: vectors of labels with what they allow and the reason, in the order found.
        count: number of labels given out.
        written: sizes that the code passes to the operator that runs now, where they are known.
        merges: whether a view merged several dimensions of channels.
        leaves: whether a view split channels by a number that the code holds and by what is left.
        chunks: number of parts that the code asks for, while ``chunk`` runs.
        whole: names of weights of grouped convolutions whose blocks are the channels.
        blocked: name of each other such weight -> the labels of its outputs.
        grouped: dimensions of depthwise weights whose number of groups the code takes from their channels.
        comparisons: what the code compares with a size.
        code: what is written in the network's code.
        chosen: whether the code read numbers after it had drawn some, as to choose by.
        chance: whether chance decides which operators run.
        keeps: whether a run left tensors with channels, or their number, in the network, which another run may use.
        operators: what ran, in order.
        results: how large what the operators made is.
        steps: of the longest sequence that a recurrent layer was given.
        given: id of a tensor that was made of one of the network's inputs alone, whole numbers -> that input's place.
        scores: id of a tensor -> channels that were summed over for it, without a parameter.
        rows: place of an input -> fewest rows of the tables in which its entries are looked up.
        draws: names of operators that drew, with what they drew.
        drawn_in: train mode or not -> what :meth:`drawn` said of it.
        values: id of a tensor -> its entries, where these depend on neither weights nor inputs: draws and constants.
    """

    def __init__(
        self,
        tensors: dict[str, Tensor],
        heads: bool = False,
        whole: frozenset[str] = frozenset(),
        shortest: bool = False,
        held: bool = False,
    ) -> None:
        self.heads, self.shortest, self.merges = heads, shortest, False
        self.held, self.leaves = held, False
        self.axes: dict[tuple[str, int], Vector] = {}
        self.attributes: dict[tuple[str, str, int | None], Vector] = {}
        self.roles: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.joins: list[tuple[Vector, Vector]] = []
        self.equal: list[tuple[Vector, Vector]] = []
        self.multiples: list[tuple[int, Vector]] = []
        self.frozen: list[tuple[Vector, str, Bond]] = []
        self.count = 0
        self.written: tuple[int, ...] | None = None
        self.chunks: int | None = None
        self.whole = whole
        self.blocked: dict[str, Vector] = {}
        self.grouped: set[tuple[str, int]] = set()
        self.comparisons: list[Comparison] = []
        self.code = Code()
        self.keeps = self.chance = self.chosen = False
        self.operators: list[Any] = []
        self.results = Results()
        self.steps = 0
        self.given: dict[int, int] = {}
        self.scores: dict[int, list[Vector]] = {}
        self.rows: dict[int, int] = {}
        self.draws: list[tuple[str, Tensor]] = []
        self.drawn_in: dict[bool, Draws] = {}
        self.values: dict[int, Tensor] = {}
        self._parts: dict[int, tuple[Vector, str]] = {}
        self._labels: dict[int, Labels] = {}
        self._origin: dict[int, Origin] = {}
        self._fixed: set[int] = set()
        self._padded: dict[int, Vector] = {}
        self._alive: list[Any] = []  # an id is only unique while its object lives
        for name, tensor in tensors.items():
            vectors = tuple(map(self.new, tensor.shape))
            for dim, vector in enumerate(vectors):
                self.axes[name, dim] = vector
            self.put(tensor, vectors)
            self.put_origin(tensor, name, tuple(range(len(vectors))))

    def new(self, size: int) -> Vector:
        """Labels that no other tensor has."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def get(self, tensor: Tensor) -> Labels:
        """The labels of a tensor; all None if no operator gave it any."""
        found = self._labels.get(id(tensor))
        return found if found is not None else (None,) * tensor.dim()

    def put(self, tensor: Tensor, labels: Labels) -> None:
        """Label a tensor."""
        for vector, size in zip(labels, tensor.shape, strict=True):
            assert vector is None or len(vector) == size
        self._alive.append(tensor)
        self._labels[id(tensor)] = labels

    def note(self, func: Any, made: list[Tensor]) -> None:
        """Keep what ran, and how large its results are."""
        self.operators.append(func)
        for tensor in made:
            if id(tensor) not in self._origin:  # views of weights take no memory
                self.results.note(tensor, self.get(tensor))

    def drawn(self) -> Draws:
        """What was drawn since this was last asked, and of which dimensions an edit may change the size."""
        found, self.draws = self.draws, []
        return [
            (name, tuple(vector is not None and not self.is_fixed(vector) for vector in self.get(tensor)))
            for name, tensor in found
        ]

    def origin(self, tensor: Tensor) -> Origin | None:
        """The parameter that this tensor is, or is a part or another view of."""
        return self._origin.get(id(tensor))

    def put_origin(self, tensor: Tensor, name: str, dims: tuple[int | None, ...]) -> None:
        """Note that a tensor has entries of a parameter alone, with its dimensions in this order."""
        self._alive.append(tensor)
        self._origin[id(tensor)] = (name, dims)

    def pass_origin(self, x: Tensor, out: Tensor, order: Sequence[int | None]) -> None:
        """Note that a tensor has entries of another alone; each of its dimensions is one of the other, or None."""
        origin = self.origin(x)
        if origin is not None and tuple(order) != (None,) * len(order):
            self.put_origin(out, origin[0], tuple(None if dim is None else origin[1][dim] for dim in order))

    def play(self, tensor: Tensor, dim: int, role: str) -> bool:
        """Note the role in which a parameter's dimension is used; False if the dimension is none of a parameter."""
        origin = self.origin(tensor)
        known = origin[1][dim] if origin is not None and origin[1] else None
        if origin is None or known is None:
            return False
        self.roles[origin[0], known].add(role)
        return True

    def freeze(self, vector: Vector | None, reason: str, bond: Bond = Bond.FIXED) -> None:
        """Limit what may be done with these labels' channels."""
        if vector is not None and len(vector):
            self.frozen.append((vector, reason, bond))
            if bond is Bond.FIXED:
                self._fixed.add(id(vector))
                self._alive.append(vector)

    def leave_alone(self, vectors: Sequence[Vector | None]) -> None:
        """Note channels of queries and keys whose scores, of one entry each, do not show what they are."""
        self.frozen[:0] = [(vector, ALONE, Bond.CUT) for vector in vectors if vector is not None]

    def freeze_all(self, tensors: list[Tensor], reason: str) -> None:
        """Forbid any change of every dimension of these tensors."""
        for tensor in tensors:
            for vector in self.get(tensor):
                self.freeze(vector, reason)

    def leave(self, outputs: list[Tensor]) -> None:
        """Note what leaves the network: the first reason, for shares leave these channels out."""
        found = len(self.frozen)
        self.freeze_all(outputs, "network output")
        self.frozen[:0] = self.frozen[found:]

    def defer(self, tensor: Tensor, vector: Vector, reason: str) -> None:
        """Freeze labels when the entries of a tensor, a part of theirs, are used; its shape may be."""
        self._alive.append(tensor)
        self._parts[id(tensor)] = vector, reason

    @property
    def defers(self) -> bool:
        """Whether anything was deferred."""
        return bool(self._parts)

    def give(self, numbers: Tensor, place: int) -> None:
        """Note an input of whole numbers."""
        self._alive.append(numbers)
        self.given[id(numbers)] = place

    def look_up(self, table: Tensor, numbers: Tensor) -> None:
        """Note that rows of a table are looked up."""
        place = self.given.get(id(numbers))
        if place is not None:
            self.rows[place] = min(self.rows.get(place, table.shape[0]), table.shape[0])

    @property
    def hands_on(self) -> bool:
        """Whether there are scores, or whole numbers of inputs."""
        return bool(self.scores or self.given)

    def hand_on(self, tensors: list[Tensor], out: Any, scores: bool) -> None:
        """Note that a result was made of an input's whole numbers alone, or of scores, if it was."""
        found = [vector for tensor in tensors for vector in self.scores.get(id(tensor), ())] if scores else []
        if found and isinstance(out, Tensor):
            self._alive.append(out)
            self.scores[id(out)] = list({id(vector): vector for vector in found}.values())
        if self.given and len(tensors) == 1 and id(tensors[0]) in self.given and isinstance(out, Tensor):
            self.give(out, self.given[id(tensors[0])])

    def settle(self, tensors: list[Tensor]) -> None:
        """Carry out what was deferred until one of these tensors is used."""
        for tensor in tensors if self.defers else ():
            self.freeze(*self._parts.get(id(tensor), (None, "")))

    def read(self, tensor: Tensor) -> Tensor:
        """What stands for a tensor whose entries the code wants as numbers: its entries, if they are known."""
        value = self.values.get(id(tensor))
        self.chosen = self.chosen or bool(value is not None and self.draws)
        return tensor if value is None else value

    def give_value(self, tensor: Tensor, value: Tensor | None) -> None:
        """Note the entries of a tensor of the meta device; with None, that they and their views are unknown now."""
        if value is not None and value.numel() <= MOST_KNOWN:
            self._alive.append(tensor)
            self.values[id(tensor)] = value
        elif id(tensor) in self.values:
            place = self.values[id(tensor)].untyped_storage().data_ptr()
            self.values = {n: v for n, v in self.values.items() if v.untyped_storage().data_ptr() != place}

    def is_fixed(self, vector: Vector) -> bool:
        """Whether this very vector is known to be of fixed size."""
        return id(vector) in self._fixed

    def join(self, *vectors: Vector | None) -> Vector | None:
        """Make vectors of one length the same channels; against a dimension of fixed size all freeze."""
        known = [vector for vector in vectors if vector is not None]
        for other in known[1:]:
            if other is not known[0]:
                self.joins.append((known[0], other))
        if known and len(known) < len(vectors):
            self.freeze(known[0], "combined with a dimension of fixed size")
        return known[0] if known else None

    def fixed(self, size: int, reason: str) -> Vector:
        """Labels for entries that exist whatever the channels are (padding, coordinates)."""
        vector = self.new(size)
        self.freeze(vector, reason)
        return vector

    def pad(self, padded: Vector, vector: Vector) -> None:
        """Note that channels were padded with entries of fixed number."""
        self._alive.append(padded)
        self._padded[id(padded)] = vector

    def unpadded(self, vector: Vector | None, size: int) -> Vector | None:
        """The channels inside padded ones, if a window that slides over them gives as many; else None."""
        inside = self._padded.get(id(vector))
        return inside if inside is not None and len(inside) == size else None

    def blocks(self, vector: Vector, count: int) -> Vector:
        """The first of ``count`` equal blocks; the same place of every block becomes one channel."""
        first = vector[: len(vector) // count]
        if count > 1:
            self.join(vector, tiled(first, count))
        return first

    def runs(self, vector: Vector, length: int) -> Vector:
        """Each ``length`` successive entries become one channel."""
        heads = vector[::length]
        if length > 1:
            self.join(vector, np.repeat(heads, length))
        return heads

    def counted(self, width: int) -> Vector | None:
        """Labels of as many entries, for whole sizes, or some times one, that remember where they come from.

        How the labels of the latter lie shows where they meet others.
        """
        if not isinstance(width, Width) or width.parts != 1:
            return None
        if width.attribute is not None and width.attribute not in self.attributes:
            self.attributes[width.attribute] = self.new(width.plain // width.times)
        vector = self.attributes.get(width.attribute) if width.attribute is not None else width.vector
        if vector is None or len(vector) * width.times != width.plain:
            return None
        if width.times == 1:
            return vector
        several = self.new(width.plain)
        self.multiples.append((width, several))
        return several

    def measure(self, width: int, vector: Vector | None) -> None:
        """Note that the code sizes these labelled entries by ``width``, which must stay true after an edit."""
        if vector is None or plain(width) != len(vector):
            return
        if isinstance(width, Width) and width.times == 1:
            self._follow(width, vector)
        elif factors_of(width) or isinstance(width, Width):  # as heads of all samples, or channels of all places
            self.multiples.append((width, vector))

    def measure_multiples(self, label: Vector) -> bool:
        """Whether some of what was written as a multiple turned out to be that many times the same channels.

        Args:
            label: for each label the number of its class, under what is joined so far.
        """
        waiting, self.multiples = self.multiples, []
        for width, vector in waiting:
            followed = width if isinstance(width, Width) else factor_counting(width, label[vector], self.attributes)
            times = plain(width) // plain(followed) * followed.times if followed is not None else len(vector)
            once = one_share(label[vector], times) if followed is not None else None
            if followed is None or once is None:
                self.multiples.append((width, vector))
            else:
                self._follow(followed, vector[once])
        return len(self.multiples) < len(waiting)

    def tie_multiples(self) -> list[tuple[Vector, Vector]]:
        """Tie what is written as a multiple and is none yet: that many blocks of the same channels; the new joins."""
        waiting, self.multiples, found = self.multiples, [], len(self.joins)
        for width, vector in waiting:
            if isinstance(width, Width) and len(vector) % width.times == 0:
                self._follow(width, self.blocks(vector, width.times))
        return self.joins[found:]

    def _follow(self, width: Width, vector: Vector) -> None:
        """Let the attribute or the labels that a size comes from count these."""
        if width.attribute is not None:
            whole = tiled(vector, width.parts) if width.parts > 1 else vector
            self._equal(self.attributes.setdefault(width.attribute, whole), whole)
        elif width.vector is not None and len(width.vector) == len(vector) * width.parts:
            self._equal(width.vector, tiled(vector, width.parts))

    def measure_compared(self) -> None:
        """Let numbers that modules hold, and that the code found equal to a width, stay so."""
        for operate, *pair in self.comparisons:
            if operate in (operator.eq, operator.ne) and all(isinstance(each, Width) for each in pair):
                held, width = sorted(pair, key=lambda each: each.attribute is None)
                if held.attribute is not None and width.attribute is None and held.parts == width.parts == width.times:
                    self.measure(held, width.vector)

    def _equal(self, first: Vector, second: Vector) -> None:
        if first is not second and not same(first, second):
            self.equal.append((first, second))
