"""ECToNAS' nine operations on networks, after which a child has its parent's weights.

Sections 3.2 and appendix A of the paper; where the authors' code differs the settings choose.
"""

from dataclasses import dataclass
from typing import cast

import torch
from torch import nn

from growsearch.actions import Change, Draws
from growsearch.algorithms.ectonas.config import MorphChoices
from growsearch.algorithms.ectonas.offspring import Offspring
from growsearch.networks.sequential import CODE_ORDER, PAPER_ORDER, Cell, Sequential
from growsearch.surgery.channels import ChannelGroup, ChannelMap
from growsearch.surgery.morphisms.containers import insert_module, remove_module
from growsearch.surgery.morphisms.deepen import Centre, identity_conv, identity_dense
from growsearch.surgery.morphisms.merge import merge_dense
from growsearch.surgery.morphisms.norms import fold_shift, reset_norm
from growsearch.surgery.morphisms.pooling import (
    PoolRewrite,
    follow_pooling,
    follow_removed_pooling,
    size_before_last_pooling,
)
from growsearch.surgery.morphisms.replace import replace_tensor
from growsearch.surgery.morphisms.sources import cyclic_sources, random_sources
from growsearch.surgery.morphisms.svd import SvdVariant, reduce_units
from growsearch.surgery.prune import prune
from growsearch.surgery.remap import remap
from growsearch.surgery.scores import gamma_absolute, gamma_signed, weakest
from growsearch.surgery.tensors import allocate
from growsearch.training import Network, OptimizerConfig


@dataclass(frozen=True)
class Morph(Change):
    """Make a copy of a parent, the source, its child; training starts anew.

    Attributes:
        child: which operation, where.
        choices: variants of the operations.
        optimizer: of the child.
    """

    child: Offspring
    choices: MorphChoices
    optimizer: OptimizerConfig

    @property
    def op(self) -> str:  # type: ignore[override]
        """The operation."""
        return self.child.op

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Apply the operation; the parent is traced once for all of its children."""
        parent = sources[0]
        traced = parent.cached("channel map", lambda: trace_channels(cast(Sequential, parent.module)))
        morph(cast(Sequential, network.module), self.child, self.choices, draws(), traced)
        network.reset_optimizers(weights=self.optimizer)


def is_finite(network: Network) -> bool:
    """Whether all parameters are."""
    return all(bool(torch.isfinite(parameter).all()) for parameter in network.module.parameters())


def morph(
    module: Sequential,
    child: Offspring,
    choices: MorphChoices,
    generator: torch.Generator,
    traced: ChannelMap | None = None,
) -> None:
    """Apply one operation in place.

    Args:
        module: the child, still a copy of its parent.
        child: which operation, where.
        choices: variants of the operations.
        generator: draws the units that are copied and the pooling of an added cell.
        traced: the parent's channel map, so that its children need no trace of their own.
    """
    match child.op:
        case "add_dense":
            _add_dense(module, child.at)
        case "remove_dense":
            merge_dense(*module.dense_layers()[child.at : child.at + 2])
            remove_module(module.hidden, child.at)
        case "remove_units":
            first, second = module.dense_layers()[child.at : child.at + 2]
            reduce_units(first, second, child.size, cast(SvdVariant, choices.svd_variant))
        case "add_units":
            _widen(module, f"hidden.{child.at}", child.size, choices, generator, traced)
        case "add_channels":
            _widen_channels(module, child.at, child.size, choices, generator, traced)
        case "remove_channels":
            _cut_channels(module, child.at, child.size, choices, choices.fold_beta != "none", traced)
        case "add_cell":
            _add_cell(module, child.at, choices, generator)
        case "remove_cell":
            _remove_cell(module, child.at, choices, generator, traced)


def _add_dense(module: Sequential, at: int) -> None:
    following = module.dense_layers()[at].weight
    insert_module(module.hidden, at, identity_dense(following.shape[1], like=following))


def _add_cell(module: Sequential, at: int, choices: MorphChoices, generator: torch.Generator) -> None:
    """Put in a cell that passes its channels on except for its pooling, which the first dense layer follows."""
    first, size, channels = module.dense_layers()[0], module.flat_size, module.channels_before(at)
    pool = choices.pool_choice
    if pool == "random":
        pool = ("avg", "max")[int(torch.randint(2, (), generator=generator))]
    with torch.device("meta"):
        cell = Cell(channels, channels, pool, CODE_ORDER if choices.added_cell_order == "code" else PAPER_ORDER)
    allocate(cell, first.weight.device).to(first.weight.dtype)
    cell.conv = identity_conv(channels, 3, cast(Centre, choices.conv_init), like=first.weight)
    cell.norm.reset_parameters()
    insert_module(module.cells, at, cell)
    module.reshape = module.reshape or len(module.input_shape) == 2
    rewrite = "avg" if pool == "avg" else f"max_{choices.max_rewrite}"
    follow_pooling(first, size, cast(PoolRewrite, rewrite))


def _remove_cell(
    module: Sequential, at: int, choices: MorphChoices, generator: torch.Generator, traced: ChannelMap | None
) -> None:
    """Bring the cell to its input's channels, then take it out and let the first dense layer follow."""
    before, cell = module.channels_before(at), module.conv_cells()[at]
    channels = cell.conv.weight.shape[0]
    if channels > before:
        _cut_channels(module, at, before, choices, choices.fold_beta == "all", traced)
    elif channels < before:
        _widen_channels(module, at, before, choices, generator, traced)
    if choices.fold_beta == "all":
        fold_shift(cell.norm, [_consumer(module, at)])
    if cell.pool_kind != "none":
        poolings = sum(other.pool_kind != "none" for other in module.conv_cells())
        height, width = (size_before_last_pooling(side, poolings) for side in module.input_shape[-2:])
        follow_removed_pooling(module.dense_layers()[0], module.flat_size, (height, width))
    remove_module(module.cells, at)


