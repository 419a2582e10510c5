"""Operators that find entries of a dimension by their numbers: selecting, picking, scattering, moving."""

from collections.abc import Sequence
from math import prod

import numpy as np
import torch
from torch import Tensor

from growsearch.errors import UserError
from growsearch.surgery.labels import Labels, LabelTrace
from growsearch.surgery.operators import Call, normal, rule
from growsearch.surgery.widths import Vector


@rule("select")
def select(trace: LabelTrace, call: Call) -> None:
    """Takes one entry of a dimension."""
    labels = list(trace.get(call["self"]))
    (along,) = normal(call["dim"], len(labels))
    vector = labels.pop(along)
    if vector is not None:
        trace.defer(call.out, vector, "one channel selected by its number")  # it may only lend its shape
    trace.put(call.out, tuple(labels))
    trace.pass_origin(call["self"], call.out, [dim for dim in range(len(labels) + 1) if dim != along])


@rule("roll", "flip", "rot90")
def reorder(trace: LabelTrace, call: Call) -> None:
    """Moves entries along dimensions; channels that change places cannot follow an edit."""
    labels = list(trace.get(call["self"]))
    for dim in normal(call["dims"], len(labels)):
        trace.freeze(labels[dim], f"{call.name} of channels")
        labels[dim] = labels[dim] if call.out.shape[dim] == call["self"].shape[dim] else None
    trace.put(call.out, tuple(labels))


@rule("index", "index_select", "gather")
def pick(trace: LabelTrace, call: Call) -> None:
    """The dimensions that are not picked from pass; channels picked by number are fixed."""
    x = call["self"]
    labels = trace.get(x)
    if call.name == "index":
        indices = [each for index in call["indices"] for each in [index] * _covered(index)]
        indices += [None] * (x.dim() - len(indices))
    else:
        (along,) = normal(call["dim"], x.dim())
        indices = [call["index"] if dim == along else None for dim in range(x.dim())]
    if call.name != "gather":
        trace.freeze_all([index for index in indices if isinstance(index, Tensor)], "an index")
    picked = [dim for dim, index in enumerate(indices) if index is not None]
    for dim in picked:
        trace.freeze(labels[dim], "channels picked by their numbers")
    if call.name == "gather":
        _gathered(trace, call, labels, picked)
        return
    new = call.out.dim() - (x.dim() - len(picked))
    rest = [vector for dim, vector in enumerate(labels) if dim not in picked]
    together = picked == list(range(picked[0], picked[-1] + 1)) if picked else True
    at = picked[0] if picked and together else 0
    trace.put(call.out, (*rest[:at], *[None] * new, *rest[at:]))
    left = [dim for dim in range(x.dim()) if dim not in picked]
    trace.pass_origin(x, call.out, [*left[:at], *[None] * new, *left[at:]])


def _gathered(trace: LabelTrace, call: Call, labels: Labels, picked: list[int]) -> None:
    """Entries are picked for each channel of the index by itself, which meet those of what they are picked from."""
    out: list[Vector | None] = []
    for dim, (vector, index) in enumerate(zip(labels, trace.get(call["index"]), strict=True)):
        met = [each for each in (vector, index) if each is not None]
        if dim in picked or call.out.shape[dim] != call["self"].shape[dim]:
            for each in met:
                trace.freeze(each, "channels picked by their numbers")
            out.append(_sized(vector, call.out.shape[dim]))
        else:
            out.append(trace.join(*met))
    trace.put(call.out, tuple(out))


@rule("scatter", "scatter_", "scatter_add", "scatter_add_", "scatter_reduce", "scatter_reduce_")
def put_in(trace: LabelTrace, call: Call) -> None:
    """Writes entries into places of one dimension that are named by number; others meet those of the index."""
    x, parts = call["self"], [each for each in (call["index"], call.get("src")) if isinstance(each, Tensor)]
    labels = list(trace.get(x))
    (along,) = normal(call["dim"], x.dim())
    for dim, vector in enumerate(labels):
        others = [trace.get(each)[dim] for each in parts]
        if dim != along and all(each.shape[dim] == x.shape[dim] for each in parts):
            labels[dim] = trace.join(vector, *others)
        else:
            for each in (vector, *others):
                trace.freeze(each, "entries put in places by their numbers")
    trace.put(call.out, tuple(labels))


@rule(
    "index_add", "index_add_", "index_copy", "index_copy_", "index_fill", "index_fill_", "index_reduce", "index_reduce_"
)
def add_at(trace: LabelTrace, call: Call) -> None:
    """Writes whole slices into places of one dimension that are named by number; the other dimensions meet."""
    x, source = call["self"], call.get("source")
    labels = list(trace.get(x))
    (along,) = normal(call["dim"], x.dim())
    parts = trace.get(source) if isinstance(source, Tensor) and source.dim() == x.dim() else labels
    _meet(trace, call, labels, parts, along)


def _meet(
    trace: LabelTrace, call: Call, labels: Sequence[Vector | None], parts: Sequence[Vector | None], along: int
) -> None:
    """Of a tensor and of what is put into it the dimensions meet, but for one whose places are named by number."""
    for vector in (labels[along], parts[along]):
        trace.freeze(vector, "entries put in places by their numbers")
    pairs = enumerate(zip(labels, parts, strict=True))
    trace.put(call.out, tuple(a if dim == along else trace.join(a, b) for dim, (a, b) in pairs))


