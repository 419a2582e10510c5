"""Exact widening by new channels that say nothing at first, where copies would change the function.

Four kinds of channels can be added in any number though a copy of one would be seen:

- Under a root mean square norm, channels that are zero. Of D channels becoming E the mean square is D/E of what it
  was, so the norm's weight is multiplied by sqrt(D/E) and its epsilon by D/E (arXiv 2308.06103, section 3.4).
- Under a layer or group norm, channels that are the mean of the others (arXiv 2310.07999, section 4): what writes
  them has the mean of the others' weights. Mean and sum of squared deviations stay, the variance is D/E of what it
  was; weight and epsilon are scaled as above. It holds where all that writes the channels is added up.
- Where a window slides along the channels (ECA, local response norm), channels that are zero, after the last: the
  window found padding there, which is zero too.
- Channels of queries and keys: new ones of the keys are zero. Code that divides scores by the root of the number of
  channels is answered by keys times sqrt(E/D) (arXiv 2308.06103, section 3.3). Values that are widened with them go
  unread: the output projection's new columns are zero.

Under a norm that divides a sum of squares by one less than the number of channels, all channels can be copied equally
often: weight and epsilon are scaled by what that changes.

Where heads share the width of the stream that they read, all channels can be copied equally often: keys are divided by
the number of copies, or by its root where the code divides scores by the root of the number of channels.

Which of them is exact is tried in the stand-ins of the proof, in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain
from typing import Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from growsearch.surgery.channels import Axis, ChannelGroup, ChannelMap
from growsearch.surgery.labels import Bond
from growsearch.surgery.momentum import Entry, Optimizers
from growsearch.surgery.remap import Initialiser, Slab, grow
from growsearch.surgery.replace import replace as replace_tensor
from growsearch.surgery.tensors import lookup, owner

Quiet: TypeAlias = tuple[tuple[str, tuple[int, ...]], ...]
"""Layers with their passes through a group that are keys."""


@dataclass(frozen=True)
class Silent:
    """A way of adding channels that change nothing to a group.

    Attributes:
        fill: what writes new channels: weights that are zero, the mean of the others', or random ones;
            or all channels are copied equally often.
        unread: whether weights that read new channels are zero, else random.
        factors: whether vectors that are no norm's multiply the channels: new entries are their mean, else as ``fill``.
        quiet: the keys, whose new entries are zero unless they are copies.
        power: of the ratio of sizes, new to old, that keys are multiplied by.
        unbiased: whether a norm divides its sum of squares by one less than the number of channels.
    """

    fill: Literal["zero", "mean", "random", "copies"]
    unread: bool = False
    factors: bool = False
    quiet: Quiet = ()
    power: float = 0.0
    unbiased: bool = False


class Prover(Protocol):
    """The parts of a proof that are needed: its groups, and its stand-ins."""

    model: nn.Module
    map: ChannelMap
    groups: dict[int, ChannelGroup]

    def agrees(self, edit: Callable[[nn.Module, ChannelMap], None]) -> bool:
        """Whether an edit of a copy of the stand-in leaves its outputs."""


def candidates(model: nn.Module, group: ChannelGroup) -> list[Silent]:
    """Ways that may be exact for a group, the likeliest first."""
    axes, bond = group.axes, group.map.bonds[group.number]
    repeats = [{part.repeat for part in axis.segments if part.group == group.number} for axis in axes]
    simple = len({axis.name for axis in axes}) == len(axes) and all(len(each) == 1 for each in repeats)
    found: list[Silent] = []
    if bond is Bond.EVEN and simple and _norms(model, group):
        found = [Silent("zero", factors=True), Silent("zero"), Silent("mean"), Silent("mean", unread=True)]
    if bond is Bond.ORDERED and simple:
        found = [Silent("zero")]
    if bond is Bond.CUT:
        keys = list(dict.fromkeys(_keys(group)))
        found = [Silent("copies", unbiased=True)] if simple and _norms(model, group) else []
        found += [Silent("random", True, quiet=each, power=power) for each in keys if simple for power in (0.5, 0.0)]
        found += [Silent("copies", quiet=each, power=power) for each in keys for power in (-0.5, -1.0)]
    return found


def _keys(group: ChannelGroup) -> Iterator[Quiet]:
    """The parts of like layers that may be keys: the second of three that lie side by side or alternate, or of two."""
    layers: dict[tuple[str, int], list[str]] = {}
    for axis in group.axes:
        if axis.role == "producer":
            layers.setdefault((axis.layer.rpartition(".")[2], _passes(group, axis)), []).append(axis.layer)
    for parts in (3, 2, 1):
        for (_, count), like in layers.items():
            if count % parts == 0 and (parts > 1 or len(layers) > 1):  # keys alone would never learn
                size, second = count // parts, min(1, parts - 1)
                for part in (range(second * size, (second + 1) * size), range(second, count, parts)):
                    yield tuple((layer, tuple(part)) for layer in dict.fromkeys(like))


def _passes(group: ChannelGroup, axis: Axis) -> int:
    return sum(segment.group == group.number for segment in axis.segments)


def _norms(model: nn.Module, group: ChannelGroup) -> dict[str, list[nn.Module]]:
    """The weights of norms over the channels, with the modules that hold them."""
    found: dict[str, list[nn.Module]] = {}
    for axis in group.axes:
        holders = [owner(model, name) for name in group.map.names[axis.name]]
        modules = [module for module, leaf in holders if leaf == "weight" and _is_norm(module)]
        if modules:
            found[axis.name] = modules
    return found


def _is_norm(module: nn.Module) -> bool:
    """Whether a module has an epsilon and no statistics of single channels."""
    return "eps" in vars(module) and not isinstance(module, nn.modules.batchnorm._NormBase)


def offer(prover: Prover) -> None:
    """Enter in the map what is exact in the stand-in; one group of each kind is tried first, then all of the kind."""
    kinds: dict[tuple[Silent, ...], list[int]] = {}
    for number, group in prover.groups.items():
        found = candidates(prover.model, group) if group.unprunable is None else []
        if found:
            kinds.setdefault(tuple(replace(each, quiet=_leaves(each.quiet)) for each in found), []).append(number)
    for numbers in kinds.values():
        for index in range(len(candidates(prover.model, prover.groups[numbers[0]]))):
            plan = {n: candidates(prover.model, prover.groups[n])[index] for n in numbers}
            if _is_exact(prover, dict([next(iter(plan.items()))]), False):
                if not (_is_exact(prover, plan, False) and _is_exact(prover, plan, True)):
                    alone = [{number: silent} for number, silent in plan.items()]
                    exact = [each for each in alone if _is_exact(prover, each, False) and _is_exact(prover, each, True)]
                    plan = dict(chain.from_iterable(each.items() for each in exact))
                prover.map.silent.update(plan)
                break


def _leaves(quiet: Quiet) -> Quiet:
    """The same parts of layers of one name in all blocks."""
    return tuple((layer.rpartition(".")[2], passes) for layer, passes in quiet)


def _is_exact(prover: Prover, plan: Mapping[int, Silent], beyond: bool) -> bool:
    """Whether groups that get new channels so leave the stand-in's outputs: a few, or more than the network has."""

    def edit(net: nn.Module, handles: ChannelMap) -> None:
        generator = torch.Generator().manual_seed(0)
        for index, (number, silent) in enumerate(plan.items()):
            group = prover.groups[number].on(handles)
            times = prover.groups[number].size // group.size if beyond else 1
            size = group.size * (times + 1) if silent.fill == "copies" else group.size * times + 1 + index % 3
            add_silent(net, group, size, silent, generator, "drop", None)

    return prover.agrees(edit)


