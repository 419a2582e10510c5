"""Operators that only move entries: views, transposes, concatenation, splitting."""

from math import prod
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from growsearch.surgery.operators import Call, normal, rule

if TYPE_CHECKING:
    from growsearch.surgery.labels import LabelTrace


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten")
def view(trace: "LabelTrace", call: Call) -> None:
    """Dimensions that stay keep their labels; channels merged with space are repeated or tiled."""
    x = call["self"]
    labels = trace.get(x)
    out: list[np.ndarray | None] = [None] * call.out.dim()
    for old, new in blocks(x.shape, call.out.shape):
        marked = {dim: vector for dim in old if (vector := labels[dim]) is not None}
        if not marked:
            continue
        first, channels = next(iter(marked.items()))
        before = prod(x.shape[dim] for dim in old if dim < first)
        target = [dim for dim in new if call.out.shape[dim] != 1] or new[:1]
        if len(marked) == 1 and len(target) == 1 and (before == 1 or old[0] != 0):
            after = prod(x.shape[dim] for dim in old if dim > first)
            out[target[0]] = np.tile(np.repeat(channels, after), before)
            continue
        for vector in marked.values():
            trace.freeze(vector, "reshaped across channels")
    trace.put(call.out, tuple(out))


def blocks(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Pair up the smallest runs of dimensions of equal size.

    ``blocks((2, 8, 3, 3), (2, 72))`` is ``[([0], [0]), ([1, 2, 3], [1])]``.
    """
    pairs = []
    i = j = 0
    while i < len(old) and j < len(new):
        left, right = [i], [j]
        while prod(old[d] for d in left) != prod(new[d] for d in right):
            if prod(old[d] for d in left) < prod(new[d] for d in right):
                left.append(left[-1] + 1)
            else:
                right.append(right[-1] + 1)
        pairs.append((left, right))
        i, j = left[-1] + 1, right[-1] + 1
    # Dimensions of size one may be left over on either side; a labelled one has nowhere to go.
    if i < len(old):
        pairs.append((list(range(i, len(old))), []))
    return pairs


@rule("permute", "transpose", "t", "unsqueeze", "squeeze", "expand")
def rearrange(trace: "LabelTrace", call: Call) -> None:
    """Each dimension of the output is one of the input, or new."""
    x, ndim = call["self"], call["self"].dim()
    order = _order(call, ndim)
    labels = trace.get(x)
    for gone in set(range(ndim)) - set(order):
        trace.freeze(labels[gone], "a single channel squeezed away")
    out = []
    for size, dim in zip(call.out.shape, order, strict=True):
        vector = None if dim is None else labels[dim]
        if vector is not None and len(vector) != size:
            trace.freeze(vector, "a single channel spread over many")
            vector = None
        out.append(vector)
    trace.put(call.out, tuple(out))
    origin = trace.origin(x)
    if origin is not None and call.name in ("t", "transpose", "permute"):
        trace.put_origin(call.out, origin[0], tuple(origin[1][dim] for dim in order if dim is not None))


def _order(call: Call, ndim: int) -> list[int | None]:
    """The input's dimension behind each of the output's."""
    order: list[int | None] = list(range(ndim))
    if call.name == "permute":
        return list(normal(call["dims"], ndim))
    if call.name in ("t", "transpose"):
        if ndim > 1:
            a, b = (0, 1) if call.name == "t" else normal([call["dim0"], call["dim1"]], ndim)
            order[a], order[b] = order[b], order[a]
    elif call.name == "unsqueeze":
        order.insert(call["dim"] % (ndim + 1), None)
    elif call.name == "squeeze":
        gone = [d for d in normal(call.get("dim"), ndim) if call["self"].shape[d] == 1]
        order = [d for d in order if d not in gone]
    elif call.name == "expand":
        order = [*[None] * (call.out.dim() - ndim), *order]
    return order


@rule("cat", "concat", "concatenate")
def cat(trace: "LabelTrace", call: Call) -> None:
    """Vectors of labels are concatenated as their tensors are."""
    tensors: list[Tensor] = [t for t in call["tensors"] if t.dim() == call.out.dim()]
    (along,) = normal(call["dim"], call.out.dim())
    out: list[np.ndarray | None] = []
    for dim in range(call.out.dim()):
        vectors = [trace.get(tensor)[dim] for tensor in tensors]
        if dim != along:
            out.append(trace.join(*vectors))
        elif all(vector is None for vector in vectors):
            out.append(None)
        else:
            sizes = [tensor.shape[dim] for tensor in tensors]
            fixed = "concatenated with channels of fixed number"
            pieces = [trace.fixed(n, fixed) if v is None else v for v, n in zip(vectors, sizes, strict=True)]
            out.append(np.concatenate(pieces))
    trace.put(call.out, tuple(out))


@rule("stack")
def stack(trace: "LabelTrace", call: Call) -> None:
    """A new dimension of fixed size; the others meet."""
    labels = [trace.get(tensor) for tensor in call["tensors"]]
    out = [trace.join(*vectors) for vectors in zip(*labels, strict=True)]
    out.insert(call["dim"] % call.out.dim(), None)
    trace.put(call.out, tuple(out))


@rule("split", "split_with_sizes", "chunk", "unbind")
def split(trace: "LabelTrace", call: Call) -> None:
    """Equal parts stay equal: the same place of every part is one channel. Other parts freeze."""
    x = call["self"]
    labels = trace.get(x)
    (along,) = normal(call["dim"], x.dim())
    vector, sizes = labels[along], [] if call.name == "unbind" else [part.shape[along] for part in call.out]
    if vector is not None and len(set(sizes)) == 1:
        trace.join(vector, np.tile(vector[: sizes[0]], len(sizes)))
    else:
        trace.freeze(vector, "split into parts of set sizes")
    start = 0
    for index, part in enumerate(call.out):
        rest = list(labels)
        if call.name == "unbind":
            del rest[along]
        elif vector is not None:
            rest[along] = vector[start : start + sizes[index]]
            start += sizes[index]
        trace.put(part, tuple(rest))


@rule("slice", "narrow")
def slice_(trace: "LabelTrace", call: Call) -> None:
    """A cut through channels freezes them: the code decides where it lies."""
    labels = list(trace.get(call["self"]))
    (along,) = normal(call["dim"], len(labels))
    vector = labels[along]
    if vector is not None and call.out.shape[along] != len(vector):
        trace.freeze(vector, "sliced across channels")
        labels[along] = None
    trace.put(call.out, tuple(labels))


@rule("select")
def select(trace: "LabelTrace", call: Call) -> None:
    """Takes one entry of a dimension."""
    labels = list(trace.get(call["self"]))
    (along,) = normal(call["dim"], len(labels))
    trace.freeze(labels.pop(along), "one channel selected by its number")
    trace.put(call.out, tuple(labels))


@rule("constant_pad_nd")
def pad(trace: "LabelTrace", call: Call) -> None:
    """Padding with channels adds a fixed number of them."""
    labels = list(trace.get(call["self"]))
    for index in range(len(call["pad"]) // 2):
        before, after = call["pad"][2 * index : 2 * index + 2]
        dim = len(labels) - 1 - index
        vector = labels[dim]
        if vector is not None and (before < 0 or after < 0):
            trace.freeze(vector, "cropped across channels")
            labels[dim] = None
        elif vector is not None and (before or after):
            ends = [trace.fixed(n, "channels of padding") for n in (before, after)]
            labels[dim] = np.concatenate([ends[0], vector, ends[1]])
    trace.put(call.out, tuple(labels))
