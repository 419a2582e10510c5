"""A narrow network in place of a network: few channels, random weights, double precision."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery.agreement import Outputs, compared, is_undefined
from growsearch.surgery.alone import Runs, of_the_first
from growsearch.surgery.chance import skewed_streams
from growsearch.surgery.channels import Axis, ChannelGroup, ChannelMap
from growsearch.surgery.drawn_inputs import copy_of, draw_inputs, samples_of
from growsearch.surgery.footprint import Footprint
from growsearch.surgery.interface import output_leaves, put_into
from growsearch.surgery.labels import Bond
from growsearch.surgery.rehearsal import Rehearsal, own_streams, without_dropout
from growsearch.surgery.remap import resize_layers
from growsearch.surgery.replace import ordered_like
from growsearch.surgery.tensors import Copier, copied, let_go, lookup, tensor_of, tensors_inside
from growsearch.surgery.tiling import Tilings, on_device
from growsearch.surgery.trace import describe

Plan: TypeAlias = dict[int, list[int]]
"""Group number -> the sources of its remap."""
Modes: TypeAlias = tuple[bool, ...]
"""Whether the network trains, for each of its runs."""
BOTH: Modes = (False, True)
TRIES = 8
"""So many random weights are tried until no layer of a stand-in computes the same of every sample, or hides what is
before it."""
STREAMS, TURNS = 12, 4
"""Beginnings of random streams where chance decides what a network runs, and with how many each edit is tried."""
SHRINKING = 16.0
"""Weights become so many times smaller where they lead to the ends of a sigmoid or softmax, or to large numbers."""


class StandIn:
    """A network with few channels in each group, which is edited in copies that are thrown away.

    Half of the channels of each group that may be copied freely are dead: nothing reads them.

    Args:
        model: the network that it stands for; it is not touched.
        example: an input, or a tuple of positional inputs.
        groups: handles of one trace, all those that will be edited.
        random: draws inputs and weights.
        footprint: memory of the network by sizes.
        limit: bytes above which an edited stand-in is run for one sample alone, where that tells as much.

    Attributes:
        blind: whether scores of queries and keys left no trace in their softmax.
        undefined: whether an output has entries that are no numbers, as a root of an input below zero.
    """

    def __init__(
        self,
        model: nn.Module,
        example: Tensor | tuple[Any, ...],
        groups: list[ChannelGroup],
        random: np.random.Generator,
        footprint: Footprint,
        limit: float,
    ) -> None:
        self._model, self._groups, self._map, self._random = model, groups, groups[0].map, random
        self._footprint, self._limit = footprint, limit
        device = next(model.parameters()).device
        self._tried = draw_inputs(example, device, self._map.rows, random)
        self._inputs, self._batch = self._tried[-1], samples_of(self._tried[-1])
        self.blind = self.undefined = False
        self._stream = 0

    def build(self, sizes: Mapping[int, int]) -> str | None:
        """Give groups these numbers of channels; None if the network runs so, else what happens.

        Whole numbers of the example that tell no samples apart are drawn instead, if the network takes such; inputs
        above zero stay so, if outputs are no numbers otherwise.
        """
        reason, found = None, None
        for inputs in self._tried:
            self._inputs = inputs
            reason = self._built(sizes)
            if reason is None and not (self.blind or self.undefined):
                return None
            found = inputs if reason is None and found is None else found
        if found is None:
            return reason
        self._inputs = found
        return self._built(sizes)

    def _built(self, sizes: Mapping[int, int]) -> str | None:
        try:
            plan = {number: list(range(size)) for number, size in sizes.items()}
            cold, self._drops = _edited(Copier(self._model, hooks=False), self._model, self._map, plan), True
            shift, scale = 0.0, 1.0
            for _ in range(TRIES):
                self._take(*cold)
                self._randomise(shift, scale)
                if self._map.keeps:
                    self._warm()
                self._reference: dict[tuple[bool, int], Outputs] = {}
                self._layers: dict[tuple[bool, int], tuple[int, int]] = {}
                self._unwatched: Outputs | None = None
                self._first: Runs | None = None
                dead, drops, blind, flat = zip(*map(self._refers, BOTH), strict=True)
                for _ in self.ways(0, STREAMS):
                    list(map(self._refers, BOTH if self._stream else ()))
                if not any((*dead, *flat)):
                    break
                shift += 0.25 * any(dead)
                scale /= SHRINKING if any(flat) else 1.0
            self._drops, self.blind = any(drops), any(blind)
            self.undefined = any(is_undefined(each) for each in self._reference.values())
        except Exception as error:
            if is_lack_of_memory(error) or isinstance(error, UserError):
                raise
            return f"the network fails when it is resized: {describe(error)}"
        return None

    @property
    def sizes(self) -> list[int]:
        """Number of channels of each group."""
        return self._base_map.sizes

    def halves(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Channels that are read, and dead ones."""
        size = self.sizes[number]
        alive = size if self._map.bonds[number] is not Bond.FREE or size < 3 else size - size // 2
        return np.arange(alive), np.arange(alive, size)

    def before(self, modes: Modes, alone: bool = False) -> Outputs:
        """Every output in some modes, each with what it was computed from; of the first sample, or of all."""
        reference = self._of_the_first if alone else self._of_all
        return [each for mode in modes for each in reference[mode]]

    def ways(self, number: int, count: int = TURNS) -> Iterator[None]:
        """Let chance decide otherwise in turn, where it decides what the network runs; a number says where to begin."""
        try:
            for stream in range(number, number + count) if self._map.chance else ():
                self._stream = stream % STREAMS
                yield
            if not self._map.chance:
                yield
        finally:
            self._stream = 0

    def outputs(self, plan: Plan, modes: Modes, alone: bool = False) -> Outputs:
        """The same after an edit; there is one edited copy at a time, for it may be as large as the network."""
        return self._outputs(lambda: _edited(self._copier, self._base, self._base_map, plan)[0], modes, alone)

    def alone(self, wanted: Mapping[int, int]) -> bool:
        """Whether it is run for its first sample alone with these sizes of groups: it gets large, and the sample tells.

        What it computes of several at its own sizes has shown before whether channels mix samples.
        """
        large = self._batch > 1 and self._bytes(wanted) > max(self._limit, 2 * self._bytes({}))
        return large and not self._map.chance and bool(self._of_the_first)

    def bytes(self, wanted: Mapping[int, int]) -> float:
        """What it takes with these sizes of groups, run for as many samples as it is."""
        return self._bytes(wanted, 1 / self._batch if self.alone(wanted) else 1)

    def _bytes(self, wanted: Mapping[int, int], share: float = 1) -> float:
        sizes = [wanted.get(number, size) for number, size in enumerate(self.sizes)]
        return self._footprint.bytes(self._footprint.lengths(sizes), share)

    @property
    def _of_all(self) -> Runs:
        return {mode: self._reference[mode, self._stream] for mode in BOTH}

    @property
    def _of_the_first(self) -> Runs:
        if self._first is None:
            self._first = of_the_first(
                self._of_all, lambda mode, place: self._run(self._copier.copy(torch.clone), mode, place=place)[0]
            )
        return self._first

    def silent(self, plan: Plan, modes: Modes) -> Outputs:
        """The same with all channels there, but nothing reads those that a plan which only cuts leaves out."""
        gone = {number: np.setdiff1d(np.arange(self.sizes[number]), kept) for number, kept in plan.items()}

        def silenced() -> nn.Module:
            net = self._copier.copy(torch.clone)
            for axis in self._reading(gone):
                tensor = lookup(net, axis.name)
                tensor.data.index_fill_(axis.dim, on_device(self._entries(axis, gone), tensor), 0.0)
            return net

        return self._outputs(silenced, modes)

    def repeats(self) -> bool:
        """Whether the stand-in computes the same again."""
        return all(compared(self.before((mode,)), self.outputs({}, (mode,)), "") is None for mode in BOTH)

    def agrees(
        self, edit: Callable[[nn.Module, ChannelMap], None], wanted: Mapping[int, int], briefly: bool = False
    ) -> bool:
        """Whether an edit leaves the outputs; most of those that are tried do not, which a bare run shows soonest.

        Briefly, such a run is all that is looked at, where the network has one.

        Args:
            edit: changes a network and its map.
            wanted: group -> size that the edit gives it.
            briefly: whether a bare run will do.
        """

        def edited() -> nn.Module:
            net = self._copier.copy(torch.clone)
            edit(net, self._base_map.on(net))
            return net

        try:
            alone = self.alone(wanted)
            if self._bare:
                before = _bared(self.before((False,), alone))
                same = compared(before, self._bare_outputs(edited(), alone), "") is None
                if briefly or not same:
                    return same
            return all(
                compared(self.before((mode,), alone), self._outputs(edited, (mode,), alone), "") is None
                for mode in BOTH
            )
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return False

    @property
    def _bare(self) -> Outputs:
        """The outputs in eval mode if a run that nothing watches gives the same; none if it draws, casts or fails."""
        if self._unwatched is None:
            expected = _bared(self.before((False,)))
            try:
                same = compared(expected, self._bare_outputs(self._copier.copy(torch.clone)), "") is None
            except Exception as error:
                if is_lack_of_memory(error):
                    raise
                same = False
            self._unwatched = expected if same else []
        return self._unwatched

    @torch.no_grad()
    def _bare_outputs(self, net: nn.Module, alone: bool = False) -> Outputs:
        """The outputs in eval mode of a network that is used up, without what they were computed from."""
        inputs = copy_of(self._inputs, 0 if alone else None)
        known = [*tensors_inside(inputs)]
        with own_streams(self._stream), skewed_streams(self._stream):
            output = net.eval()(*inputs), put_into(inputs, known)
            leaves = [(leaf, [leaf]) for leaf in output_leaves(output)]
            let_go(net)
            return leaves

    def _reading(self, numbers: Iterable[int]) -> list[Axis]:
        """Dimensions of weights that read channels of some groups."""
        axes = [axis for number in numbers for axis in self._map.axes[number] if axis.role == "consumer"]
        return list({id(axis): axis for axis in axes}.values())

    def _entries(self, axis: Axis, channels: Mapping[int, np.ndarray]) -> np.ndarray:
        """The entries of a dimension that some channels of groups have."""
        found, start = [np.empty(0, np.int64)], 0
        for segment in axis.segments:
            if segment.group in channels and segment.repeat:
                some = channels[segment.group]
                found.append((start + some[:, None] * segment.repeat + np.arange(segment.repeat)).ravel())
            start += self._base_map.length(segment)
        return np.concatenate(found)

    def _outputs(self, edited: Callable[[], nn.Module], modes: Modes, alone: bool = False) -> Outputs:
        return [each for mode in modes for each in self._like_before(edited, mode, place=0 if alone else None)]

    def _like_before(self, edited: Callable[[], nn.Module], mode: bool, place: int | None) -> Outputs:
        """What an edited network computes, while it keeps no more than what the stand-in's outputs are known by.

        If other layers run it keeps all that it can.
        """
        since, layers = self._layers[mode, self._stream]
        net = edited()
        found, rehearsal, _ = self._run(net, mode, place=place, since=since)
        let_go(net)
        return found if rehearsal.layers == layers or not since else self._run(edited(), mode, place=place)[0]

    def _refers(self, mode: bool) -> tuple[bool, bool, bool, bool]:
        """Note what the stand-in computes; whether a layer is dead, any drops out, scores are blind and gates flat."""
        net = self._copier.copy(torch.clone)
        found, rehearsal, drops = self._run(net, mode, watched=True)
        since = rehearsal.since([leaf for leaf, _ in found if isinstance(leaf, Tensor)])
        self._reference[mode, self._stream], self._layers[mode, self._stream] = found, (since, rehearsal.layers)
        return rehearsal.dead, drops, rehearsal.blind, rehearsal.flat

    @torch.no_grad()
    def _run(
        self, net: nn.Module, training: bool, watched: bool = False, place: int | None = None, since: int = 0
    ) -> tuple[Outputs, Rehearsal, bool]:
        """What a network computes that is used up by it, of all samples or of one."""
        inputs, batch = copy_of(self._inputs, place), self._batch if place is None else 1
        known = [*tensors_inside(inputs)]
        with (
            own_streams(self._stream),
            skewed_streams(self._stream),
            without_dropout(net, self._drops) as drops,
            Rehearsal(net, batch, watched, self._map.draws[training], self._stream, since) as rehearsal,
        ):
            net.train(training)
            output = net(*inputs)
            leaves = output_leaves((output, put_into(inputs, known)))
            found = [(leaf, rehearsal.behind(leaf) if isinstance(leaf, Tensor) else []) for leaf in leaves]
        return found, rehearsal, drops.met

    @torch.no_grad()
    def _warm(self) -> None:
        """Run the stand-in once in each mode, with what that leaves behind, as a network that is edited was run before.

        What it keeps of the old channels shows in its edited copies.
        """
        net = self._copier.copy(torch.clone)
        for mode in (True, False):
            self._run(net, mode)
        for name, buffer in self._base.named_buffers():
            lookup(net, name).copy_(buffer)
        self._take(net, self._base_map.on(net))

    def _take(self, net: nn.Module, channel_map: ChannelMap) -> None:
        self._base, self._base_map, self._copier = net, channel_map, Copier(net, hooks=False)

    @torch.no_grad()
    def _randomise(self, shift: float, scale: float) -> None:
        """Weights at which every channel matters: a zero-initialised norm or a tiny layer scale would hide an error.

        The further weights are shifted up, the fewer units are inactive; the smaller they are, the fewer are at an end.
        """
        for name, parameter in self._base.named_parameters():
            if not parameter.is_floating_point():
                continue
            noise = torch.from_numpy(np.asarray(self._random.standard_normal(tuple(parameter.shape))))
            if parameter.dim() > 1:
                noise = (noise + shift) * (2 / max(1, parameter[:1].numel())) ** 0.5
            else:
                noise = 0.1 * noise if name.endswith("bias") else noise.abs() + 0.5
            parameter.copy_(scale * noise)
        dead = {group.number: self.halves(group.number)[1] for group in self._groups}
        for axis in self._reading(dead):
            tensor = lookup(self._base, axis.name)
            tensor.index_fill_(axis.dim, on_device(self._entries(axis, dead), tensor), 0.0)
        norms = [m for m in self._base.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.momentum = 1.0
        state = copied(self._base, torch.clone, hooks=False)
        with own_streams(), without_dropout(state), Rehearsal(state, self._batch, draws=self._map.draws[True]):
            state.train()
            state(*self._inputs)
        for name, buffer in state.named_buffers():  # take over this input's statistics
            if name.endswith(("running_mean", "running_var")):
                lookup(self._base, name).copy_(buffer)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _bared(outputs: Outputs) -> Outputs:
    """Without what they were computed from."""
    return [(leaf, [leaf]) for leaf, _ in outputs]


def _edited(copier: Copier, model: nn.Module, channel_map: ChannelMap, plan: Plan) -> tuple[nn.Module, ChannelMap]:
    """A copy of a network in double precision with many groups remapped at once, and the copy's map.

    Equal to one :func:`growsearch.surgery.remap` after another of groups without copies and fresh channels, but each
    tensor is made anew once: in a dense network one tensor carries a hundred groups.
    """
    plan = {number: each for number, each in plan.items() if each != list(range(channel_map.sizes[number]))}
    axes: dict[str, dict[int, Axis]] = {}
    for axis in (axis for number in plan for axis in channel_map.axes[number]):
        axes.setdefault(axis.name, {})[axis.dim] = axis
    tilings = Tilings(channel_map, plan)
    values: dict[int, Tensor] = {}

    def converted(tensor: Tensor) -> Tensor:
        dtype, new = torch.float64 if tensor.is_floating_point() else tensor.dtype, values.pop(id(tensor), None)
        return tensor.to(dtype, copy=True) if new is None else new.to(dtype)

    with torch.no_grad():
        for name, each in axes.items():
            old = value = tensor_of(*channel_map.holders(model, name)[0])
            for axis in each.values():
                value = tilings.take(value, axis)
            values[id(old)] = ordered_like(value, old)
        net = copier.copy(converted)
    handles = channel_map.on(net)
    for number, sources in plan.items():
        handles.resize(net, number, len(sources))
        handles.lineage[number] = range(len(sources))
    resize_layers(net, handles, {name: each.values() for name, each in axes.items()})
    return net, handles