def _widen_channels(
    module: Sequential,
    at: int,
    size: int,
    choices: MorphChoices,
    generator: torch.Generator,
    traced: ChannelMap | None,
) -> None:
    """Bring cell ``at`` to ``size`` channels, copies of its own; the code's copies meet a new batch norm."""
    norm = module.conv_cells()[at].norm
    channels = norm.weight.shape[0]
    _widen(module, f"cells.{at}.conv", size, choices, generator, traced)
    if choices.widen_bn == "reset":
        reset_norm(norm, range(channels, size))


def _cut_channels(
    module: Sequential, at: int, size: int, choices: MorphChoices, fold: bool, traced: ChannelMap | None
) -> None:
    """Bring cell ``at`` to ``size`` channels: those of the smallest batch-norm scales go (Liu et al.)."""
    norm = module.conv_cells()[at].norm
    scores = gamma_absolute(norm.weight) if choices.gamma_order == "abs" else gamma_signed(norm.weight)
    gone = weakest(scores, len(scores) - size)
    if fold:
        fold_shift(norm, [_consumer(module, at)], gone)
    group = _group(module, f"cells.{at}.conv", traced)
    prune(module, group, [channel for channel in range(len(scores)) if channel not in gone])


def _widen(
    module: Sequential,
    layer: str,
    size: int,
    choices: MorphChoices,
    generator: torch.Generator,
    traced: ChannelMap | None,
) -> None:
    """Bring a layer to ``size`` channels or units: drawn copies (Net2Wider), or the code's in turn."""
    group = _group(module, layer, traced)
    count = group.size
    if choices.widen_map == "random":
        remap(module, group, random_sources(count, size, generator))
    else:
        remap(module, group, cyclic_sources(count, size), duplicate="scale_producers")
    if choices.widen_noise_std:
        _add_noise(module.get_submodule(layer), count, choices.widen_noise_std, generator)


def _add_noise(layer: nn.Module, count: int, std: float, generator: torch.Generator) -> None:
    """Shift the incoming weights of all units after the first ``count``."""
    weight = cast(torch.Tensor, layer.weight).detach().clone()
    noise = torch.randn(weight[count:].shape, generator=generator).to(weight)
    weight[count:] += std * weight.std() * noise
    replace_tensor(layer, "weight", weight)


def _group(module: Sequential, layer: str, traced: ChannelMap | None) -> ChannelGroup:
    """The channels that a layer produces."""
    own = trace_channels(module) if traced is None else traced.on(module)
    handles = (ChannelGroup(layer, own, number) for number in range(len(own.axes)))
    return next(group for group in handles if layer in group.producers)


def trace_channels(module: Sequential) -> ChannelMap:
    """The channel map of a network, which serves all its copies."""
    return ChannelMap(module, torch.zeros(2, *module.input_shape, dtype=module.output.weight.dtype))


def _consumer(module: Sequential, at: int) -> nn.Module:
    """The weighted layer that reads cell ``at``."""
    cells = module.conv_cells()
    return cells[at + 1].conv if at + 1 < len(cells) else module.dense_layers()[0]
