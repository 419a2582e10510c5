"""The channel map of a network: which dimensions of which tensors carry each group of channels."""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from weakref import ref

import numpy as np
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import structure
from growsearch.surgery.garbage import no_collections
from growsearch.surgery.groups import Layout, Segment, group
from growsearch.surgery.labels import Bond, LabelTrace
from growsearch.surgery.tensors import held_by, modules_of, owner, places
from growsearch.surgery.trace import trace
from growsearch.surgery.widths import Vector


@dataclass(frozen=True)
class Axis:
    """One dimension of one tensor.

    Attributes:
        name: the tensor's (first) name in the network.
        dim: the dimension.
        role: producer (weight, output side), bias, norm, depthwise, consumer (weight, input side) or
            scale (any other parameter or buffer with these channels, and a weight that reads them and more).
        segments: what tiles the dimension, in order.
    """

    name: str
    dim: int
    role: str
    segments: tuple[Segment, ...]

    @property
    def layer(self) -> str:
        """Path of the module that holds the tensor, or the tensor's own name at the top."""
        return self.name.rpartition(".")[0] or self.name


class ChannelMap:
    """Map of how groups of channels tile the dimensions of one network's tensors.

    It is made by one trace; remap keeps it true and transactions undo it.

    Attributes:
        axes: group number -> the dimensions that carry it.
        tensors: group number -> the same by the names of their tensors.
        sizes: group number -> its number of channels.
        bonds: group number -> what may be done with it.
        frozen: group number -> None or why the group may not be widened exactly.
        even: group number -> None or why exact widening copies all channels equally often.
        unprunable: group number -> None or why none of its channels may be cut.
        attributes: (module path, name, index or None) -> what tiles the dimension that the attribute counts.
        conditions: comparisons of the network's code whose outcome may depend on sizes.
        largest: entries of the largest result of an operator.
        steps: of the longest sequence that a recurrent layer was given.
        draws: train mode or not -> what was drawn, and of which dimensions an edit may change the size.
        rows: place of an input -> fewest rows of the tables in which its entries are looked up.
        code: what is written in the network's code.
        chance: whether chance decides which operators the network runs.
        keeps: whether a run leaves tensors with channels, or their number, in the network, which another run may use.
        silent: group number -> how it gets channels that change nothing, where a proof found a way.
        least: group number -> how few channels the network runs with and why, where a proof found that it is not one.
        lineage: group number -> for each channel a number that exact copies have in common; a range if there are none.
        shared: (tensor name, dimension) of weights that read the channels and are used otherwise too.
        names: tensor name -> all its names.
        turns: name of each tensor that an operator used -> its turn, in the order of first uses.
        other: whether other dimensions can be followed where code splits channels by a number and by what is left.
        version: the structure version of the network that the map is true for.
    """

    def __init__(
        self, model: nn.Module, example: Tensor | tuple[Any, ...], heads: bool = False, held: bool = False
    ) -> None:
        with no_collections():
            traced, layout = _traced(model, example, heads, held)
        self.shared = {key for key, roles in traced.roles.items() if "consumer" in roles and len(roles) > 1}
        self.axes: list[list[Axis]] = [[] for _ in layout.sizes]
        for (name, dim), segments in layout.axes.items():
            roles = traced.roles.get((name, dim), ())  # no entry may be divided of what is used otherwise too
            axis = Axis(name, dim, "scale" if (name, dim) in self.shared else _role(model, name, dim, roles), segments)
            for number in (segments[0].group,) if len(segments) == 1 else {segment.group for segment in segments}:
                self.axes[number].append(axis)
        self.tensors = [_by_name(axes) for axes in self.axes]
        self.sizes, self.bonds = layout.sizes, layout.bonds
        self.frozen, self.even, self.unprunable = layout.frozen, layout.even, layout.unprunable
        self.attributes, self.conditions = layout.attributes, layout.conditions
        self.largest, self.steps, self._operators = traced.results.largest, traced.steps, traced.operators
        self._results, self._groups = traced.results, layout.groups
        self._heads, self._held, self.other = heads, held, traced.leaves and not traced.held
        self.rows, self.draws = traced.rows, traced.drawn_in
        self.code, self.keeps, self.chance = traced.code, traced.keeps, traced.chance
        self.turns = {name: turn for turn, name in enumerate(dict.fromkeys(name for name, _ in traced.roles))}
        self.lineage: list[Sequence[int]] = [range(size) for size in self.sizes]
        self.silent: dict[int, Any] = {}
        self.least: dict[int, tuple[int, str]] = {}
        self.names = {held[0]: held for _, held in places(model)}
        self._counting: dict[int, list[tuple[str, str, int | None]]] = {}
        for key, segments in self.attributes.items():
            for number in {segment.group for segment in segments}:
                self._counting.setdefault(number, []).append(key)
        self._remember(model)

    def on(self, model: nn.Module) -> ChannelMap:
        """The same map for a copy of the network (``copy.deepcopy``), to be edited independently."""
        other = copy.copy(self)
        other.sizes, other.bonds = list(self.sizes), list(self.bonds)
        other.frozen, other.unprunable = list(self.frozen), list(self.unprunable)
        other.lineage = list(self.lineage)
        other._remember(model)
        return other

    def results(self) -> list[tuple[Vector, int]]:
        """What a run takes of memory besides the network; see :meth:`Results.of_groups`."""
        return self._results.of_groups(self._groups)

    def projections(self, number: int) -> list[int]:
        """The groups that LSTMs project this group's states to."""
        states = [(path, index) for path, name, index in self._counting.get(number, ()) if name == "hidden_size"]
        found = [self.attributes.get((path, "proj_size", index), ()) for path, index in states]
        return [segments[0].group for segments in found if len(segments) == 1]

    def _remember(self, model: nn.Module) -> None:
        """Note what the network consists of, and be kept true by its edits."""
        modules = modules_of(model)
        held = [module._modules for module in modules]
        self._children = [(each, tuple(each.values())) for each in held if each]
        self._childless = [each for each in held if not each]
        tensors = [each for module in modules for each in (module._parameters, module._buffers)]
        self._holding, self._hollow = [each for each in tensors if each], [each for each in tensors if not each]
        self._count = self._counted()
        self._holders: dict[str, list[tuple[nn.Module, str]]] = {}
        self._model, self.version = ref(model), structure.structure_version(model)
        structure.register_map(model, self)

    def of(self, model: nn.Module, example: Tensor | tuple[Any, ...]) -> ChannelMap | None:
        """The map that another example gives, if the network then runs the same way; else None."""
        try:
            other = ChannelMap(model, example, self._heads, self._held)
        except UserError:
            return None
        facts = (
            (each._operators, each.axes, each.sizes, each.bonds, each.frozen, each.even, each.unprunable,
             each.attributes, each.conditions)
            for each in (self, other)
        )  # fmt: skip
        return other if next(facts) == next(facts) else None

    def length(self, segment: Segment) -> int:
        """Number of entries that a segment has now."""
        return segment.fixed + segment.repeat * self.sizes[segment.group]

    def owners(self, model: nn.Module, number: int) -> list[nn.Module]:
        """The modules that hold a group's tensors or sizes."""
        holders = [module for name in self.tensors[number] for module, _ in self.holders(model, name)]
        return [*holders, *self.counting(model, number)]

    def counting(self, model: nn.Module, number: int) -> list[nn.Module]:
        """The modules with an attribute that counts a group's channels."""
        return [model.get_submodule(path) for path, _, _ in self._counting.get(number, ())]

    def holders(self, model: nn.Module, name: str) -> list[tuple[nn.Module, str]]:
        """The modules that hold a tensor, each with its name there; true while no module is replaced."""
        found = self._holders.get(name)
        if found is None:
            found = self._holders[name] = [owner(model, held) for held in self.names[name]]
        return found

    def resize(self, model: nn.Module, number: int, size: int) -> None:
        """Note a group's new number of channels, and give the attributes that count them their values."""
        self.sizes[number] = size
        for path, name, index in self._counting.get(number, ()):
            held, value = vars(model.get_submodule(path)), sum(map(self.length, self.attributes[path, name, index]))
            if index is None:
                held[name] = value
            else:
                held[name] = type(held[name])((*held[name][:index], value, *held[name][index + 1 :]))

    def check(
        self, model: nn.Module, number: int, name: str, sources: np.ndarray | None = None, cuts: bool = False
    ) -> None:
        """Raise UserError unless the map is of this network as it is now and the group may change so.

        Args:
            model: the network.
            number: the group.
            name: the group's name.
            sources: the edit, see :func:`growsearch.surgery.remap`. None asks whether the group may be widened.
            cuts: whether the edit copies nothing and adds nothing, which may be done wherever channels may be cut.
        """
        uneven = sources is not None and not cuts and self.bonds[number] is Bond.EVEN and not _is_even(sources)
        reason = self.unprunable[number] if cuts else self.frozen[number]
        least, why = self.least.get(number, (1, ""))
        if self._model() is not model:
            wrong = "the handle belongs to another network; trace this one"
        elif not self._fits(model, number):
            wrong = "the handle is stale, as the network was edited; take a new trace"
        elif cuts and self.bonds[number] is Bond.ORDERED and sources is not None and not _ascends(sources):
            wrong = f"its channels are in another order ({self.frozen[number]}); they must ascend"
        elif uneven and reason is None:
            wrong = f"its channels are chosen unevenly ({self.even[number]}); choose each equally often"
        elif reason is not None:
            wrong = f"it is {'unprunable' if cuts else 'frozen'} ({reason}); choose another"
        elif sources is not None and len(sources) < least:
            wrong = f"{len(sources)} channels are too few ({why}); keep at least {least}"
        else:
            return
        raise UserError(f"channel group {name}: {wrong}")

    def _counted(self) -> tuple[int, int, bool]:
        """Places for tensors in the modules, number of different entries, and whether some are empty."""
        entries = [*map(id, chain.from_iterable(held.values() for held in self._holding))]
        different = set(entries)
        return len(entries), len(different), id(None) in different

    def _fits(self, model: nn.Module, number: int) -> bool:
        if self.version != structure.structure_version(model):
            return False
        if any(self._childless) or any(tuple(held.values()) != children for held, children in self._children):
            return False
        if any(self._hollow) or self._counted() != self._count:
            return False
        lengths: dict[int, int] = {}  # many dimensions are tiled alike
        for name, axes in self.tensors[number].items():
            tensor, *others = [held_by(module, leaf) for module, leaf in self.holders(model, name)]
            if tensor is None or any(other is not tensor for other in others):
                return False
            for axis in axes:
                length = lengths.get(id(axis.segments))
                if length is None:
                    length = lengths[id(axis.segments)] = sum(map(self.length, axis.segments))
                if axis.dim >= tensor.dim() or tensor.size(axis.dim) != length:
                    return False
        return True


