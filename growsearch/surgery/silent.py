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
Without factors all channels are copied equally often, and the norms that these weights read through a rectifier are
divided by the number of copies. Where weights that write the channels and weights that read them are divided by a norm
of all their entries (spectral norm), both are zero for new channels, which have biases alone.

What is divided by its length over the channels takes new channels that are zero.

Which of them is exact for a group is tried, in double precision, in :mod:`growsearch.surgery.silent_proof`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from growsearch.surgery.channels import Axis, ChannelGroup
from growsearch.surgery.momentum import Entry, Optimizers
from growsearch.surgery.remap import START, Initialiser, Slab, grow
from growsearch.surgery.replace import is_parameter
from growsearch.surgery.replace import replace as replace_tensor
from growsearch.surgery.tensors import lookup, owner

Keys: TypeAlias = tuple[tuple[str, tuple[int, ...], float], ...]
"""Layers with their passes through a group that are keys, and the power of the ratio of sizes that multiplies them."""


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
        from_one: whether the code adds one to the norms' weights.
        constant: whether new channels have biases of their own alone: positive, so that rectifiers pass them on, and
            what reads the channels learns.
        tables: entries for new channels of weights that the code computes with, or that both read and write the
            channels: as ``fill``, zero (buffers have copies, or zero too), the mean of a filter's others, or zero on
            the side that reads and random on the side that writes.
    """

    fill: Literal["zero", "mean", "random", "copies"]
    unread: bool = False
    factors: bool = False
    keys: Keys = ()
    unbiased: bool = False
    gains: bool = False
    from_one: bool = False
    constant: bool = False
    tables: Literal["fill", "unread", "zero", "mean", "sides"] = "fill"


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
    old, copies = group.size, silent.fill == "copies"
    new = _NewChannels(model, group, size, silent, generator, spread)
    written: dict[str, Initialiser] = {role: new.written for role in ("producer", "bias", "depthwise", "scale")}
    written |= {"norm": new.normed} if silent.constant else {}
    sources = [*range(old)] * (size // old) if copies else [*range(old), *[-1] * (size - old)]
    norms = {name: (lookup(model, name).numel(), modules) for name, modules in norms_over(model, group).items()}
    grow(model, group, sources, {**written, "consumer": new.read}, momentum, optimizer)
    if not (silent.keys or silent.gains):
        _rescale_norms(model, norms, silent, optimizer)
    if silent.gains:
        _rescale_gains(model, group, old / size, silent, optimizer)
    _rescale_keys(model, group, size / old, silent.keys, optimizer)
    return sources


class _NewChannels:
    """The entries of new channels in each tensor that carries them."""

    def __init__(
        self,
        model: nn.Module,
        group: ChannelGroup,
        size: int,
        silent: Silent,
        generator: torch.Generator,
        spread: float,
    ) -> None:
        self.model, self.group, self.silent, self.generator, self.spread = model, group, silent, generator, spread
        self.old, self.count = group.size, size - group.size
        self.keys = {layer: passes for layer, passes, _ in silent.keys}
        self.norms = norms_over(model, group)
        self.axes = {(axis.name, axis.dim): axis for axis in group.axes}
        self.places = {
            key: [group.positions(axis, channel) for channel in range(self.old)] for key, axis in self.axes.items()
        }

    def read(self, slab: Slab) -> Tensor:
        """Entries that read the new channels."""
        return torch.zeros((), device="cpu") if self.silent.unread else self._random(slab)

    def written(self, slab: Slab) -> Tensor:
        """Entries that write the new channels, or multiply them."""
        axis, before = self.axes[slab.name, slab.dim], lookup(self.model, slab.name).detach()
        if self.silent.constant and slab.role == "bias":
            return self._positive(slab)
        fill, table = self.silent.fill, self.silent.tables != "fill" and is_table(self.model, axis)
        if slab.name in self.norms:
            return torch.ones((), device="cpu")
        copied = self.silent.tables == "unread" if table else fill == "random" and axis.layer not in self.keys
        if copied and not is_parameter(*owner(self.model, slab.name)):  # such as a mask of weights
            return self._copies(axis, before)
        if table and self.silent.tables == "mean":  # of all that a filter reads, so that its mean and its squares stay
            return before.mean(tuple(range(1, before.dim())), keepdim=True)
        if self.silent.factors and slab.role == "scale" and before.numel() == before.shape[axis.dim]:
            return torch.tensor(float(before.mean()), device="cpu")
        if self.silent.tables == "sides" and slab.role == "scale" and before.dim() > 1:
            return torch.zeros((), device="cpu") if _is_read(self.model, axis) else self._random(slab)
        if (table or fill == "zero") and slab.role != "depthwise":
            return torch.zeros((), device="cpu")
        if fill == "mean" and not table:
            return self._mean(axis, before)
        return torch.zeros((), device="cpu") if slab.role == "bias" else self._random_but_keys(axis, slab)

    def normed(self, slab: Slab) -> Tensor:
        """Entries of a norm of single channels, whose bias is what they are."""
        leaf = slab.name.rpartition(".")[2]
        return self._positive(slab) if leaf == "bias" else torch.tensor(START[leaf], device="cpu")

    def _places(self, axis: Axis, device: torch.device) -> Tensor:
        """Entries of the channels there were, of shape [channels, passes, entries of a pass]."""
        places = torch.tensor(self.places[axis.name, axis.dim], device=device)
        return places.view(self.old, passes_of(self.group, axis), -1)

    def _copies(self, axis: Axis, before: Tensor) -> Tensor:
        """Of the channels there were, one after another."""
        again = torch.arange(self.count, device=before.device) % self.old
        return before.index_select(axis.dim, self._places(axis, before.device)[again].movedim(0, 1).flatten())

    def _mean(self, axis: Axis, before: Tensor) -> Tensor:
        """Of the channels there were, in each pass."""
        others = before.index_select(axis.dim, self._places(axis, before.device).movedim(0, 1).flatten())
        mean = others.unflatten(axis.dim, (passes_of(self.group, axis), self.old, -1)).mean(axis.dim + 1, keepdim=True)
        return mean.repeat_interleave(self.count, axis.dim + 1).flatten(axis.dim, axis.dim + 2)

    def _random_but_keys(self, axis: Axis, slab: Slab) -> Tensor:
        """Random entries, and zero for keys."""
        passes, keys = passes_of(self.group, axis), self.keys.get(axis.layer, ())
        values = self._random(slab).unflatten(axis.dim, (passes, -1))
        if keys and max(keys) < passes:
            values = values.index_fill(axis.dim, torch.tensor(keys, device=values.device), 0.0)
        return values.flatten(axis.dim, axis.dim + 1)

    def _random(self, slab: Slab) -> Tensor:
        """Values spread as those of the tensor that they extend, times a number."""
        values = torch.randn(slab.shape, generator=self.generator, dtype=torch.float64, device="cpu") * self.spread
        deviation = lookup(self.model, slab.name).detach().double().std(correction=0)
        return (values * float(deviation)).to(slab.device, slab.dtype)

    def _positive(self, slab: Slab) -> Tensor:
        """The same above zero, even where the others are all alike."""
        values = self._random(slab).abs()
        return values if values.any() else torch.ones_like(values)


def _rescale_norms(
    model: nn.Module, norms: dict[str, tuple[int, list[nn.Module]]], silent: Silent, optimizer: Optimizers
) -> None:
    """Multiply weight and epsilon of norms, given with their sizes before, by what their statistics have lost."""
    for name, (before, modules) in norms.items():
        after = lookup(model, name).numel()
        ratio = after / before * (before - 1) / (after - 1) if silent.unbiased else before / after
        _scale(model, name, ratio**0.5, optimizer, 1.0 if silent.from_one else 0.0)
        for module in modules:
            held, epsilon = vars(module), _epsilon(module)
            if epsilon is not None:
                least = torch.finfo(lookup(model, name).dtype).eps if held[epsilon] is None else held[epsilon]
                held[epsilon] = least * ratio


def _rescale_gains(model: nn.Module, group: ChannelGroup, ratio: float, silent: Silent, optimizer: Optimizers) -> None:
    """Multiply factors of standardised weights that read more channels now; ``ratio`` is sizes, before to after."""
    copies = silent.fill == "copies"
    for name in gains_over(model, group):
        _scale(model, name, ratio if copies else ratio**0.5, optimizer)
        held = vars(owner(model, name)[0])
        if not copies and "eps" in held:  # the mean of the others leaves the sum of squares
            held["eps"] *= ratio


def _rescale_keys(model: nn.Module, group: ChannelGroup, ratio: float, keys: Keys, optimizer: Optimizers) -> None:
    """Multiply keys by their power of the ratio of sizes, after to before."""
    powers = {layer: (passes, power) for layer, passes, power in keys if power}
    for axis in group.axes:
        learned = is_parameter(*owner(model, axis.name))  # a batch norm's statistics are of what comes in
        if axis.role in ("producer", "bias", "norm") and axis.layer in powers and learned:
            passes, power = powers[axis.layer]
            factor = torch.ones(passes_of(group, axis), dtype=torch.float64, device="cpu")
            factor[list(passes)] = ratio**power
            _scale(model, axis.name, _along(axis, factor, lookup(model, axis.name)), optimizer)


def _along(axis: Axis, factor: Tensor, tensor: Tensor) -> Tensor:
    """One factor a pass as a tensor that multiplies another."""
    shape = [-1 if dim == axis.dim else 1 for dim in range(tensor.dim())]
    return factor.repeat_interleave(tensor.shape[axis.dim] // len(factor)).view(shape).to(tensor)


def _scale(model: nn.Module, name: str, factor: float | Tensor, optimizer: Optimizers, shift: float = 0.0) -> None:
    """Multiply a tensor plus a number that the code adds to it; gradients of what is multiplied are divided."""

    def scaled(weight: Tensor) -> Tensor:
        return (weight + shift) * factor - shift if shift else weight * factor

    def carry(state: Tensor, entry: Entry, start: Tensor | float) -> Tensor:
        return scaled(state) if entry.averages_weight else state / factor**entry.power

    replace_tensor(model, name, scaled(lookup(model, name).detach()), optimizer=optimizer, carry=carry)


def norms_over(model: nn.Module, group: ChannelGroup) -> dict[str, list[nn.Module]]:
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
    return _epsilon(module) is not None and not isinstance(module, others)


def _epsilon(module: nn.Module) -> str | None:
    """Name of the attribute that is a norm's epsilon; torch's own norms may hold None."""
    held = vars(module)
    return next((each for each in held if is_epsilon(each) and isinstance(held[each], float | None)), None)


def is_epsilon(name: str) -> bool:
    """Whether an attribute of this name is an epsilon, such as ``eps`` or ``variance_epsilon``."""
    return any(part in ("eps", "epsilon") for part in name.split("_"))


def gains_over(model: nn.Module, group: ChannelGroup) -> list[str]:
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


def is_table(model: nn.Module, axis: Axis) -> bool:
    """Whether a dimension belongs to a weight that does not simply write or read the channels."""
    tensor = lookup(model, axis.name)
    return axis.role == "scale" and tensor.numel() > tensor.shape[axis.dim]


def _is_read(model: nn.Module, axis: Axis) -> bool:
    """Whether a dimension of a layer's weight, or of what it is computed from, is not that of the layer's outputs."""
    layer = model.get_submodule(axis.layer.partition(".parametrizations.")[0] if "." in axis.name else "")
    return axis.dim != (1 if isinstance(layer, nn.modules.conv._ConvTransposeNd) else 0)


def passes_of(group: ChannelGroup, axis: Axis) -> int:
    """How often a dimension runs through a group's channels, such as three times for a fused qkv."""
    return sum(segment.group == group.number for segment in axis.segments)
