"""Operators that find entries of a dimension by their numbers: selecting, picking, scattering, moving."""

import torch
from torch import Tensor

from growsearch.surgery.labels import LabelTrace
from growsearch.surgery.operators import Call, normal, rule
from growsearch.surgery.widths import Vector


@rule("select")
def select(trace: LabelTrace, call: Call) -> None:
    """Takes one entry of a dimension."""
    labels = list(trace.get(call["self"]))
    (along,) = normal(call["dim"], len(labels))
    trace.freeze(labels.pop(along), "one channel selected by its number")
    trace.put(call.out, tuple(labels))
    trace.pass_origin(call["self"], call.out, [dim for dim in range(len(labels) + 1) if dim != along])


@rule("roll", "flip")
def reorder(trace: LabelTrace, call: Call) -> None:
    """Moves entries along dimensions; channels that change places cannot follow an edit."""
    labels = list(trace.get(call["self"]))
    for dim in normal(call["dims"], len(labels)):
        trace.freeze(labels[dim], f"{call.name} of channels")
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
    trace.freeze_all([index for index in indices if isinstance(index, Tensor)], "an index")
    picked = [dim for dim, index in enumerate(indices) if index is not None]
    for dim in picked:
        trace.freeze(labels[dim], "channels picked by their numbers")
    if call.name == "gather":  # entries are picked for each channel of the index by itself
        for dim, vector in enumerate(labels):
            if dim not in picked and call.out.shape[dim] != x.shape[dim]:
                trace.freeze(vector, "channels picked by their numbers")
        trace.put(call.out, tuple(_sized(v, n) for v, n in zip(labels, call.out.shape, strict=True)))
        return
    new = call.out.dim() - (x.dim() - len(picked))
    rest = [vector for dim, vector in enumerate(labels) if dim not in picked]
    together = picked == list(range(picked[0], picked[-1] + 1)) if picked else True
    at = picked[0] if picked and together else 0
    trace.put(call.out, (*rest[:at], *[None] * new, *rest[at:]))
    left = [dim for dim in range(x.dim()) if dim not in picked]
    trace.pass_origin(x, call.out, [*left[:at], *[None] * new, *left[at:]])


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
    for dim, (vector, part) in enumerate(zip(labels, parts, strict=True)):
        if dim == along:
            for each in (vector, part):
                trace.freeze(each, "entries put in places by their numbers")
        else:
            labels[dim] = trace.join(vector, part)
    trace.put(call.out, tuple(labels))


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


def _covered(index: Tensor | None) -> int:
    """How many dimensions an index picks entries of: a mask as many as it has."""
    return index.dim() if index is not None and index.dtype in (torch.bool, torch.uint8) else 1


@rule("nonzero")
def places(trace: LabelTrace, call: Call) -> None:
    """Numbers of the places where a mask says so."""
    trace.freeze_all([call["self"]], "places found by values")


def _sized(vector: Vector | None, size: int) -> Vector | None:
    return vector if vector is not None and len(vector) == size else None
