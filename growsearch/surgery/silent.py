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
the number of copies, or by its root where the code divides scores by the root of the number of channels. A last norm is
divided too, if the head's weights are those of the embedding.

Channels that computed weights read (a mask, rounding, a norm of weights) go unread: the tensors that these are computed
from are zero there. Weights that are standardised and have factors get the mean of each filter, which the
standardisation turns into zero: of D channels becoming E, their factors are multiplied by sqrt(D/E) and epsilon by D/E.

What is divided by its length over the channels takes new channels that are zero.

Which of them is exact is tried in the stand-ins of the proof, in double precision.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Any, Literal, Protocol, TypeAlias

import torch
from torch import Tensor, nn

from growsearch.surgery.channels import Axis, ChannelGroup, ChannelMap
from growsearch.surgery.labels import ALONE, Bond
from growsearch.surgery.momentum import Entry, Optimizers
from growsearch.surgery.remap import COMPUTED, Initialiser, Slab, grow
from growsearch.surgery.replace import is_parameter
from growsearch.surgery.replace import replace as replace_tensor
from growsearch.surgery.tensors import lookup, owner

Keys: TypeAlias = tuple[tuple[str, tuple[int, ...], float], ...]
"""Layers with their passes through a group that are keys, and the power of the ratio of sizes that multiplies them."""
_WORDS = {"query": "q", "key": "k", "value": "v", "wq": "q", "wk": "k", "wv": "v"}
SPREAD = 16.0
"""New random weights of a proof are so many times larger than others: what depends on the largest of them shows."""
MOST_KINDS = 3
"""Keys of up to so many kinds of layers may be multiplied by different powers."""


@dataclass(frozen=True)
class Silent:
    """A way of adding channels that change nothing to a group.

    Attributes:
        fill: what writes new channels: weights that are zero, the mean of the others', or random ones;
            or all channels are copied equally often.
        unread: whether weights that read new channels are zero, else random.
        factors: whether vectors that are no norm's multiply the channels: new entries are their mean, else as ``fill``.
        keys: whose new entries are zero unless they are copies.
        unbiased: whether a norm divides its sum of squares by one less than the number of channels.
        gains: whether factors of weights that are standardised, and read the channels, are scaled.
        tables: entries for new channels of weights that the code computes with, or that both read and write the
            channels: as ``fill``, zero (buffers have copies, or zero too), or the mean of a filter's others.
    """

    fill: Literal["zero", "mean", "random", "copies"]
    unread: bool = False
    factors: bool = False
    keys: Keys = ()
    unbiased: bool = False
    gains: bool = False
    tables: Literal["fill", "unread", "zero", "mean"] = "fill"


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

    def agrees(self, edit: Callable[[nn.Module, ChannelMap], None]) -> bool:
        """Whether an edit of a copy of the stand-in leaves its outputs."""


def candidates(model: nn.Module, group: ChannelGroup) -> list[Silent]:
    """Ways that may be exact for a group, the likeliest first."""
    axes, bond = group.axes, group.map.bonds[group.number]
    if group.map.frozen[group.number] == ALONE:
        return []
    repeats = [{part.repeat for part in axis.segments if part.group == group.number} for axis in axes]
    simple = all(len(each) == 1 for each in repeats)
    norms, gains, tables = _norms(model, group), _gains(model, group), any(_is_table(model, axis) for axis in axes)
    found: list[Silent] = []
    if simple and norms and (bond is Bond.EVEN or (bond is Bond.CUT and tables)):
        found = [Silent("zero", factors=True), Silent("zero"), Silent("mean")]
        found += [Silent("mean", unread=True)] if bond is Bond.EVEN else []
    if bond is Bond.ORDERED and simple:
        found = [Silent("zero"), *([Silent("zero", gains=True, tables="mean")] if gains else [])]
    if bond is Bond.CUT:
        keys = list(dict.fromkeys(_keys(group)))
        found += [Silent("copies", unbiased=True)] if simple and norms else []
        if group.producers and tables and simple:  # without a layer that writes them they would never learn
            found += [Silent("random", True, tables="unread"), Silent("random", True, tables="zero")]
            found += [Silent("random", True, gains=True, tables="mean")] if gains else []
        found += [Silent("copies", gains=True)] if gains else []
        divided = str(group.map.frozen[group.number]).endswith("norm over channels")
        computed = any(COMPUTED in axis.name for axis in axes)  # such weights would be zero too, and never learn
        found += [Silent("zero")] if simple and divided and not computed else []
        found += [Silent("random", True, keys=_to(each, power)) for each in keys if simple for power in (0.5, 0.0)]
        last = tuple(_last_norm(group)) if any((each.name, each.dim) in group.map.shared for each in axes) else ()
        found += [Silent("copies", keys=(*_to(each, power), *last)) for each in keys for power in (-0.5, -1.0)]
        named = list(_named_keys(model, group))
        found += [Silent("random", True, keys=_to(each, power)) for each in named[:1] if simple for power in (0.5, 0.0)]
        found += [Silent("copies", keys=(*each, *last)) for each in named]
    return found


