"""Operators that only move entries: views, transposes, concatenation, splitting."""

import operator
from math import prod

import numpy as np
from torch import Tensor

from growsearch.surgery.labels import LabelTrace
from growsearch.surgery.operators import Call, normal, rule
from growsearch.surgery.remembering import Computed, plain
from growsearch.surgery.widths import Vector, Width, same, tiled


@rule("view", "_unsafe_view", "reshape", "_reshape_alias", "flatten")
def view(trace: LabelTrace, call: Call) -> None:
    """Dimensions that stay keep their labels; channels merged with others are repeated, split ones are tied."""
    x = call["self"]
    labels, shape, sizes = trace.get(x), x.shape, call.out.shape
    written = trace.written if trace.written and len(trace.written) == len(sizes) else sizes
    out: list[Vector | None] = [None] * len(sizes)
    left: list[int] = []  # dimensions whose entries stay as many
    for old, new in blocks(shape, sizes):
        if len(old) == len(new) == 1:
            out[new[0]] = labels[old[0]]
            continue
        marked = {dim: vector for dim in old if (vector := labels[dim]) is not None}
        marked = {dim: vector for dim, vector in marked.items() if not trace.is_fixed(vector)}  # need not be followed
        for dim in [dim for dim in marked if len(marked) > 1 and shape[dim] == 1]:
            trace.freeze(marked.pop(dim), "a single channel squeezed away")
        trace.merges = trace.merges or len(marked) > 1
        lengths = sorted(marked, key=lambda dim: (shape[dim], dim), reverse=trace.heads is trace.shortest)
        for dim in lengths[1:]:  # of heads or experts and what is in each of them the longer one, or else the heads
            trace.freeze(marked.pop(dim), "reshaped across channels")
            left.append(dim)
        if len(marked) == 1:
            ((dim, vector),) = marked.items()
            after = prod(shape[d] for d in old if d > dim)
            placed = _placed(trace, vector, after, [sizes[d] for d in new], [written[d] for d in new])
            if placed is not None:
                out[new[placed[0]]] = placed[1]
                continue
        for vector in marked.values():
            trace.freeze(vector, "reshaped across channels")
    for width, vector in zip(written, out, strict=True):
        trace.measure(width, vector)
    trace.put(call.out, tuple(out))
    if trace.origin(x) is not None:
        known = [(dim, v) for dim, v in enumerate(labels) if v is not None and (not left or not trace.is_fixed(v))]
        order = [
            None if vector is None else next((dim for dim, each in known if _same(each, vector, bool(left))), None)
            for vector in out
        ]
        if all(dim in order for dim, _ in known):
            trace.pass_origin(x, call.out, order)
        for dim in range(x.dim()) if trace.origin(call.out) is None else ():
            trace.play(x, dim, "scale")


