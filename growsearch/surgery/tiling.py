"""The effect of a remap on the entries of one dimension."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

from growsearch.surgery.channels import Axis, ChannelMap
from growsearch.surgery.groups import Segment
from growsearch.surgery.select import selected

Ratio: TypeAlias = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Entries of a dimension, with the numerators and denominators that they are multiplied by."""


_NONE = np.empty(0, np.int64)


class Tiling:
    """Plan for the entries of dimensions that are tiled alike.

    Args:
        channel_map: as it is before the edit.
        segments: what the dimensions are tiled by.
        number: the group that is edited.
        sources: see :func:`growsearch.surgery.remap`.
        cuts: whether no channel is fresh, as the caller knows.

    Attributes:
        source: for each new entry the old one it copies, 0 if it is fresh.
        channel: for each new entry its new channel, or -1 if it belongs to another group.
        fresh: the new entries of fresh channels.
        recounted: the new entries of channels that have another number of copies than before, once known.
    """

    def __init__(
        self, channel_map: ChannelMap, segments: tuple[Segment, ...], number: int, sources: np.ndarray, cuts: bool
    ) -> None:
        self.recounted: np.ndarray | None = None
        self.own: list[tuple[int, int]] = []  # where a pass through the group begins, and how often it repeats each
        if len(segments) == 1 and segments[0].repeat == 1:  # its own entries alone
            self.own = [(0, 1)]
            self._enter(sources, np.arange(len(sources)), None if cuts else sources < 0)
            return
        source, channel, start, done = [], [], 0, 0
        for segment in segments:
            length = channel_map.length(segment)
            if segment.group == number:
                self.own.append((start, segment.repeat))
                inside = np.arange(segment.repeat)
                source += [np.arange(done, start), (start + sources[:, None] * segment.repeat + inside).ravel()]
                channel += [np.full(start - done, -1), np.repeat(np.arange(len(sources)), segment.repeat)]
                done = start + length
            start += length
        source.append(np.arange(done, start))
        channels = np.concatenate([*channel, np.full(start - done, -1)])
        is_fresh = None if cuts else (channels >= 0) & (sources[channels] < 0)
        self._enter(np.concatenate(source), channels, is_fresh)

    def _enter(self, source: np.ndarray, channel: np.ndarray, is_fresh: np.ndarray | None) -> None:
        self.channel, self.fresh = channel, _NONE if is_fresh is None else np.flatnonzero(is_fresh)
        self.source = source if is_fresh is None or not len(self.fresh) else np.where(is_fresh, 0, source)
        first, last = int(self.source[0]), int(self.source[-1]) + 1
        self._is_run = last - first == len(self.source) and bool((np.diff(self.source) == 1).all())
        self._indices: dict[torch.device, Tensor] = {}

    def entries(self, tensor: Tensor, dim: int, channels: np.ndarray) -> Tensor:
        """The entries of old channels, one channel's after another's."""
        places = [start + channels[:, None] * repeat + np.arange(repeat) for start, repeat in self.own]
        return tensor.index_select(dim, on_device(np.concatenate(places, axis=1).ravel(), tensor))

    def take(self, tensor: Tensor, dim: int, ratio: Ratio | None) -> Tensor:
        """Copy the entries, times the ratio if there is one; fresh ones are still to be filled."""
        if self._is_run:
            taken = tensor.narrow(dim, int(self.source[0]), len(self.source)).clone()
        else:
            if tensor.device not in self._indices:
                self._indices[tensor.device] = on_device(self.source, tensor)
            taken = selected(tensor, dim, self._indices[tensor.device])
        if ratio is None:
            return taken
        where = on_device(ratio[0], tensor)
        shape = [-1 if d == dim else 1 for d in range(tensor.dim())]
        above, below = (torch.from_numpy(part).to(tensor).view(shape) for part in ratio[1:])
        return taken.index_copy_(dim, where, taken.index_select(dim, where) * above / below)


class Tilings:
    """The effect of remapping many groups at once on tensors that carry them.

    Args:
        channel_map: as it is before the edit.
        plan: group -> old channel of each new one; other groups stay.
    """

    def __init__(self, channel_map: ChannelMap, plan: Mapping[int, Sequence[int]]) -> None:
        self._map = channel_map
        self._sources = {number: np.array(each) for number, each in plan.items()}
        self._copies = {number: np.bincount(each)[each] for number, each in self._sources.items()}
        self._passes: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]] = {}
        self._tilings: dict[tuple[int, torch.device], tuple[Tensor, Tensor | None]] = {}

    def take(self, tensor: Tensor, axis: Axis) -> Tensor:
        """The new entries of a dimension; weights that sum over copies are divided by their number."""
        key = id(axis.segments), tensor.device
        if key not in self._tilings:
            entries, copies = self._tiled(axis.segments)
            divisors = on_device(copies, tensor) if copies.max(initial=1) > 1 else None
            self._tilings[key] = on_device(entries, tensor), divisors
        where, divisors = self._tilings[key]
        taken = tensor.index_select(axis.dim, where)
        if axis.role == "consumer" and divisors is not None:
            taken /= divisors.to(tensor).view([-1 if d == axis.dim else 1 for d in range(tensor.dim())])
        return taken

    def _tiled(self, segments: tuple[Segment, ...]) -> tuple[np.ndarray, np.ndarray]:
        """For each new entry the old one it copies, and the number of copies that there are of it."""
        passes = [self._pass(segment) for segment in segments]
        lengths = [self._map.length(segment) for segment in segments]
        starts = np.cumsum([0, *lengths[:-1]])
        entries, copies = (np.concatenate(each) for each in zip(*passes, strict=True))
        return entries + np.repeat(starts, [len(found) for found, _ in passes]), copies

    def _pass(self, segment: Segment) -> tuple[np.ndarray, np.ndarray]:
        """The entries of one pass through a group, counted from its start, and their numbers of copies."""
        edited = segment.group in self._sources and segment.repeat
        key = (segment.group, segment.repeat) if edited else (-1, self._map.length(segment))
        if key not in self._passes and edited:
            first = self._sources[segment.group][:, None] * segment.repeat
            copies = np.repeat(self._copies[segment.group], segment.repeat)
            self._passes[key] = (first + np.arange(segment.repeat)).ravel(), copies
        elif key not in self._passes:
            self._passes[key] = np.arange(key[1]), np.ones(key[1], int)
        return self._passes[key]


def on_device(numbers: np.ndarray, tensor: Tensor) -> Tensor:
    """Numbers as a tensor where another tensor is."""
    return torch.from_numpy(numbers).to(tensor.device)
