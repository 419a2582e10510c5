"""Channel variables of any CNN and whose ranks move them, from one trace (CONet section 3, algorithm 1).

Channels that identities, sums, poolings and depthwise convolutions tie together are one variable. Its members
are the output ranks of the dense convolutions that write it and the input ranks of those that read it, with
three exceptions of the authors: a convolution that reads a concatenation, or the stem's output, has no say by its
input rank, and convolutions that write a variable side by side (a factorised reduction) count as one member.
"""

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor, nn

from growsearch.algorithms.conet.decisions import Term, Variable
from growsearch.algorithms.conet.measure import conv_weights
from growsearch.errors import UserError
from growsearch.surgery.channels import Axis, ChannelGroup
from growsearch.surgery.discovery import channel_groups
from growsearch.surgery.variables import variables
from growsearch.surgery.verify import prove_groups
from growsearch.training import Network

MemberRule = Literal["graph", "original"]


@dataclass(frozen=True)
class FoundVariable:
    """A variable and the handles that change it: groups of channels that lie side by side."""

    variable: Variable
    groups: tuple[ChannelGroup, ...]


@dataclass
class _Place:
    """A variable while it is found: which convolutions (by position) write and read it.

    Attributes:
        groups: side by side.
        writers: units of convolutions that write all of it together; most are of one.
        readers: convolutions that read it and nothing else.
        depthwise: a depthwise convolution passes it on.
    """

    groups: tuple[ChannelGroup, ...]
    writers: list[tuple[int, ...]] = field(default_factory=list)
    readers: list[int] = field(default_factory=list)
    depthwise: bool = False

    @property
    def is_free(self) -> bool:
        """Whether its size may change by any number of channels."""
        return all(group.frozen is None and group.step == 1 for group in self.groups)


def find_variables(
    module: nn.Module,
    example: Tensor | tuple[Any, ...],
    rule: MemberRule = "graph",
    *,
    prove: bool = True,
    groups: Sequence[ChannelGroup] | None = None,
) -> list[FoundVariable]:
    """Find the channel variables of a network, in the order of its convolutions.

    Variables that no dense convolution writes, or that may not change, are left out.

    Args:
        module: any CNN.
        example: an input for one trace.
        rule: ``graph`` is the rule above. ``original`` judges the width of a residual stage as the authors did for
            ResNet34: by the input rank of each block's first and the output rank of its second convolution, be the
            former of the previous stage's width or not, without stem and shortcuts.
        prove: see :func:`growsearch.surgery.channel_groups`; leave it on for networks that are not growsearch's.
        groups: its channel groups, where they are known.

    Raises:
        UserError: if the network cannot be traced, or no channel count is free to change.
    """
    position = {name: index for index, (name, _) in enumerate(conv_weights(module))}
    groups = traced_groups(module, example) if groups is None else groups
    places = [_place(joined.groups, position) for joined in variables(list(groups))]
    places = sorted((p for p in places if p.writers), key=lambda p: p.writers[0])
    if prove:  # the groups that matter here: a proof takes long
        prove_groups(module, example, [group for place in places if place.is_free for group in place.groups])
    if not any(place.is_free for place in places):
        raise UserError(_without_variables(places))
    reading = {
        position[axis.name]
        for g in groups
        if g.frozen is None and g.step == 1
        for axis in _axes(g, "consumer", position)
    }
    found = []
    for place in places:
        if not place.is_free:
            continue
        terms = _graph_terms(place, places, reading)
        if rule == "original":
            terms = _residual_terms(place, places) or terms
        size = sum(group.size for group in place.groups)
        found.append(FoundVariable(Variable(place.groups[0].name, size, terms), place.groups))
    return found


_TRACED: OrderedDict[str, list[ChannelGroup]] = OrderedDict()
"""Channel groups by what they were traced on: networks of growsearch's own that have one spec are alike."""

MOST_TRACED = 4
"""Networks that are remembered, the last ones: a trial's and the one that it is resized to."""


def traced_groups(module: nn.Module, example: Tensor | tuple[Any, ...]) -> list[ChannelGroup]:
    """The channel groups of a network; those of one that was traced or remembered before are found without a trace."""
    key = _key(module, example)
    if key not in _TRACED:
        groups = channel_groups(module, example, prove=False)
        remember(groups, module, example)
        return groups
    _TRACED.move_to_end(key)
    known = _TRACED[key]
    channel_map = known[0].map.on(module)
    return [group.on(channel_map) for group in known]


