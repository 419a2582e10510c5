"""The one primitive: give a channel group a new list of channels."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery import structure
from growsearch.surgery.channels import Axis, ChannelGroup, ChannelMap
from growsearch.surgery.momentum import Optimizers, as_list
from growsearch.surgery.replace import replace
from growsearch.surgery.tensors import lookup, owner
from growsearch.surgery.transaction import transaction


@dataclass(frozen=True)
class Slab:
    """The part of a tensor that belongs to new channels, to be filled by an initialiser.

    Attributes:
        name: the tensor's name in the network, such as ``features.0.weight``.
        role: producer, bias, norm, depthwise, consumer or scale.
        dim: the dimension along which the new channels lie.
        shape: of the slab; along ``dim`` the number of new entries.
        dtype: of the tensor.
        device: of the tensor.
    """

    name: str
    role: str
    dim: int
    shape: tuple[int, ...]
    dtype: torch.dtype
    device: torch.device

    def make(self, fresh: Mapping[str, Initialiser]) -> Tensor:
        """The slab's values from the initialiser of its role, or the default documented in :func:`remap`."""
        initialiser = fresh.get(self.role)
        if initialiser is None:
            if self.role in ("producer", "depthwise"):
                raise UserError(f"fresh: no initialiser for role {self.role!r} found, one expected ({self.name})")
            ones = self.role == "scale" or (self.role == "norm" and self.name.endswith(("weight", "running_var")))
            initialiser = 1.0 if ones else 0.0
        value = initialiser(self) if callable(initialiser) else torch.as_tensor(initialiser)
        return value.detach().to(self.device, self.dtype).expand(self.shape)


Initialiser: TypeAlias = Callable[[Slab], Tensor] | Tensor | float
Removed: TypeAlias = Callable[[ChannelGroup, Sequence[int]], None]


def remap(
    model: nn.Module,
    group: ChannelGroup,
    sources: Sequence[int],
    *,
    fresh: Mapping[str, Initialiser] | None = None,
    duplicate: Literal["scale_consumers", "scale_producers", "none"] = "scale_consumers",
    momentum: Literal["follow", "drop"] = "follow",
    optimizer: Optimizers = None,
    removed: Removed | None = None,
) -> None:
    """Give a group a new list of channels, in every tensor that carries them; all of it or nothing.

    Args:
        model: the network that ``group`` was traced on.
        group: a handle; it and all others of its trace stay valid.
        sources: entry i names the old channel that new channel i copies, or -1 for a fresh one. A
            channel that is not named is removed.
        fresh: role -> initialiser of the fresh channels' part of a tensor: a number, a tensor that
            broadcasts to the slab, or a function of the :class:`Slab`. Left out, norms are the identity
            (weight 1, bias 0, mean 0, variance 1), biases and consumers 0 and scales 1;
            ``producer`` and ``depthwise`` must be given where they occur.
        duplicate: what is divided by the number of copies: the weights that sum over them (exact
            for every network), the weights and biases that write them (exact for layers without a
            norm and positively homogeneous activations), or nothing.
        momentum: optimizer state is mapped like its tensor, as if the network had had these channels
            all along (a gradient that copies share is divided between them, fresh channels
            start at zero), or dropped for every tensor that is replaced.
        optimizer: none, one or several ``torch.optim`` optimizers.
        removed: called with the group and the removed channels before anything is cut, inside
            the same transaction; it may use :func:`growsearch.surgery.replace`.

    Removing an exact copy that a remap made gives its share of the consumers back to its twins, so
    that widening and pruning are inverse; a copy that has been trained apart is cut as any other.

    Raises:
        UserError: for a frozen group, a stale handle, no channels, a source out of range or a role
            without an initialiser.

    Example:
        >>> remap(model, group, [0, 2, 3])  # cut channel 1
        >>> remap(model, group, [*range(group.size), 0])  # copy channel 0
        >>> remap(  # one new filter that the network does not see yet
        ...     model, group, [*range(group.size), -1], fresh={"producer": lambda slab: torch.randn(slab.shape)}
        ... )
    """
    new = [int(source) for source in sources]
    group.map.check(model, group.number, group.name, new)
    optimizer = as_list(optimizer)
    if not new or min(new) < -1 or max(new) >= group.size:
        raise UserError(f"sources of {group.name}: {_short(new)} found, entries from -1 to {group.size - 1} expected")
    if duplicate not in ("scale_consumers", "scale_producers", "none") or momentum not in ("follow", "drop"):
        raise UserError(f"remap: duplicate={duplicate!r}, momentum={momentum!r} found, see its documentation")
    with transaction(model, optimizer, None if removed is not None else group.map.owners(model, group.number)):
        gone = sorted(set(range(group.size)) - set(new))
        if removed is not None and gone:
            removed(group, gone)
        _Plan(model, group, new, duplicate).apply(fresh or {}, momentum, optimizer)


