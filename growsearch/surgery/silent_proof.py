"""Which silent channels are exact for a group: likely ways are tried in the stand-ins of the proof."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, product
from typing import Any, Protocol

import torch
from torch import nn

from growsearch.surgery.channels import ChannelGroup, ChannelMap
from growsearch.surgery.labels import ALONE, Bond
from growsearch.surgery.remap import COMPUTED
from growsearch.surgery.silent import Keys, Silent, add_silent, gains_over, is_table, norms_over, passes_of

SPREAD = 16.0
"""New random weights of a proof are so many times larger than others: what depends on the largest of them shows."""

MOST_KINDS = 3
"""Keys of up to so many kinds of layers may be multiplied by different powers."""

_WORDS = {"query": "q", "key": "k", "value": "v", "wq": "q", "wk": "k", "wv": "v"}


class Prover(Protocol):
    """The parts of a proof that are needed: its groups, and its stand-ins."""

    model: nn.Module
    map: ChannelMap
    groups: dict[int, ChannelGroup]

    @property
    def sizes(self) -> list[int]:
        """Number of channels of each of the stand-in's groups."""

    def shared_out(self, wanted: dict[int, int]) -> list[list[int]]:
        """Lists of groups that there is room for at once at these sizes."""

    def telling(self, steps: dict[int, int]) -> Iterable[dict[int, int]]:
        """Larger sizes in such steps at which the code may do something else, as many at once as there is room for."""

    def agrees(
        self, edit: Callable[[nn.Module, ChannelMap], None], wanted: Mapping[int, int], briefly: bool = False
    ) -> bool:
        """Whether an edit of a copy of the stand-in to these sizes leaves its outputs; briefly, in eval mode alone."""


def offer(prover: Prover) -> None:
    """Enter in the map what is exact in the stand-in; one group of each kind is tried first, then all of the kind.

    Ways that failed for a group written by like layers, as in the stage before, are tried last.
    """
    kinds: dict[tuple[Silent, ...], list[int]] = {}
    for number, group in prover.groups.items():
        found = candidates(prover.model, group) if group.unprunable is None else []
        if found:
            kinds.setdefault(tuple(replace(each, keys=_leaves(each.keys)) for each in found), []).append(number)
    failed: set[Any] = set()
    for numbers in kinds.values():
        left = {number: candidates(prover.model, prover.groups[number]) for number in numbers}
        while left:  # those that a way does not suit are tried with all again
            exact = _offer_one(prover, left, failed)
            prover.map.silent.update(exact)
            left = {number: ways for number, ways in left.items() if exact and number not in exact}
    _forget_narrow(prover)


def _offer_one(prover: Prover, left: Mapping[int, list[Silent]], failed: set[Any]) -> dict[int, Silent]:
    """The first way that is exact for the first of some groups, for all of them that it is exact for."""
    number, ways = next(iter(left.items()))
    sorts = [_sort(prover.groups[number], silent) for silent in ways]
    for index in sorted(range(len(sorts)), key=lambda index: sorts[index] in failed):
        if not _is_exact(prover, {number: ways[index]}, False):
            failed.add(sorts[index])
            continue
        failed.discard(sorts[index])
        exact = _exact_part(prover, {each: others[index] for each, others in left.items()})
        if exact:
            return exact
    return {}


def _exact_part(prover: Prover, plan: dict[int, Silent]) -> dict[int, Silent]:
    """All of a plan if it leaves the stand-in's outputs, else those groups that do alone."""
    if _is_exact(prover, plan, False) and _is_exact(prover, plan, True):
        return plan
    alone = [{number: silent} for number, silent in plan.items()]
    exact = [each for each in alone if _is_exact(prover, each, False) and _is_exact(prover, each, True)]
    return dict(chain.from_iterable(each.items() for each in exact))


def _sort(group: ChannelGroup, silent: Silent) -> Any:
    """What a way has in common with those for groups that are written by layers of the same names."""
    written_by = frozenset(axis.layer.rpartition(".")[2] for axis in group.axes if axis.role == "producer")
    keys = frozenset((layer, power) for layer, _, power in _leaves(silent.keys))
    return written_by, replace(silent, keys=()), keys


def _is_exact(prover: Prover, plan: Mapping[int, Silent], beyond: bool) -> bool:
    """Whether groups that get new channels so leave the stand-in's outputs: a few, or more than the network has."""
    wanted: dict[int, int] = {}
    for index, (number, silent) in enumerate(plan.items()):
        now, times = prover.sizes[number], prover.groups[number].size // prover.sizes[number] if beyond else 1
        wanted[number] = now * (times + 1) if silent.fill == "copies" else now * times + 1 + index % 3

    parts = prover.shared_out(wanted) if beyond else [list(plan)]
    return all(_agrees(prover, plan, {number: wanted[number] for number in part}) for part in parts)


