"""Channel labels of tensors while a network runs, and what the run says about them.

A *label* is the identity of one channel. Every parameter and buffer gets fresh labels on each of
its dimensions; operators carry them to activations and say which labels must be the same channel
(`join`) and which may not change (`freeze`). A dimension without labels (`None`: batch, space, a
constant) has a size that no edit changes.
"""

from collections import defaultdict
from typing import Any, TypeAlias

import numpy as np
from torch import Tensor

from growsearch.dispatch import DispatchMode
from growsearch.surgery.operators import Call, rule_of

Vector: TypeAlias = np.ndarray
"""One label (int64) for each entry of a dimension."""
Labels: TypeAlias = tuple[Vector | None, ...]
"""One vector, or None, for each dimension of a tensor."""


class LabelTrace(DispatchMode):
    """Pushes labels through every operator that runs under it.

    Args:
        tensors: the network's distinct parameters and buffers by name.

    Attributes:
        axes: (tensor name, dimension) -> the labels it was given.
        roles: (tensor name, dimension) -> what operators used it as.
        joins: pairs of equally long vectors of labels that are the same channels.
        frozen: vectors of labels that may not change, with the reason, in the order found.
        count: number of labels given out.
    """

    def __init__(self, tensors: dict[str, Tensor]) -> None:
        super().__init__()
        self.axes: dict[tuple[str, int], Vector] = {}
        self.roles: dict[tuple[str, int], set[str]] = defaultdict(set)
        self.joins: list[tuple[Vector, Vector]] = []
        self.frozen: list[tuple[Vector, str]] = []
        self.count = 0
        self._labels: dict[int, Labels] = {}
        self._origin: dict[int, tuple[str, tuple[int, ...]]] = {}
        self._alive: list[Tensor] = []  # an id is only unique while its tensor lives
        for name, tensor in tensors.items():
            vectors = tuple(self.new(size) for size in tensor.shape)
            self.axes.update({(name, dim): vector for dim, vector in enumerate(vectors)})
            self.put(tensor, vectors)
            self.put_origin(tensor, name, tuple(range(tensor.dim())))

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        rule_of(func)(self, Call(func, args, kwargs or {}, out))
        return out

    def new(self, size: int) -> Vector:
        """Labels that no other tensor has."""
        self.count += size
        return np.arange(self.count - size, self.count)

    def get(self, tensor: Tensor) -> Labels:
        """The labels of a tensor; all None if no operator gave it any."""
        return self._labels.get(id(tensor), (None,) * tensor.dim())

    def put(self, tensor: Tensor, labels: Labels) -> None:
        """Label a tensor."""
        assert tuple(len(v) if v is not None else n for v, n in zip(labels, tensor.shape, strict=True)) == tensor.shape
        self._alive.append(tensor)
        self._labels[id(tensor)] = labels

    def origin(self, tensor: Tensor) -> tuple[str, tuple[int, ...]] | None:
        """Name of the parameter that this tensor is, or is a transposed view of, and its dimensions in this order."""
        return self._origin.get(id(tensor))

    def put_origin(self, tensor: Tensor, name: str, dims: tuple[int, ...]) -> None:
        """Note that a tensor is a parameter with its dimensions in this order."""
        self._alive.append(tensor)
        self._origin[id(tensor)] = (name, dims)

    def play(self, tensor: Tensor, dim: int, role: str) -> bool:
        """Note the role in which a parameter's dimension is used; False if the tensor is no parameter."""
        origin = self.origin(tensor)
        if origin is not None:
            self.roles[origin[0], origin[1][dim]].add(role)
        return origin is not None

    def freeze(self, vector: Vector | None, reason: str) -> None:
        """Forbid any change of these labels' channels."""
        if vector is not None:
            self.frozen.append((vector, reason))

    def freeze_all(self, tensors: list[Tensor], reason: str) -> None:
        """Forbid any change of every dimension of these tensors."""
        for tensor in tensors:
            for vector in self.get(tensor):
                self.freeze(vector, reason)

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