def _short(values: list[int]) -> str:
    return str(values) if len(values) < 12 else f"{len(values)} entries from {min(values)} to {max(values)}"


class _Plan:
    """One remap: the number of copies of each channel before and after, and each tensor's new entries."""

    def __init__(self, model: nn.Module, group: ChannelGroup, sources: list[int], duplicate: str) -> None:
        self.model, self.group, self.map = model, group, group.map
        self.sources, self.duplicate = np.array(sources), duplicate
        before, self.lineage = self._lineage()
        counts, after = Counter(before), Counter(self.lineage)
        self.copies_before = np.array([max(counts[twin], 1) for twin in self.lineage])
        self.copies_after = np.array([after[twin] for twin in self.lineage])

    def _lineage(self) -> tuple[list[int], list[int]]:
        """Old and new channels' numbers, shared by exact copies; copies that have moved apart share none."""
        before = list(self.map.lineage[self.group.number])
        unused = itertools.count(max(before) + 1)
        kept = set(self.sources.tolist())
        for twin in {before[channel] for channel in set(range(len(before))) - kept}:
            twins = [channel for channel, number in enumerate(before) if number == twin]
            if self.duplicate == "none" or not self._equal(twins):
                for channel in twins:
                    before[channel] = next(unused)
        if self.duplicate == "none":
            return before, [next(unused) for _ in self.sources]
        return before, [before[source] if source >= 0 else next(unused) for source in self.sources]

    def _equal(self, twins: list[int]) -> bool:
        """Whether channels have the same entries in every tensor."""
        for axis in self.group.axes if len(twins) > 1 else ():
            tensor = lookup(self.model, axis.name)
            first, *rest = (self.group.positions(axis, channel) for channel in twins)
            parts = [tensor.index_select(axis.dim, torch.tensor(p, device=tensor.device)) for p in (first, *rest)]
            if not all(torch.equal(parts[0], part) for part in parts[1:]):
                return False
        return True

    def apply(self, fresh: Mapping[str, Initialiser], momentum: str, optimizer: Optimizers) -> None:
        """Replace every tensor of the group and make the channel map true again."""
        for name in dict.fromkeys(axis.name for axis in self.group.axes):
            self._replace(name, fresh, momentum, optimizer)
        self.map.resize(self.model, self.group.number, len(self.sources))
        self.map.lineage[self.group.number] = self.lineage
        self.map.version = structure.structure_changed(self.model)

    def _replace(self, name: str, fresh: Mapping[str, Initialiser], momentum: str, optimizer: Optimizers) -> None:
        entries = [
            _Entries(self.map, axis, self.group.number, self.sources) for axis in self.group.axes if axis.name == name
        ]
        multipliers = self._multipliers(name) if any(entry.axis.role == "depthwise" for entry in entries) else []
        value = lookup(self.model, name).detach()
        for entry in entries:
            weight_divided, _ = self._divided(entry.axis.role)
            value = entry.take(value, self._ratio(entry, weight_divided))
            value = entry.fill(value, fresh)

        def carry(state: Tensor, squared: bool) -> Tensor:
            for entry in entries:
                _, gradient_divided = self._divided(entry.axis.role)
                state = entry.take(state, self._ratio(entry, gradient_divided, power=2 if squared else 1))
                state = entry.fill(state, None)
            return state

        replace(
            self.model,
            name,
            value,
            optimizer=optimizer,
            carry=carry if momentum == "follow" else None,
            names=self.map.names[name],
        )
        for conv, multiplier in multipliers:  # a depthwise convolution has as many groups as input channels
            conv.groups = conv.in_channels = conv.out_channels // multiplier

    def _divided(self, role: str) -> tuple[bool, bool]:
        """Whether a role's weights, and whether its gradients, are divided among copies."""
        if self.duplicate == "scale_consumers":
            return role == "consumer", role != "consumer"
        if self.duplicate == "scale_producers":
            return role in ("producer", "bias"), role == "consumer"
        return False, False

    def _ratio(self, entry: _Entries, divided: bool, power: int = 1) -> tuple[np.ndarray, np.ndarray] | None:
        """Numerator and denominator for each entry: copies before over copies after; None if all are one."""
        if not divided or np.array_equal(self.copies_before, self.copies_after):
            return None
        ours = entry.channel >= 0
        fraction = [np.ones(len(ours), np.int64) for _ in range(2)]
        for part, copies in zip(fraction, (self.copies_before, self.copies_after), strict=True):
            part[ours] = copies[entry.channel[ours]] ** power
        return fraction[0], fraction[1]

    def _multipliers(self, name: str) -> list[tuple[nn.modules.conv._ConvNd, int]]:
        """The depthwise convolutions that hold a weight, with their filters per input channel."""
        holders = [owner(self.model, each)[0] for each in self.map.names[name]]
        convs = [holder for holder in holders if isinstance(holder, nn.modules.conv._ConvNd)]
        return [(conv, conv.out_channels // conv.in_channels) for conv in convs]


class _Entries:
    """What becomes of the entries of one dimension.

    Attributes:
        axis: the dimension.
        source: for each new entry the old one it copies.
        channel: for each new entry its new channel, or -1 if it belongs to another group.
        is_fresh: for each new entry whether its channel is a fresh one.
    """

    def __init__(self, channel_map: ChannelMap, axis: Axis, number: int, sources: np.ndarray) -> None:
        self.axis = axis
        old, channel, start = [], [], 0
        for segment in axis.segments:
            length = channel_map.length(segment)
            if segment.group == number:
                inside = np.arange(segment.repeat)
                old.append((start + sources[:, None] * segment.repeat + inside).ravel())
                channel.append(np.repeat(np.arange(len(sources)), segment.repeat))
            else:
                old.append(np.arange(start, start + length))
                channel.append(np.full(length, -1))
            start += length
        self.channel = np.concatenate(channel)
        self.is_fresh = (self.channel >= 0) & (sources[self.channel] < 0)
        self.source = np.where(self.is_fresh, 0, np.concatenate(old))

    def take(self, tensor: Tensor, ratio: tuple[np.ndarray, np.ndarray] | None) -> Tensor:
        """Copy the entries, times the ratio if there is one; fresh ones are still to be filled."""
        dim = self.axis.dim
        taken = tensor.index_select(dim, torch.from_numpy(self.source).to(tensor.device))
        if ratio is None:
            return taken
        changed = np.flatnonzero(ratio[0] != ratio[1])
        where = torch.from_numpy(changed).to(tensor.device)
        shape = [-1 if d == dim else 1 for d in range(tensor.dim())]
        above, below = (torch.from_numpy(part[changed]).to(tensor).view(shape) for part in ratio)
        return taken.index_copy_(dim, where, taken.index_select(dim, where) * above / below)

    def fill(self, tensor: Tensor, fresh: Mapping[str, Initialiser] | None) -> Tensor:
        """Give fresh entries their values; zero if there are no initialisers."""
        where = np.flatnonzero(self.is_fresh)
        if not len(where):
            return tensor
        dim = self.axis.dim
        shape = tuple(len(where) if d == dim else n for d, n in enumerate(tensor.shape))
        slab = Slab(self.axis.name, self.axis.role, dim, shape, tensor.dtype, tensor.device)
        value = slab.make(fresh) if fresh is not None else torch.zeros(shape, dtype=slab.dtype, device=slab.device)
        return tensor.index_copy(dim, torch.from_numpy(where).to(tensor.device), value)