def _agrees(prover: Prover, plan: Mapping[int, Silent], wanted: Mapping[int, int], briefly: bool = False) -> bool:
    """Whether groups that get these sizes so leave the stand-in's outputs."""

    def edit(net: nn.Module, handles: ChannelMap) -> None:
        generator = torch.Generator("cpu").manual_seed(0)
        for number, size in wanted.items():
            group = prover.groups[number].on(handles)
            add_silent(net, group, size, plan[number], generator, "drop", None, SPREAD)

    return prover.agrees(edit, wanted, briefly)


def _forget_narrow(prover: Prover) -> None:
    """Leave out the groups that compute something else at sizes which the code compares with, or names."""
    silent = prover.map.silent
    steps = {number: prover.sizes[number] if each.fill == "copies" else 1 for number, each in silent.items()}
    for sizes in prover.telling(steps):
        wanted = {number: size for number, size in sizes.items() if number in silent}
        if wanted and not _agrees(prover, silent, wanted, briefly=True):
            alone = [number for number, size in wanted.items() if not _agrees(prover, silent, {number: size}, True)]
            for number in alone or wanted:
                del silent[number]


def _leaves(keys: Keys) -> Keys:
    """The same parts of layers of one name in all blocks."""
    return tuple((layer.rpartition(".")[2], passes, power) for layer, passes, power in keys)


def candidates(model: nn.Module, group: ChannelGroup) -> list[Silent]:
    """Ways that may be exact for a group, the likeliest first."""
    axes, bond = group.axes, group.map.bonds[group.number]
    if group.map.frozen[group.number] == ALONE:
        return []
    repeats = [{part.repeat for part in axis.segments if part.group == group.number} for axis in axes]
    simple = all(len(each) == 1 for each in repeats)
    norms, gains, tables = (
        norms_over(model, group),
        gains_over(model, group),
        any(is_table(model, axis) for axis in axes),
    )
    found: list[Silent] = []
    if simple and norms and (bond is Bond.EVEN or (bond is Bond.CUT and tables)):
        found = [Silent("zero", factors=True), Silent("zero"), Silent("mean")]
        found += [Silent("mean", unread=True)] if bond is Bond.EVEN else []
        found += [Silent("zero", from_one=True)]
    if bond is Bond.ORDERED and simple:
        found = [Silent("zero"), *([Silent("zero", gains=True, tables="mean")] if gains else [])]
    if bond is Bond.CUT:
        keys = list(dict.fromkeys(_keys(group)))
        found += [Silent("copies", unbiased=True)] if simple and norms else []
        if group.producers and tables and simple:  # without a layer that writes them they would never learn
            found += [Silent("random", True, tables="unread"), Silent("random", True, tables="zero")]
            found += [Silent("random", True, gains=True, tables="mean")] if gains else []
        found += [Silent("random", True, tables="sides")] if tables and simple else []
        found += [Silent("copies", gains=True)] if gains else []
        divided = str(group.map.frozen[group.number]).endswith("norm over channels")
        computed = any(COMPUTED in axis.name for axis in axes)  # such weights would be zero too, and never learn
        found += [Silent("zero")] if simple and divided and not computed else []
        found += [Silent("random", True, keys=_to(each, power)) for each in keys if simple for power in (0.5, 0.0)]
        last = tuple(_last_norm(group)) if any((each.name, each.dim) in group.map.shared for each in axes) else ()
        found += [Silent("copies", keys=(*_to(each, power), *last)) for each in keys for power in (-0.5, -1.0)]
        found += [Silent("copies", keys=last)] if last else []
        named = list(_named_keys(model, group))
        found += [Silent("random", True, keys=_to(each, power)) for each in named[:1] if simple for power in (0.5, 0.0)]
        found += [Silent("copies", keys=(*each, *last)) for each in named]
        found += [Silent("copies", keys=each) for each in _divided_norms(group) if tables]
        found += [Silent("zero")] if simple and group.consumers and not (divided or computed) else []
        found += [Silent("zero", True, constant=True)] if simple and computed and _has_biases(group) else []
    return found


def _has_biases(group: ChannelGroup) -> bool:
    return any(axis.role == "bias" or (axis.role == "norm" and axis.name.endswith(".bias")) for axis in group.axes)


def _divided_norms(group: ChannelGroup) -> list[Keys]:
    """All norms that the channels go through, and all but the last, to be divided by the number of copies.

    Weights that are standardised and have no factor cannot be divided themselves; a plain layer may read the last norm.
    """
    passes = {axis.layer: tuple(range(passes_of(group, axis))) for axis in group.axes if axis.role == "norm"}
    every = tuple((layer, each, -1.0) for layer, each in passes.items())
    return [keys for keys in (every, every[:-1]) if keys]


