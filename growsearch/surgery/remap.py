"""The one primitive: give a channel group a new list of channels."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, cast

import numpy as np
import torch
from torch import Tensor, nn

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery import structure
from growsearch.surgery.arguments import channel_numbers, each_once, require_group, require_room
from growsearch.surgery.channels import Axis, ChannelGroup, ChannelMap
from growsearch.surgery.momentum import Carry, Entry, Optimizers, as_list, hand_over
from growsearch.surgery.replace import is_parameter, ordered_like, place, require_narrow_projections, set_sizes
from growsearch.surgery.surroundings import undisturbed
from growsearch.surgery.tensors import tensor_of
from growsearch.surgery.tiling import Ratio, Tiling, on_device
from growsearch.surgery.transaction import transaction

ROLES = ("producer", "bias", "norm", "depthwise", "consumer", "scale")
START = {"weight": 1.0, "bias": 0.0, "running_mean": 0.0, "running_var": 1.0}
"""Fresh entries of a norm's tensors by their names: the identity."""
COMPUTED = ".parametrizations."
"""Part of the name of a tensor that a weight is computed from (``torch.nn.utils.parametrize``)."""


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
        initialiser = fresh[self.role] if self.role in fresh else self._default()
        value = initialiser(self) if callable(initialiser) else initialiser
        try:
            return torch.as_tensor(value, dtype=self.dtype, device=self.device).detach().expand(self.shape)
        except (TypeError, ValueError, RuntimeError) as error:
            if is_lack_of_memory(error):
                raise
            raise UserError(
                f"fresh: the initialiser for role {self.role!r} ({self.name}) gives {str(value)[:60]}; it "
                f"must give numbers that broadcast to shape {self.shape}"
            ) from error

    def _default(self) -> float:
        leaf = self.name.rpartition(".")[2]
        if self.role in ("bias", "consumer"):
            return 0.0
        if self.role == "norm" and leaf in START:
            return START[leaf]
        if self.role == "scale" and COMPUTED not in self.name and math.prod(self.shape) == self.shape[self.dim]:
            return 1.0
        raise UserError(f"fresh: there is no initialiser for role {self.role!r} ({self.name}); give one")


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
            (weight 1, bias 0, mean 0, variance 1), biases and consumers 0 and scales of one entry a channel 1;
            all else must be given where it occurs: ``producer``, ``depthwise``, and ``scale`` for
            tensors that weights are computed from.
        duplicate: what is divided by the number of copies: the weights that sum over them (exact
            for every network), the weights and biases that write them (exact for layers without a
            norm and positively homogeneous activations), or nothing.
        momentum: optimizer state is mapped like its tensor, as if the network had had these channels
            all along (a gradient that copies share is divided between them, fresh channels
            start as new ones do), or dropped for every tensor that is replaced.
        optimizer: none, one or several optimizers, of those in :data:`growsearch.surgery.momentum.STATE`.
        removed: called with the group and the removed channels before anything is cut, inside
            the same transaction; it may use :func:`growsearch.surgery.replace`.

    Copies that a remap made are copies as long as every tensor has equal entries for them, which is looked
    at whenever one of them is copied or removed. Removing one gives its share of the consumers back to its
    twins, so that widening and pruning are inverse; one that has been trained apart is a channel as any other.

    Raises:
        UserError: for a frozen group, a stale handle, no channels, a source out of range, a role without an
            initialiser, or an optimizer whose state cannot follow.

    Example:
        >>> remap(model, group, [0, 2, 3])  # cut channel 1
        >>> remap(model, group, [*range(group.size), 0])  # copy channel 0
        >>> remap(  # one new filter that the network does not see yet
        ...     model, group, [*range(group.size), -1], fresh={"producer": lambda slab: torch.randn(slab.shape)}
        ... )
    """
    require_group(group)
    new = channel_numbers(sources, f"sources of {group.name}", -1, group.size - 1)
    cuts = bool(new.min() >= 0) and each_once(new)
    remap_checked(model, group, new, cuts, fresh or {}, duplicate, momentum, optimizer, removed)


@undisturbed
def remap_checked(
    model: nn.Module,
    group: ChannelGroup,
    new: np.ndarray,
    cuts: bool,
    fresh: Mapping[str, Initialiser],
    duplicate: str,
    momentum: str,
    optimizer: Optimizers,
    removed: Removed | None,
) -> None:
    """As :func:`remap`, for sources in range; ``cuts``: none of them is fresh, and none comes twice."""
    group.map.check(model, group.number, group.name, new, cuts)
    optimizer = as_list(optimizer)
    if duplicate not in ("scale_consumers", "scale_producers", "none") or momentum not in ("follow", "drop"):
        raise UserError(f"remap: duplicate={duplicate!r}, momentum={momentum!r} is not accepted; see its documentation")
    if removed is not None and not callable(removed):
        raise UserError(f"removed: {removed!r} is not accepted; use a function of the group and its removed channels")
    _check_fresh(group, fresh, not cuts and bool(new.min() < 0))
    require_room(model, group, len(new))
    with transaction(model, optimizer, None if removed is not None else group.map.owners(model, group.number)):
        size = group.size
        if removed is not None and (gone := np.setdiff1d(range(size), new).tolist()):
            removed(group, gone)
            group.map.check(model, group.number, group.name, new, cuts)
            if group.size != size:
                raise UserError(f"removed: {group.name} has {group.size} channels after it instead of {size}")
        _Plan(model, group, new, cuts, duplicate).apply(fresh, momentum, optimizer)


def resize_layers(model: nn.Module, channel_map: ChannelMap, axes: Mapping[str, Iterable[Axis]]) -> None:
    """Give the layers that hold some tensors their sizes; a depthwise convolution has as many groups as inputs.

    Args:
        model: the network, with its new tensors and its layers' old sizes.
        channel_map: its map.
        axes: name of each new tensor -> the dimensions that changed.
    """
    blocks: dict[Any, int] = {}  # filters of each block of a depthwise convolution
    counted: set[nn.Module] | None = None
    for name, each in axes.items():
        depthwise = any(axis.role == "depthwise" for axis in each)
        if depthwise and counted is None:
            counted = {model.get_submodule(path) for path, leaf, _ in channel_map.attributes if leaf == "groups"}
        for module, _ in channel_map.holders(model, name):
            blocks.setdefault(module, 0)
            if depthwise and isinstance(module, nn.modules.conv._ConvNd) and module not in (counted or ()):
                blocks[module] = module.out_channels // module.groups
    for module, filters in blocks.items():
        if filters:
            transposed = isinstance(module, nn.modules.conv._ConvTransposeNd)
            module.groups = module.weight.shape[0] // (1 if transposed else filters)
        set_sizes(module)
    _resize_computed(model, axes)


def _resize_computed(model: nn.Module, names: Iterable[str]) -> None:
    """Give layers whose weights are computed from these tensors the sizes that follow.

    The weight is computed in eval mode: in train mode spectral norm would write its estimate.
    """
    layers = [name.partition(COMPUTED) for name in names if COMPUTED in name]
    if not layers:
        return
    for layer in {layer for layer, _, leaf in layers if leaf.startswith("weight.")}:
        module = model.get_submodule(layer)
        computing = list(cast(nn.Module, module.parametrizations).modules())
        modes = [each.training for each in computing]
        for each in computing:
            each.training = False
        with torch.no_grad():
            set_sizes(module, cast(Tensor, module.weight))
        for each, mode in zip(computing, modes, strict=True):
            each.training = mode


def grow(
    model: nn.Module,
    group: ChannelGroup,
    sources: list[int],
    fresh: Mapping[str, Initialiser],
    momentum: str,
    optimizer: Optimizers,
) -> None:
    """As :func:`remap`, for a caller who knows that this is exact, and inside the caller's transaction."""
    _Plan(model, group, np.array(sources), False, "scale_consumers").apply(fresh, momentum, optimizer)