@rule("index_put", "index_put_", "_index_put_impl_")
def put_at(trace: LabelTrace, call: Call) -> None:
    """Writes into places named by number, or where a mask says so; the dimensions without a number meet the values."""
    x, values = call["self"], call["values"]
    labels, parts = list(trace.get(x)), list(trace.get(values))
    numbers = [index for index in call["indices"] if index is not None]
    masks = [index for index in numbers if index.dtype in (torch.bool, torch.uint8)]
    if len(masks) == len(numbers) == 1 and values.numel() == 1 and call["indices"][0] is masks[0]:
        for dim, vector in enumerate(trace.get(masks[0])):  # it fills places, whichever order they are in
            labels[dim] = trace.join(labels[dim], vector)
        trace.put(call.out, tuple(labels))
        return
    trace.freeze_all(numbers, "an index")
    first = next(place for place, index in enumerate(call["indices"]) if index is not None)
    covered = sum(index.dim() if any(index is mask for mask in masks) else 1 for index in numbers)
    new = max(1 if any(index is mask for mask in masks) else index.dim() for index in numbers)
    whole = values.dim() == x.dim() - covered + new
    together, joined = None not in call["indices"][first:], set()
    for dim, vector in enumerate(labels):
        place = dim if dim < first and whole else dim - x.dim() + values.dim() if dim >= first + covered else -1
        if together and values.numel() == 1 and not first <= dim < first + covered:
            continue
        if together and place >= 0 and values.shape[place] == x.shape[dim]:
            labels[dim] = trace.join(vector, parts[place])
            joined.add(place)
        else:
            trace.freeze(vector, "entries put in places by their numbers")
    for place, vector in enumerate(parts):
        if place not in joined:
            trace.freeze(vector, "entries put in places by their numbers")
    trace.put(call.out, tuple(labels))


@rule("masked_select")
def masked(trace: LabelTrace, call: Call) -> None:
    """Entries in one row where a mask says so: all of the last dimensions' whose places it does not tell apart."""
    x, mask = call["self"], call["mask"]
    labels = trace.get(x)
    alike = _alike(mask, x) if x.dim() >= mask.dim() else 0
    trace.freeze_all([mask], "a mask")
    for vector in labels[: x.dim() - alike]:
        trace.freeze(vector, "entries where a mask says so")
    left = [(dim, labels[dim]) for dim in range(x.dim() - alike, x.dim()) if labels[dim] is not None]
    after = prod(x.shape[left[0][0] + 1 :]) if left else 1
    vector = left[0][1] if len(left) == 1 else None
    if vector is None or call.out.numel() % (after * len(vector)):
        for _, each in left:
            trace.freeze(each, "entries where a mask says so")
        return
    trace.put(call.out, (np.tile(np.repeat(vector, after), call.out.numel() // (after * len(vector))),))


@rule("masked_scatter", "masked_scatter_")
def masked_in(trace: LabelTrace, call: Call) -> None:
    """Writes entries in turn where a mask says so: whole slices of the last dimensions that it does not tell apart."""
    x, mask, source = (call[name] for name in ("self", "mask", "source"))
    labels, parts = list(trace.get(x)), trace.get(source)
    alike = min(_alike(mask, x) if x.dim() >= mask.dim() else 0, source.dim())
    whole = x.shape[x.dim() - alike :] == source.shape[source.dim() - alike :]
    for dim in range(1, x.dim() + 1):
        if dim <= alike and whole:
            labels[-dim] = trace.join(labels[-dim], parts[-dim])
        else:
            trace.freeze(labels[-dim], "entries put where a mask says so")
    for vector in parts[: source.dim() - alike] if whole else parts:
        trace.freeze(vector, "entries put where a mask says so")
    trace.put(call.out, tuple(labels))


def _alike(mask: Tensor, x: Tensor) -> int:
    """How many of the last dimensions of a tensor have places that a mask does not tell apart."""
    count = 0
    while count < x.dim() and (
        count >= mask.dim() or mask.shape[-1 - count] == 1 or mask.stride(mask.dim() - 1 - count) == 0
    ):
        count += 1
    return count


@rule("select_scatter", "slice_scatter")
def put_part(trace: LabelTrace, call: Call) -> None:
    """Another tensor takes the place of a part; the dimensions that it has whole meet."""
    x, labels, parts = call["self"], list(trace.get(call["self"])), list(trace.get(call["src"]))
    (along,) = normal(call["dim"], x.dim())
    if call.name == "select_scatter":
        parts.insert(along, None)
    _meet(trace, call, labels, parts, along)


def _covered(index: Tensor | None) -> int:
    """How many dimensions an index picks entries of: a mask as many as it has."""
    return index.dim() if index is not None and index.dtype in (torch.bool, torch.uint8) else 1


@rule("bincount")
def counts(trace: LabelTrace, call: Call) -> None:
    """How often each number comes, as many as the code asks for: a larger one would make the result longer."""
    if not call["minlength"]:
        raise UserError("channel map: the length of bincount depends on values; give it minlength")
    trace.freeze_all(call.inputs, "numbers that are counted")


@rule("nonzero")
def places(trace: LabelTrace, call: Call) -> None:
    """Numbers of the places where a mask says so."""
    trace.freeze_all([call["self"]], "places found by values")


def _sized(vector: Vector | None, size: int) -> Vector | None:
    return vector if vector is not None and len(vector) == size else None