def _keys(group: ChannelGroup) -> Iterator[Keys]:
    """The parts of like layers that may be keys: the second of three that lie side by side or alternate, or of two."""
    layers: dict[tuple[str, int], list[str]] = {}
    for axis in group.axes:
        if axis.role == "producer":
            layers.setdefault((axis.layer.rpartition(".")[2], _passes(group, axis)), []).append(axis.layer)
    for parts in (3, 2, 1):
        for (_, count), like in layers.items():
            if count % parts == 0 and (parts > 1 or len(layers) > 1):  # keys alone would never learn
                for part in _part(count, parts, min(1, parts - 1)):
                    yield tuple((layer, part, 0.0) for layer in dict.fromkeys(like))
    for (_, count), like in layers.items():  # many queries with one key, and a value: the key, or else the queries
        for one in ((count - 1,), (count - 2,), tuple(range(count - 1))) if count > 2 else ():
            yield tuple((layer, one, 0.0) for layer in dict.fromkeys(like))


def _last_norm(group: ChannelGroup) -> Iterator[tuple[str, tuple[int, ...], float]]:
    """The last norm over the channels as keys that are divided, for a head whose weights are an embedding's too."""
    for axis in [axis for axis in group.axes if axis.role == "norm"][-1:]:
        yield axis.layer, tuple(range(_passes(group, axis))), -1.0


def _is_table(model: nn.Module, axis: Axis) -> bool:
    """Whether a dimension belongs to a weight that does not simply write or read the channels."""
    tensor = lookup(model, axis.name)
    return axis.role == "scale" and tensor.numel() > tensor.shape[axis.dim]