def _check_fresh(group: ChannelGroup, fresh: Mapping[str, Initialiser], needed: bool) -> None:
    """Raise UserError for a role that does not exist, or weights that are all computed, of tensors unknown here."""
    if not (needed or fresh) and type(fresh) is dict:
        return
    if not isinstance(fresh, Mapping):
        raise UserError(f"fresh: {fresh!r} is not accepted; use a mapping of roles to initialisers")
    unknown = [role for role in fresh if role not in ROLES]
    if unknown:
        raise UserError(f"fresh: role {unknown[0]!r} is not known; use one of {', '.join(ROLES)}")
    if needed and "scale" not in fresh and not (group.producers or group.layers("depthwise")):
        raise UserError(
            f"fresh: there is no initialiser for role 'scale' ({group.name}: its weights are computed); give one"
        )


class _Plan:
    """One remap: the number of copies of each channel before and after, and each tensor's new entries."""

    def __init__(self, model: nn.Module, group: ChannelGroup, sources: np.ndarray, cuts: bool, duplicate: str) -> None:
        self.model, self.group, self.map = model, group, group.map
        self.sources, self.cuts, self.duplicate = sources, cuts, duplicate
        self.axes = self.map.tensors[group.number]
        self.tilings: dict[int, Tiling] = {}
        self.lineage: Sequence[int] = range(len(sources))
        self.recounted: np.ndarray | None = None
        if duplicate != "none" and not (cuts and isinstance(self.map.lineage[group.number], range)):
            self._count_copies()

    def _count_copies(self) -> None:
        """Note which new channels are copies of each other, and which have another number of copies than before."""
        before = self._lineage()
        fresh = self.sources < 0
        after = np.where(fresh, before.max() + np.cumsum(fresh), before[self.sources])
        counts = [np.bincount(each, minlength=after.max() + 1) for each in (before, after)]
        self.copies_before, self.copies_after = (np.maximum(count, 1)[after] for count in counts)
        changed = self.copies_before != self.copies_after
        self.recounted = changed if changed.any() else None
        if counts[1].max() > 1:
            self.lineage = after.tolist()

    def _lineage(self) -> np.ndarray:
        """The old channels' numbers, shared by exact copies; copies that have moved apart share none.

        Only those that are copied or removed are looked at, and their twins.
        """
        known = self.map.lineage[self.group.number]
        if isinstance(known, range):
            return np.arange(len(known))
        number = np.array(known)
        named = np.bincount(self.sources[self.sources >= 0], minlength=len(number))
        touched = np.zeros(number.max() + 1, bool)
        touched[number[named != 1]] = True
        twins = np.flatnonzero(touched[number] & (np.bincount(number)[number] > 1))
        while len(twins):
            _, first, inverse = np.unique(number[twins], return_index=True, return_inverse=True)
            leaders = twins[first][inverse]
            twins = twins[(twins != leaders) & ~self._equal(twins, leaders)]  # NaN equals nothing, itself included
            number[twins] += number.max() + 1
        return np.unique(number, return_inverse=True)[1]

    def _equal(self, channels: np.ndarray, others: np.ndarray) -> np.ndarray:
        """For each pair of channels whether they have the same entries in every tensor."""
        equal = torch.ones(len(channels), dtype=torch.bool, device="cpu")
        for name, axes in self.axes.items():
            tensor = tensor_of(*self.map.holders(self.model, name)[0]).detach()
            for axis in axes if not tensor.is_meta else ():
                ours, theirs = (self._tiling(axis).entries(tensor, axis.dim, each) for each in (channels, others))
                equal &= (ours == theirs).movedim(axis.dim, 0).reshape(len(channels), -1).all(1).cpu()
        return equal.numpy()

    def _tiling(self, axis: Axis) -> Tiling:
        key = id(axis.segments)
        if key not in self.tilings:
            self.tilings[key] = Tiling(self.map, axis.segments, self.group.number, self.sources, self.cuts)
        return self.tilings[key]

    def apply(self, fresh: Mapping[str, Initialiser], momentum: str, optimizer: Optimizers) -> None:
        """Replace every tensor of the group and make the channel map true again."""
        moves = []
        for name, axes in self.axes.items():
            holders = self.map.holders(self.model, name)
            old = tensor_of(*holders[0])
            new = place(holders, self._value(old.detach(), axes, fresh))
            if optimizer and is_parameter(*holders[0]):
                moves.append((old, new, self._carry(axes) if momentum == "follow" else None))
        if optimizer:
            hand_over(optimizer, moves)
        self.map.resize(self.model, self.group.number, len(self.sources))
        require_narrow_projections(self.map.counting(self.model, self.group.number))
        resize_layers(self.model, self.map, self.axes)
        self.map.lineage[self.group.number] = self.lineage
        self.map.version = structure.structure_changed(self.model)

    def _value(self, value: Tensor, axes: list[Axis], fresh: Mapping[str, Initialiser]) -> Tensor:
        for axis in axes:
            tiling = self._tiling(axis)
            value = tiling.take(value, axis.dim, self._ratio(tiling, self._divided(axis.role)[0]))
            where = tiling.fresh
            if len(where):
                shape = tuple(len(where) if d == axis.dim else n for d, n in enumerate(value.shape))
                slab = Slab(axis.name, axis.role, axis.dim, shape, value.dtype, value.device)
                value.index_copy_(axis.dim, on_device(where, value), slab.make(fresh))
        return value

    def _carry(self, axes: list[Axis]) -> Carry:
        def carry(old: Tensor, entry: Entry, start: Tensor | float) -> Tensor:
            state = old
            for axis in axes:
                weight_divided, gradient_divided = self._divided(axis.role)
                power, divided = (1, weight_divided) if entry.averages_weight else (entry.power, gradient_divided)
                tiling = self._tiling(axis)
                state = tiling.take(state, axis.dim, self._ratio(tiling, divided and power > 0, power))
            for axis in axes:
                where = on_device(self._tiling(axis).fresh, state)
                if isinstance(start, Tensor):
                    state.index_copy_(axis.dim, where, start.index_select(axis.dim, where))
                elif len(where):
                    state.index_fill_(axis.dim, where, start)
            return ordered_like(state, old)

        return carry

    def _divided(self, role: str) -> tuple[bool, bool]:
        """Whether a role's weights, and whether its gradients, are divided among copies."""
        if self.duplicate == "scale_consumers":
            return role == "consumer", role != "consumer"
        if self.duplicate == "scale_producers":
            return role in ("producer", "bias"), role == "consumer"
        return False, False

    def _ratio(self, tiling: Tiling, divided: bool, power: int = 1) -> Ratio | None:
        """Copies before and after, for each entry where they differ; None if they differ nowhere."""
        if not divided or self.recounted is None:
            return None
        if tiling.recounted is None:
            tiling.recounted = np.flatnonzero((tiling.channel >= 0) & self.recounted[tiling.channel])
        channels = tiling.channel[tiling.recounted]
        return tiling.recounted, self.copies_before[channels] ** power, self.copies_after[channels] ** power
