"""DARTS and DARTS+ networks from a channel vector (family ``channel_darts``; CONet section 4.1)."""

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.channel_cell import GENOTYPES, CellLayout, ChannelCell, Genotype
from growsearch.networks.channel_vector import (
    ChannelVector,
    checked_vector,
    compound_scaled,
    options_to_spec,
    positive,
)
from growsearch.networks.darts.auxiliary import AuxiliaryHead, fits_auxiliary
from growsearch.networks.darts.dropped_paths import dropped_paths
from growsearch.networks.darts.layout import imagenet_stem, reduction_positions
from growsearch.networks.registry import register
from growsearch.surgery.initialise import library_


@register("channel_darts")
class ChannelDarts(nn.Module):
    """Stem, cells of one genotype with free channel counts, global average, linear.

    Attributes:
        auxiliary: whether training returns (logits, auxiliary logits).
        drop_path: scalar tensor, the probability that an edge is cut; filled from outside, None for never.
        drops_paths: false while that probability is known to be zero; see ``growsearch.training.step.PathSwitch``.
    """

    drop_path: Tensor | None
    drops_paths = True

    def __init__(
        self,
        genotype: str,
        cell_sizes: ChannelVector,
        sep_sizes: ChannelVector,
        num_classes: int,
        in_channels: int,
        imagenet: bool,
        auxiliary: bool,
        drop_path: bool,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.imagenet = imagenet
        self.stem = imagenet_stem(in_channels, *cell_sizes[0]) if imagenet else _stem(in_channels, *cell_sizes[0])
        before, last = cell_sizes[0][-2:] if imagenet else cell_sizes[0] * 2
        after_reduction, middles = imagenet, iter(sep_sizes)
        positions = reduction_positions(len(cell_sizes) - 1)
        self.cells = nn.ModuleList()
        for position, sizes in enumerate(cell_sizes[1:]):
            reduction = position in positions
            layout = _layout(GENOTYPES[genotype], reduction)
            inner = [] if reduction else next(middles)
            cell = ChannelCell(layout, sizes, inner, (before, last), reduction, after_reduction)
            self.cells.append(cell)
            before, last, after_reduction = last, cell.out_channels, reduction
        self.auxiliary_at = positions[-1] if auxiliary else None
        self.head = _auxiliary_head(self.cells[positions[-1]], num_classes, imagenet) if auxiliary else None
        self.classifier = nn.Linear(last, num_classes)
        self.register_buffer("drop_path", torch.zeros(()) if drop_path else None, persistent=False)

    @property
    def auxiliary(self) -> bool:
        """Whether training returns auxiliary logits beside the logits."""
        return self.head is not None

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "ChannelDarts":
        """Build from a spec.

        ``genotype`` (darts_v2 or darts_plus), ``cells`` (7), ``classes`` (10), ``in_channels`` (3), ``imagenet``
        (the stem of stride 4; false), ``auxiliary`` and ``drop_path`` (both false; drop path must be there to be
        filled). Either the vector itself, ``cell_sizes`` (the stem first; for ImageNet one width or all three of
        the stem) and ``sep_sizes``, or ``channels`` (32) everywhere, doubled at reduction cells with ``doubling``
        (false), and ``stem_channels`` (as ``channels``). Widths are then multiplied by ``scale`` (1) up to
        ``scale_cap`` (256) where it is not 1. With ``image_size`` (pixels) the auxiliary head is left out where
        its input would be under 8 x 8 (ImageNet: 7 x 7).

        Raises:
            UserError: if the genotype is unknown or a size is of the wrong form.
        """
        name = spec.get("genotype", "darts_v2")
        if name not in GENOTYPES:
            raise UserError(f"network.genotype: {name!r} is not accepted; use one of {', '.join(GENOTYPES)}")
        imagenet = bool(spec.get("imagenet", False))
        cell_sizes, sep_sizes = _vectors(spec, GENOTYPES[name], imagenet)
        auxiliary = bool(spec.get("auxiliary", False)) and fits_auxiliary(spec.get("image_size"), imagenet)
        return cls(
            name,
            cell_sizes,
            sep_sizes,
            positive(spec, "classes", 10),
            positive(spec, "in_channels", 3),
            imagenet,
            auxiliary,
            bool(spec.get("drop_path", False)),
        )

    spec_from_options = staticmethod(partial(options_to_spec, "channel_darts"))

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``; sizes are read off the live weights."""
        stem = [module.weight.shape[0] for module in self.stem.modules() if isinstance(module, nn.Conv2d)]
        cells = [cell for cell in self.cells if isinstance(cell, ChannelCell)]
        first = next(module for module in self.stem.modules() if isinstance(module, nn.Conv2d))
        return {
            "family": "channel_darts",
            "genotype": self.genotype,
            "cells": len(cells),
            "classes": self.classifier.weight.shape[0],
            "in_channels": first.weight.shape[1],
            "imagenet": self.imagenet,
            "auxiliary": self.auxiliary,
            "drop_path": self.drop_path is not None,
            "cell_sizes": [stem, *(cell.sizes() for cell in cells)],
            "sep_sizes": [cell.middles() for cell in cells if not cell.reduction],
        }

    def initialise(self, generator: torch.Generator) -> None:
        """PyTorch's default start, drop path off."""
        library_(self, generator)
        if self.drop_path is not None:
            self.drop_path.zero_()

    def forward(self, x_nchw: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, N x classes; in training with an auxiliary head also its logits."""
        before = last = self.stem[0](x_nchw)
        if self.imagenet:
            last = self.stem[1](before)
        auxiliary, paths = None, dropped_paths(self, x_nchw)
        for position, cell in enumerate(self.cells):
            before, last = last, cell(before, last, paths)
            if position == self.auxiliary_at and self.head is not None and self.training:
                auxiliary = self.head(last)
        logits = self.classifier(last.mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)


def channel_vectors(
    genotype: Genotype, cells: int, channels: int, stem_channels: int, doubling: bool
) -> tuple[ChannelVector, ChannelVector]:
    """Vectors with one width everywhere, or one that doubles at every reduction cell: (cell_sizes, sep_sizes)."""
    cell_sizes, sep_sizes = [[stem_channels]], []
    for position in range(cells):
        reduction = position in reduction_positions(cells)
        channels *= 2 if doubling and reduction else 1
        cell_sizes.append([channels] * _layout(genotype, reduction).num_widths)
        if not reduction:
            sep_sizes.append([channels] * genotype.normal.num_middles)
    return cell_sizes, sep_sizes


def _vectors(spec: dict[str, Any], genotype: Genotype, imagenet: bool) -> tuple[ChannelVector, ChannelVector]:
    cells, channels = positive(spec, "cells", 7), positive(spec, "channels", 32)
    stem = positive(spec, "stem_channels", channels)
    cell_sizes, sep_sizes = channel_vectors(genotype, cells, channels, stem, bool(spec.get("doubling", False)))
    lengths = [[len(part) for part in vector] for vector in (cell_sizes, sep_sizes)]
    given = spec.get("cell_sizes")
    if (given is None) != (spec.get("sep_sizes") is None):
        raise UserError("network.cell_sizes: give both of cell_sizes and sep_sizes, or neither")
    if given is not None:
        if imagenet and given and len(given[0]) == 3:
            lengths[0][0] = 3
        cell_sizes = checked_vector(given, lengths[0], "network.cell_sizes")
        sep_sizes = checked_vector(spec["sep_sizes"], lengths[1], "network.sep_sizes")
    scale, cap = spec.get("scale", 1), spec.get("scale_cap", 256)
    if scale != 1:
        cell_sizes, sep_sizes = (compound_scaled(vector, scale, cap) for vector in (cell_sizes, sep_sizes))
    if imagenet and len(cell_sizes[0]) == 1:
        width = cell_sizes[0][0]
        cell_sizes = [[max(width // 2, 1), width, width], *cell_sizes[1:]]
    return cell_sizes, sep_sizes


def _layout(genotype: Genotype, reduction: bool) -> CellLayout:
    return genotype.reduction if reduction else genotype.normal


def _stem(in_channels: int, width: int) -> nn.Sequential:
    """CIFAR: 3 x 3 conv and norm."""
    conv = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
    return nn.Sequential(nn.Sequential(conv, nn.BatchNorm2d(width)))


def _auxiliary_head(cell: nn.Module, num_classes: int, imagenet: bool) -> AuxiliaryHead:
    assert isinstance(cell, ChannelCell)
    return AuxiliaryHead(cell.out_channels, num_classes, imagenet)