def _part(count: int, parts: int, index: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """One of some equal parts of passes, if they lie side by side, and if they alternate."""
    size = count // parts
    return tuple(range(index * size, (index + 1) * size)), tuple(range(index, count, parts))


def _to(keys: Keys, power: float) -> Keys:
    return tuple((layer, passes, power) for layer, passes, _ in keys)


def _named_keys(model: nn.Module, group: ChannelGroup) -> Iterator[Keys]:
    """Keys of all layers whose names say so, where several kinds of attentions share a stream.

    One of several kinds may sum over no channels of keys, as an attention between channels.

    Of queries alone and keys it is the keys, or the norm that they go through; of packed ones the part.
    """
    counts = {(axis.name, axis.dim): _passes(group, axis) for axis in group.axes}
    once, norms = math.gcd(*counts.values()), {}
    for axis in group.axes:
        if axis.role == "norm" and _letters(axis.name) == "k":
            norms[axis.layer.rpartition(".")[0]] = axis.layer, counts[axis.name, axis.dim]
    for side_by_side in (True, False):
        kinds: dict[Any, list[tuple[str, tuple[int, ...]]]] = {}
        for axis in group.axes:
            count, letters = counts[axis.name, axis.dim], _letters(axis.name)
            if axis.role != "producer" or not letters or count % once:
                continue
            above, parts = axis.layer.rpartition(".")[0], count // once
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
    for part in reversed(name.lower().split(".")):
        if part.startswith("in_proj"):
            return "qkv"
        for word in (part, *part.split("_")):
            letters = _WORDS.get(word, word)
            if letters and set(letters) <= set("qkv"):
                return letters
    return ""


def _gains(model: nn.Module, group: ChannelGroup) -> list[str]:
    """Factors, one an output, of the standardised weights of convolutions that read the channels."""
    found: list[str] = []
    for axis in group.axes:
        module, leaf = owner(model, axis.name)
        if axis.role == "scale" and axis.dim == 1 and leaf == "weight" and isinstance(module, nn.modules.conv._ConvNd):
            shape = (module.weight.shape[0], *[1] * (module.weight.dim() - 1))
            found += [f"{axis.layer}.{name}" for name, each in module._parameters.items() if _has(each, shape)]
    return found


def _has(tensor: Tensor | None, shape: tuple[int, ...]) -> bool:
    return tensor is not None and tuple(tensor.shape) == shape


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
    others = (nn.modules.batchnorm._NormBase, nn.modules.conv._ConvNd, nn.Linear)
    return "eps" in vars(module) and not isinstance(module, others)


def offer(prover: Prover) -> None:
    """Enter in the map what is exact in the stand-in; one group of each kind is tried first, then all of the kind."""
    kinds: dict[tuple[Silent, ...], list[int]] = {}
    for number, group in prover.groups.items():
        found = candidates(prover.model, group) if group.unprunable is None else []
        if found:
            kinds.setdefault(tuple(replace(each, keys=_leaves(each.keys)) for each in found), []).append(number)
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


def _leaves(keys: Keys) -> Keys:
    """The same parts of layers of one name in all blocks."""
    return tuple((layer.rpartition(".")[2], passes, power) for layer, passes, power in keys)


def _is_exact(prover: Prover, plan: Mapping[int, Silent], beyond: bool) -> bool:
    """Whether groups that get new channels so leave the stand-in's outputs: a few, or more than the network has."""
    wanted: dict[int, int] = {}
    for index, (number, silent) in enumerate(plan.items()):
        now, times = prover.sizes[number], prover.groups[number].size // prover.sizes[number] if beyond else 1
        wanted[number] = now * (times + 1) if silent.fill == "copies" else now * times + 1 + index % 3

    def agrees(numbers: list[int]) -> bool:
        def edit(net: nn.Module, handles: ChannelMap) -> None:
            generator = torch.Generator().manual_seed(0)
            for number in numbers:
                group = prover.groups[number].on(handles)
                add_silent(net, group, wanted[number], plan[number], generator, "drop", None, SPREAD)

        return prover.agrees(edit)

    return all(map(agrees, prover.shared_out(wanted) if beyond else [list(plan)]))


def add_silent(
    model: nn.Module,
    group: ChannelGroup,
    size: int,
    silent: Silent,
    generator: torch.Generator,
    momentum: Literal["follow", "drop"],
    optimizer: Optimizers,
    spread: float = 1.0,
) -> list[int]:
    """Widen a group so, inside the caller's transaction; the sources, -1 for a new channel.

    Random values are spread as those that they extend, times ``spread``.
    """
    old, norms = group.size, _norms(model, group)
    counts = {name: lookup(model, name).numel() for name in norms}
    keys = {layer: passes for layer, passes, _ in silent.keys}
    axes = {(axis.name, axis.dim): axis for axis in group.axes}
    first = {key: [group.positions(axis, channel) for channel in range(old)] for key, axis in axes.items()}

    def written(slab: Slab) -> Tensor:
        return torch.as_tensor(_written(slab))

    def _written(slab: Slab) -> Tensor | float:
        key = slab.name, slab.dim
        axis, before = axes[key], lookup(model, slab.name).detach()
        passes, fill = _passes(group, axis), silent.fill
        if slab.name in norms:
            return 1.0
        places = torch.tensor(first[key], device=before.device).view(old, passes, -1)
        table = silent.tables != "fill" and _is_table(model, axis)
        copied = silent.tables == "unread" if table else fill == "random" and axis.layer not in keys
        if copied and not is_parameter(*owner(model, slab.name)):  # such as a mask of weights
            again = places[torch.arange(size - old, device=before.device) % old]
            return before.index_select(axis.dim, again.movedim(0, 1).flatten())
        if table and silent.tables == "mean":  # of all that a filter reads, so that its mean and its squares stay
            return before.mean(tuple(range(1, before.dim())), keepdim=True)
        fill = "zero" if table else fill
        if silent.factors and slab.role == "scale" and before.numel() == before.shape[axis.dim]:
            return float(before.mean())
        if fill == "zero" and slab.role != "depthwise":
            return 0.0
        if fill == "mean":
            others = before.index_select(axis.dim, places.movedim(0, 1).flatten())
            mean = others.unflatten(axis.dim, (passes, old, -1)).mean(axis.dim + 1, keepdim=True)
            return mean.repeat_interleave(size - old, axis.dim + 1).flatten(axis.dim, axis.dim + 2)
        if slab.role == "bias":
            return 0.0
        values = _random(slab, before, generator, spread).unflatten(axis.dim, (passes, -1))
        where = torch.tensor(keys.get(axis.layer, ()), dtype=torch.long, device=values.device)
        if len(where) and max(keys[axis.layer]) < passes:
            values = values.index_fill(axis.dim, where, 0.0)
        return values.flatten(axis.dim, axis.dim + 1)

    def read(slab: Slab) -> Tensor:
        return torch.zeros(()) if silent.unread else _random(slab, lookup(model, slab.name), generator, spread)

    fresh: dict[str, Initialiser] = {role: written for role in ("producer", "bias", "depthwise", "scale")}
    whole = silent.fill == "copies"
    sources = [*range(old)] * (size // old) if whole else [*range(old), *[-1] * (size - old)]
    grow(model, group, sources, {**fresh, "consumer": read}, momentum, optimizer)
    for name, modules in norms.items() if not (keys or silent.gains) else ():
        before, after = counts[name], lookup(model, name).numel()
        ratio = after / before * (before - 1) / (after - 1) if silent.unbiased else before / after
        _scale(model, name, ratio**0.5, optimizer)
        for module in modules:
            held = vars(module)
            held["eps"] = (torch.finfo(lookup(model, name).dtype).eps if held["eps"] is None else held["eps"]) * ratio
    for name in _gains(model, group) if silent.gains else ():
        _scale(model, name, old / size if whole else (old / size) ** 0.5, optimizer)
        held = vars(owner(model, name)[0])
        if not whole and "eps" in held:  # the mean of the others leaves the sum of squares
            held["eps"] *= old / size
    powers = {layer: power for layer, _, power in silent.keys if power}
    for axis in group.axes:
        if axis.role in ("producer", "bias", "norm") and axis.layer in powers:
            factor = torch.ones(_passes(group, axis), dtype=torch.float64)
            factor[list(keys[axis.layer])] = (size / old) ** powers[axis.layer]
            _scale(model, axis.name, _along(axis, factor, lookup(model, axis.name)), optimizer)
    return sources


def _along(axis: Axis, factor: Tensor, tensor: Tensor) -> Tensor:
    """One factor a pass as a tensor that multiplies another."""
    shape = [-1 if dim == axis.dim else 1 for dim in range(tensor.dim())]
    return factor.repeat_interleave(tensor.shape[axis.dim] // len(factor)).view(shape).to(tensor)


def _random(slab: Slab, like: Tensor, generator: torch.Generator, spread: float) -> Tensor:
    """Values spread as those of the tensor that they extend, times a number."""
    values = torch.randn(slab.shape, generator=generator, dtype=torch.float64) * spread
    return (values * float(like.detach().double().std(correction=0))).to(slab.device, slab.dtype)


def _scale(model: nn.Module, name: str, factor: float | Tensor, optimizer: Optimizers) -> None:
    """Multiply a tensor; gradients of what is multiplied are divided."""

    def carry(state: Tensor, entry: Entry, start: Tensor | float) -> Tensor:
        return state * factor if entry.averages_weight else state / factor**entry.power

    replace_tensor(model, name, lookup(model, name).detach() * factor, optimizer=optimizer, carry=carry)