def remember(groups: Sequence[ChannelGroup], module: nn.Module, example: Tensor | tuple[Any, ...]) -> None:
    """Remember the channel groups of a network as it is now, for others of its spec.

    Not where a group has one channel, whose depthwise convolutions look like any other to a trace.
    """
    if groups and min(group.size for group in groups) > 1 and (key := _key(module, example)):
        kept = groups[0].map.on(nn.Module())  # a map of its own: edits of the network do not reach it
        _TRACED[key] = [group.on(kept) for group in groups]
        while len(_TRACED) > MOST_TRACED:
            _TRACED.popitem(last=False)


def _key(module: nn.Module, example: Tensor | tuple[Any, ...]) -> str:
    """What decides the channel groups of a network of growsearch's own; empty for others, whose code is not known."""
    spec = module.spec() if hasattr(module, "spec") else {}  # type: ignore[operator]
    if not isinstance(example, Tensor) or spec.get("family", "external") == "external":
        return ""
    return json.dumps([spec, list(example.shape)], sort_keys=True)


def _without_variables(places: Sequence[_Place]) -> str:
    groups = [group for place in places for group in place.groups]
    held = (group.frozen or group.map.even[group.number] for group in groups)
    reasons = dict.fromkeys(why for why in held if why is not None)
    why = "; ".join(reasons) or "no convolution"
    return f"network: no channel count is free to change ({why}); use a CNN that has at least one"


def _place(groups: tuple[ChannelGroup, ...], position: dict[str, int]) -> _Place:
    place = _Place(groups)
    numbers = {group.number for group in groups}
    written: dict[int, set[int]] = {}
    for group in groups:
        for axis in _axes(group, "producer", position):
            written.setdefault(position[axis.name], set()).add(group.number)
        for axis in _axes(group, "consumer", position):
            if [segment.group for segment in axis.segments] == [g.number for g in groups]:
                place.readers.append(position[axis.name])
        place.depthwise |= any(axis.role == "depthwise" for axis in group.axes)
    place.readers = sorted(set(place.readers))
    unit: tuple[int, ...] = ()
    covered: set[int] = set()
    for index in sorted(written):
        unit, covered = (*unit, index), covered | written[index]
        if covered == numbers:
            place.writers.append(unit)
            unit, covered = (), set()
    return place


def _axes(group: ChannelGroup, role: str, position: dict[str, int]) -> list[Axis]:
    return [axis for axis in group.axes if axis.role == role and axis.name in position]


def _graph_terms(place: _Place, places: Sequence[_Place], reading: set[int]) -> tuple[Term, ...]:
    """Output ranks of all writers; input ranks of all readers, unless the variable is the stem's."""
    terms = [Term("out", unit) for unit in place.writers]
    stem = all(index not in reading for unit in place.writers for index in unit)
    if not stem:
        unit_of = {index: unit for other in places for unit in other.writers for index in unit}
        units = dict.fromkeys(unit_of.get(index, (index,)) for index in place.readers)
        terms += [Term("in", unit) for unit in units if set(unit) <= set(place.readers)]
    return tuple(terms)


def _residual_terms(place: _Place, places: Sequence[_Place]) -> tuple[Term, ...]:
    """Members by the authors' rule if this is the width of a stage of plain residual blocks, else none."""
    if len(place.writers) < 2:
        return ()
    terms: list[Term] = []
    for (second,) in (unit for unit in place.writers if len(unit) == 1):
        middle = next((p for p in places if p.readers == [second]), None)
        if middle is None or middle.depthwise or len(middle.writers) != 1:
            continue
        (first,) = middle.writers[0]
        source = next((p for p in places if first in p.readers), None)
        if source is not None and len(source.writers) > 1:
            terms += [Term("in", (first,)), Term("out", (second,))]
    return tuple(terms)


def describe(
    network: Network, image_shape: tuple[int, int, int], rule: MemberRule, prove: bool
) -> list[dict[str, Any]]:
    """The channel variables of a network as plain types: name, size, pieces side by side, and terms of the average."""
    found = find_variables(network.module, torch.zeros(8, *image_shape), rule, prove=prove)
    return [{**asdict(one.variable), "pieces": len(one.groups)} for one in found]


def described(row: Mapping[str, Any]) -> Variable:
    """The variable in a row of :func:`describe`."""
    terms = tuple(Term(term["side"], tuple(term["layers"])) for term in row["terms"])
    return Variable(row["name"], row["size"], terms)