ENDS = frozenset(("network output", "network input", "vocabulary"))
"""Why channels stay in every network."""
KERNELS = frozenset(("kernel size", "depthwise kernel", "size of a block"))
"""Why entries of a convolution stay that are no channels, whatever is followed."""


def _traced(model: nn.Module, example: Tensor | tuple[Any, ...], heads: bool, held: bool) -> tuple[LabelTrace, Layout]:
    """A trace and its groups; where entries stay that cannot be cut, what may be followed otherwise is."""
    traced = trace(model, example, heads, held=held)
    layout = group(traced)
    for option in ("whole", "shortest", "held"):
        options: dict[str, Any] = {"whole": traced.whole, "shortest": traced.shortest, "held": traced.held}
        others = {"whole": layout.tied(traced.blocked), "shortest": traced.merges, "held": traced.leaves}
        if not others[option] or options[option] or not layout.stuck(ENDS | KERNELS if option == "held" else KERNELS):
            continue
        again = trace(model, example, heads, **options | {option: others[option]})
        other = group(again)
        if other.stuck() < layout.stuck():
            traced, layout = again, other
    return traced, layout


def _by_name(axes: list[Axis]) -> dict[str, list[Axis]]:
    found: dict[str, list[Axis]] = {}
    for axis in axes:
        found.setdefault(axis.name, []).append(axis)
    return found


