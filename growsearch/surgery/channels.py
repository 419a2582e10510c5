"""The channel map of a network: which dimensions of which tensors carry each group of channels."""

from __future__ import annotations

import copy
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from weakref import ref

from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import structure
from growsearch.surgery.groups import Segment, group
from growsearch.surgery.tensors import lookup, owner, places
from growsearch.surgery.trace import trace


@dataclass(frozen=True)
class Axis:
    """One dimension of one tensor.

    Attributes:
        name: the tensor's (first) name in the network.
        dim: the dimension.
        role: producer (weight, output side), bias, norm, depthwise, consumer (weight, input side) or
            scale (any other parameter or buffer with these channels).
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
    """How groups of channels tile the dimensions of one network's tensors.

    It is made by one trace; remap keeps it true and transactions undo it.

    Attributes:
        axes: group number -> the dimensions that carry it.
        sizes: group number -> its number of channels.
        frozen: group number -> None or why the group may not change.
        lineage: group number -> for each channel a number that exact copies have in common.
        names: tensor name -> all its names.
        version: the structure version of the network that the map is true for.
    """

    def __init__(self, model: nn.Module, example: Tensor | tuple[Any, ...]) -> None:
        traced = trace(model, example)
        layout = group(traced)
        self.axes: list[list[Axis]] = [[] for _ in layout.sizes]
        for (name, dim), segments in layout.axes.items():
            axis = Axis(name, dim, _role(traced.roles.get((name, dim), ())), segments)
            for number in dict.fromkeys(segment.group for segment in segments):
                self.axes[number].append(axis)
        self.sizes, self.frozen = layout.sizes, layout.frozen
        self.lineage = [list(range(size)) for size in self.sizes]
        self.names = {held[0]: held for _, held in places(model)}
        self._model, self._modules = ref(model), list(model.modules())
        self.version = structure.structure_version(model)
        structure.register_map(model, self)

    def on(self, model: nn.Module) -> ChannelMap:
        """The same map for a copy of the network (``copy.deepcopy``), to be edited independently."""
        other = copy.copy(self)
        other.sizes, other.frozen = list(self.sizes), list(self.frozen)
        other.lineage = [list(each) for each in self.lineage]
        other._model, other._modules = ref(model), list(model.modules())
        other.version = structure.structure_version(model)
        structure.register_map(model, other)
        return other

    def length(self, segment: Segment) -> int:
        """Number of entries that a segment has now."""
        return segment.fixed + segment.repeat * self.sizes[segment.group]

    def owners(self, model: nn.Module, number: int) -> list[nn.Module]:
        """The modules that hold a group's tensors."""
        return [owner(model, name)[0] for axis in self.axes[number] for name in self.names[axis.name]]

    def check(self, model: nn.Module, number: int, name: str) -> None:
        """Raise UserError unless the map is of this network as it is now and the group may change."""
        if self._model() is not model:
            found = "a handle of another network found, one of this network"
        elif not self._fits(model, self.axes[number]):
            found = "a stale handle found (the network was edited), a new trace"
        elif self.frozen[number] is not None:
            found = f"a frozen one found ({self.frozen[number]}), an editable one"
        else:
            return
        raise UserError(f"channel group {name}: {found} expected")

    def _fits(self, model: nn.Module, axes: list[Axis]) -> bool:
        modules = list(model.modules())
        if self.version != structure.structure_version(model) or len(modules) != len(self._modules):
            return False
        if any(a is not b for a, b in zip(modules, self._modules, strict=True)):
            return False
        for axis in axes:
            held = [lookup(model, name) for name in self.names[axis.name]]
            if any(tensor is not held[0] for tensor in held):
                return False
            if held[0].shape[axis.dim] != sum(map(self.length, axis.segments)):
                return False
        return True


def _role(roles: Collection[str]) -> str:
    known = ("depthwise", "consumer", "producer", "bias", "norm")
    return next((role for role in known if role in roles), "scale")


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
        """None, or why the group may not change."""
        return self.map.frozen[self.number]

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
        """Where one channel lies in a dimension (several entries after a flatten)."""
        found: list[int] = []
        start = 0
        for segment in axis.segments:
            if segment.group == self.number and segment.repeat:
                first = start + channel * segment.repeat
                found.extend(range(first, first + segment.repeat))
            start += self.map.length(segment)
        return found

    def __repr__(self) -> str:
        return f"ChannelGroup({self.name!r}, size={self.size}, frozen={self.frozen!r})"


def channel_groups(model: nn.Module, example: Tensor | tuple[Any, ...], *, prove: bool = True) -> list[ChannelGroup]:
    """Find the groups of channels of a network by one trace.

    Args:
        model: any module; its weights, statistics and mode are not touched.
        example: an input, or a tuple of positional inputs; only shapes and types matter.
        prove: widen every group in a float64 copy and freeze those that change its output. Leave it
            on for networks that are not of growsearch: no trace sees a view with written-down sizes.

    Returns:
        Handles in the order of the network's parameters, frozen ones among them.

    Raises:
        UserError: if the network cannot be traced.

    Example:
        >>> groups = channel_groups(model, torch.zeros(1, 3, 32, 32))
        >>> free = [group for group in groups if group.frozen is None]
        >>> widen(model, free[0], free[0].size + 4)
    """
    channel_map = ChannelMap(model, example)
    handles: list[ChannelGroup] = []
    taken: set[str] = set()
    for number, axes in enumerate(channel_map.axes):
        writers = [axis.layer for axis in axes if axis.role == "producer"]
        others = [axis.layer for axis in axes if axis.role in ("consumer", "depthwise")]
        if not writers and not others:
            continue
        name = base = writers[0] if writers else f"{others[0]} (input)"
        while name in taken:
            name = f"{base} ({len([t for t in taken if t.startswith(base)]) + 1})"
        taken.add(name)
        handles.append(ChannelGroup(name, channel_map, number))
    if prove:
        from growsearch.surgery.verify import prove_groups

        prove_groups(model, example, [handle for handle in handles if handle.frozen is None])
    return handles


def editable_share(groups: list[ChannelGroup]) -> float:
    """Output channels in groups that may change over all outputs of convolutions and linear layers.

    The network's own outputs are not counted.
    """
    free = total = 0
    for group_ in groups:
        for axis in group_.axes:
            if axis.role not in ("producer", "depthwise") or group_.frozen == "network output":
                continue
            count = sum(group_.map.length(s) for s in axis.segments if s.group == group_.number)
            total += count
            free += count if group_.frozen is None else 0
    return free / total if total else 0.0