def add_silent(
    model: nn.Module,
    group: ChannelGroup,
    size: int,
    silent: Silent,
    generator: torch.Generator,
    momentum: Literal["follow", "drop"],
    optimizer: Optimizers,
) -> list[int]:
    """Widen a group so, inside the caller's transaction; the sources, -1 for a new channel."""
    old, norms = group.size, _norms(model, group)
    counts = {name: lookup(model, name).numel() for name in norms}
    quiet, axes = dict(silent.quiet), {axis.name: axis for axis in group.axes}
    first = {axis.name: [group.positions(axis, channel) for channel in range(old)] for axis in group.axes}

    def written(slab: Slab) -> Tensor:
        return torch.as_tensor(_written(slab))

    def _written(slab: Slab) -> Tensor | float:
        axis, before = axes[slab.name], lookup(model, slab.name).detach()
        passes = _passes(group, axis)
        if slab.name in norms:
            return 1.0
        if silent.factors and slab.role == "scale" and before.numel() == before.shape[axis.dim]:
            return float(before.mean())
        if silent.fill == "zero" and slab.role != "depthwise":
            return 0.0
        if silent.fill == "mean":
            places = torch.tensor(first[slab.name], device=before.device).view(old, passes, -1)
            others = before.index_select(axis.dim, places.movedim(0, 1).flatten())
            mean = others.unflatten(axis.dim, (passes, old, -1)).mean(axis.dim + 1, keepdim=True)
            return mean.repeat_interleave(size - old, axis.dim + 1).flatten(axis.dim, axis.dim + 2)
        if slab.role == "bias":
            return 0.0
        values = _random(slab, before, generator).unflatten(axis.dim, (passes, -1))
        keys = torch.tensor(quiet.get(axis.layer, ()), dtype=torch.long, device=values.device)
        if len(keys) and max(quiet[axis.layer]) < passes:
            values = values.index_fill(axis.dim, keys, 0.0)
        return values.flatten(axis.dim, axis.dim + 1)

    def read(slab: Slab) -> Tensor:
        return torch.zeros(()) if silent.unread else _random(slab, lookup(model, slab.name), generator)

    fresh: dict[str, Initialiser] = {role: written for role in ("producer", "bias", "depthwise", "scale")}
    copied = silent.fill == "copies"
    sources = [*range(old)] * (size // old) if copied else [*range(old), *[-1] * (size - old)]
    grow(model, group, sources, {**fresh, "consumer": read}, momentum, optimizer)
    for name, modules in norms.items() if not quiet else ():
        before, after = counts[name], lookup(model, name).numel()
        ratio = after / before * (before - 1) / (after - 1) if silent.unbiased else before / after
        _scale(model, name, ratio**0.5, optimizer)
        for module in modules:
            held = vars(module)
            held["eps"] = (torch.finfo(lookup(model, name).dtype).eps if held["eps"] is None else held["eps"]) * ratio
    if silent.power:
        for axis in group.axes:
            if axis.role in ("producer", "bias") and axis.layer in quiet:
                factor = torch.ones(_passes(group, axis), dtype=torch.float64)
                factor[list(quiet[axis.layer])] = (size / old) ** silent.power
                _scale(model, axis.name, _along(axis, factor, lookup(model, axis.name)), optimizer)
    return sources


def _along(axis: Axis, factor: Tensor, tensor: Tensor) -> Tensor:
    """One factor a pass as a tensor that multiplies another."""
    shape = [-1 if dim == axis.dim else 1 for dim in range(tensor.dim())]
    return factor.repeat_interleave(tensor.shape[axis.dim] // len(factor)).view(shape).to(tensor)


def _random(slab: Slab, like: Tensor, generator: torch.Generator) -> Tensor:
    """Values spread as those of the tensor that they extend."""
    values = torch.randn(slab.shape, generator=generator, dtype=torch.float64)
    return (values * float(like.detach().double().std(correction=0))).to(slab.device, slab.dtype)


def _scale(model: nn.Module, name: str, factor: float | Tensor, optimizer: Optimizers) -> None:
    """Multiply a tensor; gradients of what is multiplied are divided."""

    def carry(state: Tensor, entry: Entry, start: Tensor | float) -> Tensor:
        return state * factor if entry.averages_weight else state / factor**entry.power

    replace_tensor(model, name, lookup(model, name).detach() * factor, optimizer=optimizer, carry=carry)