def _keys(group: ChannelGroup) -> Iterator[Keys]:
    """The parts of like layers that may be keys: the second of three that lie side by side or alternate, or of two."""
    layers: dict[tuple[str, int], list[str]] = {}
    for axis in group.axes:
        if axis.role == "producer":
            layers.setdefault((axis.layer.rpartition(".")[2], passes_of(group, axis)), []).append(axis.layer)
    for parts in (3, 2, 1):
        for (_, count), like in layers.items():
            if count % parts == 0 and (parts > 1 or len(layers) > 1):  # keys alone would never learn
                for part in _part(count, parts, min(1, parts - 1)):
                    yield tuple((layer, part, 0.0) for layer in dict.fromkeys(like))
    names = [axis.layer for axis in group.axes if axis.role == "producer"]
    if len(layers) == 1 and len(names) == 2:  # two layers of one name, whose outputs are multiplied
        yield ((names[1], tuple(range(next(iter(layers))[1])), 0.0),)
    for (_, count), like in layers.items():  # many queries with one key, and a value: the key, or else the queries
        for one in ((count - 1,), (count - 2,), tuple(range(count - 1))) if count > 2 else ():
            yield tuple((layer, one, 0.0) for layer in dict.fromkeys(like))


def _named_keys(model: nn.Module, group: ChannelGroup) -> Iterator[Keys]:
    """Keys of all layers whose names say so, where several kinds of attentions share a stream.

    One of several kinds may sum over no channels of keys, as an attention between channels.

    Of queries alone and keys it is the keys, or the norm that they go through; of packed ones the part.
    """
    counts = {(axis.name, axis.dim): passes_of(group, axis) for axis in group.axes}
    once, norms = math.gcd(*counts.values()), {}
    for axis in group.axes:
        if axis.role == "norm" and _letters(axis.name) == "k":
            for above in (axis.layer.rpartition(".")[0], _above_letters(axis.name)):  # it may be part of a pooling
                norms[above] = axis.layer, counts[axis.name, axis.dim]
    for side_by_side in (True, False):
        kinds: dict[Any, list[tuple[str, tuple[int, ...]]]] = {}
        for axis in group.axes:
            count, letters = counts[axis.name, axis.dim], _letters(axis.name)
            read = counts.get((axis.name, 1 - axis.dim), once)  # of a stream, of which codes of places may be halves
            if axis.role != "producer" or not letters or count % read:
                continue
            above, parts = axis.layer.rpartition(".")[0], count // read
            if above in norms:
                layer, passes = norms[above]
                kinds.setdefault("norm", []).append((layer, tuple(range(passes))))
            elif letters in ("k", "kv") or (parts > 1 and "k" in letters):
                index = 1 if parts > 2 and letters != "k" else 0
                part = _part(count, 1 if letters == "k" else parts, index)[0 if side_by_side else 1]
                kinds.setdefault((letters, parts, type(model.get_submodule(above))), []).append((axis.layer, part))
        if not kinds:
            return
        several = product((-0.5, -1.0, 0.0), repeat=len(kinds)) if 1 < len(kinds) <= MOST_KINDS else ()
        for powers in several or [[power] * len(kinds) for power in (-0.5, -1.0)]:
            chosen = [(*each, power) for held, power in zip(kinds.values(), powers, strict=True) for each in held]
            yield tuple(dict.fromkeys(chosen))


def _letters(name: str) -> str:
    """The letters q, k and v that the name of a tensor's layer consists of, such as ``kv`` in ``attn.kv.weight``."""
    return next(filter(None, map(_letters_of, reversed(name.split(".")))), "")


def _above_letters(name: str) -> str:
    """The path of what holds the part of a name with such letters, such as ``attn`` of ``attn.pool_k.norm.weight``."""
    parts = name.split(".")
    while parts and not _letters_of(parts.pop()):
        pass
    return ".".join(parts)


def _letters_of(part: str) -> str:
    part = part.lower()
    if part.startswith("in_proj"):
        return "qkv"
    words = (_WORDS.get(word, word) for word in (part, *part.split("_")))
    return next((word for word in words if word and set(word) <= set("qkv")), "")


def _part(count: int, parts: int, index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """One of some equal parts of passes, if they lie side by side, and if they alternate."""
    size = count // parts
    return tuple(range(index * size, (index + 1) * size)), tuple(range(index, count, parts))


def _to(keys: Keys, power: float) -> Keys:
    return tuple((layer, passes, power) for layer, passes, _ in keys)


def _last_norm(group: ChannelGroup) -> Iterator[tuple[str, tuple[int, ...], float]]:
    """The last norm over the channels as keys that are divided, for a head whose weights are an embedding's too."""
    norms = [axis for axis in group.axes if axis.role == "norm"]
    for axis in sorted(norms, key=lambda axis: group.map.turns[axis.name])[-1:]:
        yield axis.layer, tuple(range(passes_of(group, axis))), -1.0
