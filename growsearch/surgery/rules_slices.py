"""Slices of a dimension: their bounds follow the channels where the code computes them from sizes."""

import operator
from typing import Any

from growsearch.surgery.labels import LabelTrace
from growsearch.surgery.operators import Call, normal, rule
from growsearch.surgery.remembering import opposite, plain
from growsearch.surgery.rules_shapes import is_product
from growsearch.surgery.widths import Vector, Width


@rule("slice", "narrow")
def slice_(trace: LabelTrace, call: Call) -> None:
    """A cut through channels freezes them, unless the code computes where it lies from their number."""
    labels = list(trace.get(call["self"]))
    (along,) = normal(call["dim"], len(labels))
    vector = labels[along]
    if vector is not None and _is_every(call, len(vector)):
        labels[along] = trace.runs(vector, call["step"])
    elif vector is not None and call.out.shape[along] != len(vector):
        labels[along] = _sliced(trace, vector, call.out.shape[along])
        if labels[along] is None and call.out.shape[along] == 1 and trace.written is None:
            trace.defer(call.out, vector, "sliced across channels")  # it may only lend its shape to a mask
        elif labels[along] is None:
            trace.freeze(vector, "sliced across channels")
    trace.put(call.out, tuple(labels))
    trace.pass_origin(call["self"], call.out, range(len(labels)))


def _is_every(call: Call, length: int) -> bool:
    """Whether it takes one entry of each run of so many, as rotations of pairs do."""
    step, start, end = call.get("step") or 1, call["start"] or 0, call.get("end")
    return 1 < step <= length and 0 <= start < step and (end is None or end >= length) and length % step == 0


def _sliced(trace: LabelTrace, vector: Vector, size: int) -> Vector | None:
    """The labels between two written bounds; None if these do not follow the channels."""
    if trace.written is None or len(trace.written) != 2:
        return None
    start, stop = trace.written
    bound: Any
    part = vector[start : stop or None]
    for bound in (start, stop):
        end = opposite(bound)
        of = bound if end is None else end
        if isinstance(of, Width) and of.vector is not None and len(of.vector) == len(vector):
            trace.equal.append((of.vector, vector))
            trace.blocks(vector, of.parts)
        elif isinstance(bound, Width) and bound.times == bound.parts == 1:
            trace.measure(bound, vector[:bound])
        elif isinstance(end, Width) and end.times == end.parts == 1:
            trace.measure(end, vector[bound:])
        elif parts := _summed(bound):
            at = 0
            for each in parts:
                trace.measure(each, vector[at : at + each.plain])
                at += each.plain
        elif _is_sum_of_multiples(bound):
            trace.measure(bound.formula[1], vector[: bound.formula[1]])
        elif bound != 0 and not _is_multiple(bound):
            return None
    return part if len(part) == size else None


def _is_multiple(size: int) -> bool:
    """Whether it is a multiple of a number that the code holds, or a product of two; a view tells of which."""
    once = isinstance(size, Width) and size.attribute is not None and size.parts == 1
    return once or is_product(size)


def _is_sum_of_multiples(size: Any) -> bool:
    """Whether the code adds two such numbers, as of many queries and of fewer keys."""
    operate, *parts = getattr(size, "formula", None) or (None,)
    return operate is operator.add and all(_is_multiple(each) or _is_sum_of_multiples(each) for each in parts)


def _summed(size: Any) -> list[Width]:
    """The sizes that the code adds, as of parts one after another; none if it computes the size otherwise."""
    if isinstance(size, Width):
        return [size] if size.parts == 1 else []
    operate, *pair = getattr(size, "formula", None) or (None,)
    if operate is not operator.add:
        return []
    found = [_summed(each) for each in pair]
    known = [bool(parts) or plain(each) == 0 for parts, each in zip(found, pair, strict=True)]
    return [*found[0], *found[1]] if all(known) else []