def _ascends(sources: np.ndarray) -> bool:
    return bool((sources[1:] > sources[:-1]).all())


def _is_even(sources: np.ndarray) -> bool:
    """Whether old channels are copied, and those that are named equally often."""
    return bool(sources.min() >= 0) and len(np.unique(np.unique(sources, return_counts=True)[1])) == 1


def _role(model: nn.Module, name: str, dim: int, roles: Collection[str]) -> str:
    known = next((role for role in ("depthwise", "consumer", "producer", "bias", "norm") if role in roles), None)
    if known is None and "scale" in roles:
        holder, leaf = owner(model, name)
        if leaf == "weight" and isinstance(holder, (nn.modules.conv._ConvNd, nn.Linear)):
            transposed = isinstance(holder, nn.modules.conv._ConvTransposeNd)
            if dim == (1 if transposed else 0):
                return "producer"  # through a weight that is computed from this one
    return known or "scale"


class ChannelGroup:
    """A handle on channels that must be kept, copied and removed together.

    It stays valid through any number of remaps of this and of other groups. An edit of the graph
    itself makes it stale, and using it raises.

    Attributes:
        name: the first layer that writes the channels; unique in a network.
        map: the network's channel map.
        number: the group's number there.
    """

    def __init__(self, name: str, channel_map: ChannelMap, number: int) -> None:
        self.name, self.map, self.number = name, channel_map, number

    def on(self, channel_map: ChannelMap) -> ChannelGroup:
        """The same group in another map; see :meth:`ChannelMap.on`."""
        return ChannelGroup(self.name, channel_map, self.number)

    @property
    def size(self) -> int:
        """Number of channels now. In a grouped convolution a channel is one place of every block."""
        return self.map.sizes[self.number]

    @property
    def frozen(self) -> str | None:
        """None, or why the group may not be widened without changing what the network computes.

        One that may be widened need not take every size, see :attr:`step`.
        """
        return None if self.number in self.map.silent else self.map.frozen[self.number]

    @property
    def step(self) -> int:
        """Exact widening gives multiples of this: any size, or those of the present one where all channels are copied.

        The latter holds under a norm over channels, whose mean uneven copies would change, unless channels that
        change nothing can be added (:mod:`growsearch.surgery.silent`).
        """
        silent = self.map.silent.get(self.number)
        even = self.map.even[self.number] is not None if silent is None else silent.fill == "copies"
        return self.size if even else 1

    @property
    def least(self) -> int:
        """How few channels the network runs with, as far as was proven; states of an LSTM stay above its projection."""
        above = [self.map.sizes[each] + 1 for each in self.map.projections(self.number)]
        return max(self.map.least.get(self.number, (1, ""))[0], *above, 1)

    @property
    def unprunable(self) -> str | None:
        """None, or why none of the channels may be cut. A group may be prunable and frozen, as under a layer norm."""
        return self.map.unprunable[self.number]

    @property
    def axes(self) -> tuple[Axis, ...]:
        """Every dimension of every tensor that carries the channels."""
        return tuple(self.map.axes[self.number])

    @property
    def producers(self) -> tuple[str, ...]:
        """Layers whose weights write the channels (depthwise ones pass them on)."""
        return self.layers("producer")

    @property
    def consumers(self) -> tuple[str, ...]:
        """Layers whose weights sum over the channels."""
        return self.layers("consumer")

    def layers(self, role: str) -> tuple[str, ...]:
        """Layers that hold the channels in a role; see :class:`Axis`."""
        return tuple(dict.fromkeys(axis.layer for axis in self.axes if axis.role == role))

    def positions(self, axis: Axis, channel: int) -> list[int]:
        """Entries of a dimension that one channel has (several after a flatten)."""
        found: list[int] = []
        start = 0
        for segment in axis.segments:
            if segment.group == self.number and segment.repeat:
                first = start + channel * segment.repeat
                found.extend(range(first, first + segment.repeat))
            start += self.map.length(segment)
        return found

    def __repr__(self) -> str:
        return f"ChannelGroup({self.name!r}, size={self.size}, frozen={self.frozen!r}, unprunable={self.unprunable!r})"
