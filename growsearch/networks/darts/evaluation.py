"""The network that found or published cells are trained in from scratch (family ``darts``)."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.channel_vector import options_to_spec
from growsearch.networks.darts.auxiliary import AuxiliaryHead, fits_auxiliary
from growsearch.networks.darts.cell import Cell
from growsearch.networks.darts.dropped_paths import dropped_paths
from growsearch.networks.darts.genotype import Genotype, genotype_from_json
from growsearch.networks.darts.genotype_forms import read_genotype
from growsearch.networks.darts.genotypes import PUBLISHED, published
from growsearch.networks.darts.layout import STEM_MULTIPLIER, cell_places, imagenet_stem, reduction_positions
from growsearch.networks.registry import register
from growsearch.networks.resized import give_shapes, with_changes
from growsearch.surgery.initialise import library_
from growsearch.untrusted import parsing, read_bytes

LARGEST_FILE = 1_000_000
"""Bytes of a file that holds a genotype."""


@register("darts")
class EvaluationNetwork(nn.Module):
    """Stem, cells of one genotype, global average, linear (DARTS 3.2; PR-DARTS IV-A).

    Attributes:
        auxiliary: whether training returns (logits, auxiliary logits).
        drop_path: scalar tensor, the probability that an edge is cut; filled from outside.
        drops_paths: false while that probability is known to be zero; see ``growsearch.training.step.PathSwitch``.
    """

    drop_path: Tensor
    drops_paths = True

    def __init__(
        self,
        genotype: Genotype,
        channels: int,
        layers: int,
        num_classes: int,
        in_channels: int,
        auxiliary: bool,
        output: str,
        imagenet: bool = False,
    ) -> None:
        super().__init__()
        self.genotype = genotype
        self.channels = channels
        self.output = output
        self.imagenet = imagenet
        stem = STEM_MULTIPLIER * channels
        self.stem = (
            imagenet_stem(in_channels, channels // 2 or 1, channels, channels)
            if imagenet
            else nn.Sequential(nn.Conv2d(in_channels, stem, 3, padding=1, bias=False), nn.BatchNorm2d(stem))
        )
        widths = (len(genotype.normal.concat), len(genotype.reduction.concat)) if output == "concat" else (1, 1)
        places = list(cell_places(channels, layers, widths, channels if imagenet else stem, imagenet))
        self.cells = nn.ModuleList(
            Cell(
                genotype.reduction if place.reduction else genotype.normal,
                place.channels,
                place.in_channels,
                place.reduction,
                place.after_reduction,
                output,
            )
            for place in places
        )
        out_widths = [place.channels * widths[place.reduction] for place in places]
        self.auxiliary_at = reduction_positions(layers)[-1] if auxiliary else None
        at = self.auxiliary_at
        self.head = AuxiliaryHead(out_widths[at], num_classes, imagenet) if at is not None else None
        self.classifier = nn.Linear(out_widths[-1], num_classes)
        self.register_buffer("drop_path", torch.zeros(()), persistent=False)

    @property
    def auxiliary(self) -> bool:
        """Whether training returns auxiliary logits beside the logits."""
        return self.head is not None

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "EvaluationNetwork":
        """Build from a spec.

        ``genotype`` is a published name or JSON; ``channels`` (36), ``layers`` (20), ``classes`` (10),
        ``in_channels`` (3), ``auxiliary`` (false), ``output`` (concat or mean), ``imagenet`` (DARTS' stem
        of stride 8 for images of 224 pixels; false). With ``image_size`` (pixels) the auxiliary head is left out
        where its input would be under 8 x 8 (ImageNet: 7 x 7).

        Raises:
            UserError: if the genotype is unknown or malformed, or a size is not positive.
        """
        genotype = spec.get("genotype")
        if isinstance(genotype, str) and not genotype.lstrip().startswith("{"):
            cells = published(genotype)
        else:
            cells = genotype_from_json(genotype or {})
        sizes = {"channels": 36, "layers": 20, "classes": 10, "in_channels": 3} | {
            key: spec[key] for key in ("channels", "layers", "classes", "in_channels") if key in spec
        }
        for key, size in sizes.items():
            if not isinstance(size, int) or size < 1:
                raise UserError(f"network.{key}: {size!r} is not accepted; use a positive integer")
        output = spec.get("output", "concat")
        if output not in ("concat", "mean"):
            raise UserError(f"network.output: {output!r} is not accepted; use concat or mean")
        imagenet = bool(spec.get("imagenet", False))
        auxiliary = bool(spec.get("auxiliary", False)) and fits_auxiliary(spec.get("image_size"), imagenet)
        channels, layers, classes, planes = (sizes[key] for key in ("channels", "layers", "classes", "in_channels"))
        network = cls(cells, channels, layers, classes, planes, auxiliary, output, imagenet)
        give_shapes(network, spec.get("resized", {}))
        return network

    @classmethod
    def spec_from_options(
        cls, options: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int
    ) -> dict[str, Any]:
        """The spec of a configuration's network for images (C, H, W); a genotype in a file or run is read.

        Raises:
            UserError: if an option is unknown, or the file is missing or holds no genotype.
        """
        spec = options_to_spec("darts", options, image_shape, num_classes)
        genotype = spec.get("genotype")
        if isinstance(genotype, str) and genotype not in PUBLISHED:
            spec["genotype"] = given_genotype(genotype).to_json()
        return spec

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``; tensors of other than the usual sizes are listed as ``resized``."""
        spec = {
            "family": "darts",
            "genotype": self.genotype.to_json(),
            "channels": self.channels,
            "layers": len(self.cells),
            "classes": self.classifier.weight.shape[0],
            "in_channels": next(p for p in self.stem.parameters() if p.dim() == 4).shape[1],
            "auxiliary": self.auxiliary,
            "output": self.output,
            **({"imagenet": True} if self.imagenet else {}),
        }
        return with_changes(spec, self)

    def initialise(self, generator: torch.Generator) -> None:
        """PyTorch's default start, drop path off."""
        library_(self, generator)
        self.drop_path.zero_()

    def forward(self, x_nchw: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Logits, N x classes; in training with an auxiliary head also its logits."""
        before = last = self.stem[0](x_nchw) if self.imagenet else self.stem(x_nchw)
        if self.imagenet:
            last = self.stem[1](before)
        auxiliary, paths = None, dropped_paths(self, x_nchw)
        for position, cell in enumerate(self.cells):
            before, last = last, cell(before, last, paths)
            if position == self.auxiliary_at and self.head is not None and self.training:
                auxiliary = self.head(last)
        logits = self.classifier(last.mean((2, 3)))
        return logits if auxiliary is None else (logits, auxiliary)


def given_genotype(given: str) -> Genotype:
    """Cells that ``network.genotype`` names: in a file, those of a run's network, or published ones.

    Raises:
        UserError: if there are none.
    """
    path = Path(given)
    architecture = path / "network" / "architecture.json"
    if path.is_dir():
        with parsing(architecture, "not the network of a run"):
            spec = json.loads(read_bytes(architecture, LARGEST_FILE))
            if spec.get("family") != "darts":
                raise UserError(f"network.genotype: the network of {given} has no cells; use a run that found some")
            return genotype_from_json(spec["genotype"])
    if not path.is_file():
        if path.suffix in (".json", ".txt") or "/" in given:
            raise UserError(f"network.genotype: there is no file {given}; use the path of a genotype or run")
        return published(given)
    with parsing(path, "not a genotype"):
        return read_genotype(read_bytes(path, LARGEST_FILE).decode())