def _same(channels: Vector, vector: Vector, repeated: bool) -> bool:
    """Whether a dimension has just these channels, if need be each of them equally often."""
    if same(vector, channels):
        return True
    return repeated and same(np.sort(vector), np.repeat(np.sort(channels), len(vector) // len(channels)))


def _placed(
    trace: LabelTrace, vector: Vector, after: int, sizes: list[int], written: list[int]
) -> tuple[int, Vector] | None:
    """The one of a block's new dimensions that carries the channels, and its labels; None if none can.

    Args:
        trace: where ties are noted.
        vector: the labels of the only labelled dimension of the block.
        after: entries of the block that lie inside one channel.
        sizes: the block's new dimensions.
        written: the same as the code writes them.
    """
    if after == 1 and sizes == [len(vector)]:
        return 0, vector
    shares: list[tuple[int, int, int]] = []  # for each new dimension: its place, channels in it, channels inside those
    stride, count = 1, len(vector)
    for place in reversed(range(len(sizes))):
        low, high = max(stride, after), min(stride * sizes[place], after * count)
        if high > low:
            if high % low or low % stride or low % after or stride * sizes[place] % high:
                return None
            shares.append((place, high // low, low // after))
        stride *= sizes[place]
    if not shares:  # a single channel
        places = [d for d, n in enumerate(sizes) if n != 1] or [0] * bool(sizes)
        return (places[0], np.repeat(vector, sizes[places[0]])) if len(places) == 1 else None
    place, channels, inner = _merged(vector, shares) or _carrier(trace, shares, written)
    first = vector[: channels * inner]
    heads = trace.runs(trace.blocks(vector, count // len(first)), inner)
    inside = max(1, after // prod(sizes[place + 1 :]))
    return place, tiled(np.repeat(heads, inside), sizes[place] // (channels * inside))


def _merged(vector: Vector, shares: list[tuple[int, int, int]]) -> tuple[int, int, int] | None:
    """The dimension that was merged with others before, which this view undoes."""
    for place, channels, inner in shares:
        heads = vector[: channels * inner : inner]
        if same(tiled(np.repeat(heads, inner), len(vector) // (channels * inner)), vector):
            return place, channels, inner
    return None


def _carrier(trace: LabelTrace, shares: list[tuple[int, int, int]], written: list[int]) -> tuple[int, int, int]:
    """Channels follow the size that the code computes; if it writes all as numbers, the last one.

    If all are numbers that modules hold, and more than two, they are channels and sides of a map, and not heads.
    """
    held = [share for share in shares if getattr(written[share[0]], "attribute", None) is not None]
    if len(held) == len(shares) > 2:
        names = [getattr(written[share[0]], "attribute", None) for share in shares]
        once = [share for share, name in zip(shares, names, strict=True) if names.count(name) == 1]
        return (once if len(once) == 1 else shares)[-1]
    if trace.heads:  # the size of one is a number of the code's own, or what is left
        inner = written[shares[0][0]]
        outer = [share for share in shares[1:] if getattr(written[share[0]], "attribute", None) is not None]
        known = inner == -1 or getattr(inner, "attribute", None) is not None
        if outer and (known or getattr(inner, "parts", 1) == outer[0][1]):
            return outer[0]
    computed = [
        share for share in shares if written[share[0]] == -1 or getattr(written[share[0]], "vector", None) is not None
    ]
    if len(computed) == 1:
        left = bool(held) and written[computed[0][0]] == -1 and held[0][0] > computed[0][0]
        trace.leaves = trace.leaves or left
        return held[0] if left and trace.held else computed[0]
    attributes = [share for share in shares if isinstance(written[share[0]], Width)]
    return (computed or attributes or shares)[0]


def blocks(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[list[int], list[int]]]:
    """Pair up the smallest runs of dimensions of equal size.

    ``blocks((2, 8, 3, 3), (2, 72))`` is ``[([0], [0]), ([1, 2, 3], [1])]``.
    """
    pairs = []
    i = j = 0
    while i < len(old) and j < len(new):
        left, right, before, after = [i], [j], old[i], new[j]
        while before != after:
            if before < after:
                left.append(left[-1] + 1)
                before *= old[left[-1]]
            else:
                right.append(right[-1] + 1)
                after *= new[right[-1]]
        pairs.append((left, right))
        i, j = left[-1] + 1, right[-1] + 1
    # Dimensions of size one may be left over on either side; a labelled one has nowhere to go.
    if i < len(old):
        pairs.append((list(range(i, len(old))), []))
    return pairs


@rule("permute", "transpose", "transpose_", "t", "t_", "unsqueeze", "squeeze", "expand")
def rearrange(trace: LabelTrace, call: Call) -> None:
    """Each dimension of the output is one of the input, or new."""
    x, ndim = call["self"], call["self"].dim()
    order = _order(call, ndim)
    labels = trace.get(x)
    written = trace.written or () if call.name == "expand" else ()
    written = written if len(written) == len(order) else tuple(call.out.shape)
    for gone in set(range(ndim)) - set(order):
        trace.freeze(labels[gone], "a single channel squeezed away")
    out = []
    for size, width, dim in zip(call.out.shape, written, order, strict=True):
        vector = None if dim is None else labels[dim]
        if vector is not None and len(vector) != size:
            trace.freeze(vector, "a single channel spread over many")
            vector = None
        if vector is None and (dim is None or x.shape[dim] != size):
            vector = counted_part(trace, width, size)  # spread over as many entries as another tensor has channels
        out.append(vector)
    trace.put(call.out, tuple(out))
    trace.pass_origin(
        x,
        call.out,
        [None if dim is None or vector is not labels[dim] else dim for dim, vector in zip(order, out, strict=True)],
    )


def counted_part(trace: LabelTrace, width: int, size: int) -> Vector | None:
    """The channels that a written size counts: all of a tensor's or of an attribute's, or the first of equal parts."""
    if not isinstance(width, Width) or width.parts == 1:
        return trace.counted(width)
    vector = width.vector
    if vector is None or width.times != 1 or len(vector) != size * width.parts:
        return None
    return trace.blocks(vector, width.parts)


@rule("squeeze_", "unsqueeze_")
def rearrange_in_place(trace: LabelTrace, call: Call) -> None:
    """A dimension of one entry comes or goes: the tensor has its new shape already."""
    x, labels = call["self"], list(trace.get(call["self"]))
    if len(labels) == x.dim():
        return
    order: list[int | None] = list(range(len(labels)))
    if call.name == "unsqueeze_":
        order.insert(call["dim"] % x.dim(), None)
    else:
        gone = normal(call.get("dim"), len(labels))
        order = [dim for dim in order if dim not in gone]
        for dim in gone if len(order) == x.dim() else range(len(labels)):
            trace.freeze(labels[dim], "a single channel squeezed away")
        order = order if len(order) == x.dim() else [None] * x.dim()
    trace.put(x, tuple(None if dim is None else labels[dim] for dim in order))
    trace.pass_origin(x, x, order)


def _order(call: Call, ndim: int) -> list[int | None]:
    """The input's dimension behind each of the output's."""
    order: list[int | None] = list(range(ndim))
    if call.name == "permute":
        return list(normal(call["dims"], ndim))
    name = call.name.rstrip("_")
    if name in ("t", "transpose"):
        if ndim > 1:
            a, b = (0, 1) if name == "t" else normal([call["dim0"], call["dim1"]], ndim)
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
def cat(trace: LabelTrace, call: Call) -> None:
    """Vectors of labels are concatenated as their tensors are."""
    tensors: list[Tensor] = [t for t in call["tensors"] if t.dim() == call.out.dim()]
    (along,) = normal(call["dim"], call.out.dim())
    out: list[Vector | None] = []
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
def stack(trace: LabelTrace, call: Call) -> None:
    """A new dimension of fixed size; the others meet."""
    labels = [trace.get(tensor) for tensor in call["tensors"]]
    out = [trace.join(*vectors) for vectors in zip(*labels, strict=True)]
    out.insert(call["dim"] % call.out.dim(), None)
    trace.put(call.out, tuple(out))


@rule("split", "split_with_sizes", "chunk", "unbind", "unsafe_split", "unsafe_split_with_sizes", "unsafe_chunk")
def split(trace: LabelTrace, call: Call) -> None:
    """Equal parts stay equal: the same place of every part is one channel. Parts of set sizes freeze."""
    x = call["self"]
    labels = trace.get(x)
    (along,) = normal(call["dim"], x.dim())
    vector, sizes = labels[along], [] if call.name == "unbind" else [part.shape[along] for part in call.out]
    written = trace.written or ()
    if call.name == "unbind":
        trace.freeze(vector, "taken apart into single channels")
    elif vector is not None and len(set(sizes)) == 1 and not any(_is_rest(trace, n, vector, written) for n in written):
        first = trace.blocks(vector, len(sizes))
        for width in written:
            trace.measure(width, first)
    elif vector is not None and trace.chunks == len(sizes):
        _uneven(trace, np.split(vector, np.cumsum(sizes)[:-1]))
    elif vector is not None and len(written) == len(sizes) and any(isinstance(each, Computed) for each in written):
        for width, part in zip(written, np.split(vector, np.cumsum(sizes)[:-1]), strict=True):
            trace.measure(width, part)
            if not isinstance(width, Width) and not is_product(width) and not _is_rest(trace, width, vector, written):
                trace.freeze(part, "a part of set size")
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
        trace.pass_origin(x, part, [dim for dim in range(x.dim()) if dim != along or call.name != "unbind"])


def _uneven(trace: LabelTrace, parts: list[Vector]) -> None:
    """Parts of a chunk, the last of which is shorter: it stays so if all grow or shrink alike."""
    shared = len(parts[-1])
    for part in parts[:-1]:
        trace.join(parts[-1], part[:shared])
        trace.freeze(part[shared:], "more channels than the last part has")


def is_product(size: int) -> bool:
    """Whether the code multiplies two numbers that it holds, as of heads and of places in them; a view tells which."""
    operate, *factors = getattr(size, "formula", None) or (None,)
    return operate is operator.mul and all(getattr(each, "attribute", None) is not None for each in factors)


def _is_rest(trace: LabelTrace, size: int, vector: Vector, sizes: tuple[int, ...]) -> bool:
    """Whether one of two sizes is what the other one leaves of all channels, by the code."""
    formula = getattr(size, "formula", None)
    if formula is None or formula[0] is not operator.sub or len(sizes) != 2:
        return False
    _, whole, part = formula
    if not isinstance(whole, Width) or whole.plain != len(vector) or plain(part) not in map(plain, sizes):
        return False
    trace.measure(whole, vector)
    return True


@rule("constant_pad_nd")
def pad(trace: LabelTrace, call: Call) -> None:
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
            labels[dim] = padded = np.concatenate([ends[0], vector, ends[1]])
            trace.pad(padded, vector)
    trace.put(call.out, tuple(labels))


@rule("repeat")
def repeat(trace: LabelTrace, call: Call) -> None:
    """Whole tensors side by side; a single entry may be repeated as often as another tensor has channels."""
    x = call["self"]
    new = call.out.dim() - x.dim()
    known, written = (*[None] * new, *trace.get(x)), trace.written or ()
    out: list[Vector | None] = []
    for dim, (vector, times) in enumerate(zip(known, call["repeats"], strict=True)):
        origin = counted_part(trace, written[dim], call.out.shape[dim]) if len(written) == len(known) else None
        if origin is not None:
            trace.freeze(vector, "a single channel spread over many")
            vector = origin
        elif vector is not None:
            vector = np.tile(vector, times)
        out.append(vector)
    trace.put(call.out, tuple(out))


@rule("pixel_shuffle", "pixel_unshuffle", "im2col", "col2im")
def space_and_depth(trace: LabelTrace, call: Call) -> None:
    """Successive channels become places of one, or the other way round."""
    x = call["self"]
    labels = list(trace.get(x))
    dim = x.dim() - 2 if call.name == "col2im" else call.out.dim() - (2 if call.name == "im2col" else 3)
    vector = labels[dim]
    before, after = x.shape[dim], call.out.shape[dim]
    for other in labels[dim + 1 :]:
        trace.freeze(other, f"{call.name} over channels")
    if vector is not None:
        vector = np.repeat(vector, after // before) if after >= before else trace.runs(vector, before // after)
    trace.put(call.out, (*labels[:dim], vector, *[None] * (call.out.dim() - dim - 1)))


@rule("channel_shuffle", "native_channel_shuffle")
def channel_shuffle(trace: LabelTrace, call: Call) -> None:
    """Blocks of equal size are interleaved: the same place of every block is one channel."""
    labels = list(trace.get(call["self"]))
    if labels[1] is not None:
        labels[1] = np.repeat(trace.blocks(labels[1], call["groups"]), call["groups"])
    trace.put(call.out, tuple(labels))


@rule("glu")
def gated(trace: LabelTrace, call: Call) -> None:
    """The first half times the sigmoid of the second: the same place of both is one channel."""
    labels = list(trace.get(call["self"]))
    (along,) = normal(call["dim"], len(labels))
    vector = labels[along]
    labels[along] = None if vector is None else trace.blocks(vector, 2)
    trace.put(call.out, tuple(labels))


@rule("as_strided_")
def restride(trace: LabelTrace, call: Call) -> None:
    """Labels of an average over all of the space that keeps a memory format; anything else is unknown."""
    if call["size"] != list(call.out.shape) or any(n != 1 for n in call.out.shape[2:]):
        trace.freeze_all([call.out], "strides set by hand")
