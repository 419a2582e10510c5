"""DenseNet and DenseNet-BC, sized layer by layer (Huang et al. 2017; DensEMANN sections 3.1 and 3.1.3).

Shape letters: N images, C channels, H and W pixels, K classes.
"""

from collections.abc import Sequence
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.registry import check_options, register
from growsearch.surgery.initialise import Distribution, Fan, library_, variance_scaling

CHOICES = {
    "stem": ("small", "large"),
    "init": ("growing", "standard"),
    "init_distribution": ("truncated", "normal"),
    "stem_init": ("fan_none", "fan_in"),
    "classifier_init": ("ones", "library"),
}
"""Words that a spec's keys accept."""

BOTTLENECK = 4
"""Width of a layer's 1x1 convolution, in growth rates."""


class DenseLayer(nn.Module):
    """Norm, ReLU, (1x1 convolution, norm, ReLU,) 3x3 convolution, dropout: what one layer adds to its block.

    Args:
        channels: channels of the block so far.
        filters: channels this layer adds.
        bottleneck: width of the 1x1 convolution of DenseNet-BC; None leaves it out.
    """

    def __init__(self, channels: int, filters: int, bottleneck: int | None) -> None:
        super().__init__()
        self.reduce: nn.Sequential | None = None
        if bottleneck is not None:
            self.reduce = nn.Sequential(
                nn.BatchNorm2d(channels), nn.ReLU(), nn.Conv2d(channels, bottleneck, 1, bias=False)
            )
        width = channels if bottleneck is None else bottleneck
        self.norm = nn.BatchNorm2d(width)
        self.conv = nn.Conv2d(width, filters, 3, padding=1, bias=False)

    def forward(self, x: Tensor, dropout: float) -> Tensor:
        """(N, C, H, W) to (N, filters, H, W); ``dropout`` is the probability to drop an output."""
        if self.reduce is not None:
            x = self.reduce(x)
        x = self.conv(F.relu(self.norm(x)))
        return F.dropout(x, dropout, self.training) if dropout > 0 else x

    @property
    def bottleneck(self) -> nn.Conv2d | None:
        """The 1x1 convolution of DenseNet-BC, None in a plain layer."""
        return None if self.reduce is None else cast(nn.Conv2d, self.reduce[2])


class DenseBlock(nn.ModuleList):
    """Layers whose outputs are concatenated behind the block's input, in order."""

    def forward(self, x: Tensor, dropout: float) -> Tensor:
        """(N, C, H, W) to (N, C + the layers' filters, H, W)."""
        for layer in self:
            x = torch.cat([x, layer(x, dropout)], dim=1)
        return x


class Transition(nn.Module):
    """Norm, ReLU, 1x1 convolution and 2x2 average pooling between two blocks."""

    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, filters, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, filters, H / 2, W / 2); a side of one pixel stays."""
        x = self.conv(F.relu(self.norm(x)))
        return F.avg_pool2d(x, (min(2, x.shape[2]), min(2, x.shape[3])))


@register("densenet")
class DenseNet(nn.Module):
    """A DenseNet described by the filters (and bottleneck width) of every layer of every block.

    Args:
        in_channels: channels of an image.
        classes: K.
        stem: ``small``: a 3x3 convolution and nothing else; ``large``: 7x7 stride 2, norm, ReLU, 3x3 max pooling.
        stem_filters: filters of that first convolution.
        filters: per block, the filters of each layer's 3x3 convolution.
        bottlenecks: per block, the width of each layer's 1x1 convolution; None for plain DenseNet.
        transitions: filters of the transition behind each block but the last.
        dropout: probability behind each layer's last convolution.
        init: see :meth:`initialise`, also for ``init_distribution``, ``stem_init`` and ``classifier_init``.

    Raises:
        UserError: for a value outside those named, or lists that do not fit together.
    """

    def __init__(
        self,
        in_channels: int,
        classes: int,
        stem: str,
        stem_filters: int,
        filters: list[list[int]],
        bottlenecks: list[list[int]] | None,
        transitions: list[int],
        dropout: float = 0.0,
        init: str = "growing",
        init_distribution: str = "truncated",
        stem_init: str = "fan_none",
        classifier_init: str = "ones",
    ) -> None:
        super().__init__()
        self.dropout = dropout
        self.init = {
            "init": init,
            "init_distribution": init_distribution,
            "stem_init": stem_init,
            "classifier_init": classifier_init,
        }
        _check({"stem": stem, **self.init}, filters, bottlenecks, transitions)
        self.stem = _stem(stem, in_channels, stem_filters)
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        channels = stem_filters
        for index, counts in enumerate(filters):
            if index > 0:
                self.transitions.append(Transition(channels, transitions[index - 1]))
                channels = transitions[index - 1]
            block = DenseBlock()
            for position, count in enumerate(counts):
                block.append(DenseLayer(channels, count, bottlenecks[index][position] if bottlenecks else None))
                channels += count
            self.blocks.append(block)
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, classes)

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "DenseNet":
        """Build from :meth:`spec`'s dict.

        Raises:
            UserError: for a key that does not exist or is missing.
        """
        try:
            return cls(**{key: value for key, value in spec.items() if key != "family"})
        except TypeError as error:
            raise UserError(f"densenet spec: {str(error).split('() ')[-1]}") from None

    @classmethod
    def spec_from_options(
        cls, options: dict[str, Any], image_shape: tuple[int, int, int], num_classes: int
    ) -> dict[str, Any]:
        """The spec of a DenseNet-BC of one growth rate, for images (C, H, W)."""
        return uniform_spec(options, image_shape[0], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) images to (N, K) logits."""
        return self.classifier(F.relu(self.features(x)).mean((2, 3)))

    def features(self, x: Tensor) -> Tensor:
        """(N, C, H, W) images to the maps behind the final norm, before ReLU and pooling."""
        x = self.stem(x)
        for index, block in enumerate(self.blocks):
            if index > 0:
                x = self.transitions[index - 1](x)
            x = block(x, self.dropout)
        return self.norm(x)

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``, read off the live sizes."""
        layers = [[cast(DenseLayer, layer) for layer in cast(DenseBlock, block)] for block in self.blocks]
        widths = [[layer.bottleneck.out_channels for layer in block if layer.bottleneck] for block in layers]
        stem = cast(nn.Conv2d, self.stem[0])
        return {
            "family": "densenet",
            "in_channels": stem.in_channels,
            "classes": self.classifier.out_features,
            "stem": "small" if len(self.stem) == 1 else "large",
            "stem_filters": stem.out_channels,
            "filters": [[layer.conv.out_channels for layer in block] for block in layers],
            "bottlenecks": widths if any(widths) else None,
            "transitions": [cast(Transition, transition).conv.out_channels for transition in self.transitions],
            "dropout": self.dropout,
            **self.init,
        }

    @property
    def last_layer(self) -> DenseLayer:
        """The last layer of the last block, the one that DensEMANN edits."""
        return cast(DenseLayer, cast(DenseBlock, self.blocks[-1])[-1])

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Variance scaling (DensEMANN sections 3.1.2 and 4.2): norms 1 and 0, kernels by ``init``.

        ``init`` "growing" divides the variance of 3x3 kernels and transitions by the window's area alone, so they
        start larger than under "standard", which divides by the fan-in everywhere; bottlenecks always do. The stem of
        a growing network follows ``stem_init``. ``init_distribution`` is "truncated" (paper) or "normal" (authors'
        code), ``classifier_init`` "ones" (weights 1, bias 0: authors' code) or "library" (PyTorch's default).
        """
        self.apply(lambda m: m.reset_parameters() if isinstance(m, nn.BatchNorm2d) else None)
        growing = self.init["init"] == "growing"
        modifiable: Fan = "fan_none" if growing else "fan_in"
        self.draw(cast(nn.Conv2d, self.stem[0]), cast(Fan, self.init["stem_init"]) if growing else "fan_in", generator)
        for index, block in enumerate(self.blocks):
            if index > 0:
                self.draw(cast(Transition, self.transitions[index - 1]).conv, modifiable, generator)
            for layer in cast(DenseBlock, block):
                self.draw_layer(cast(DenseLayer, layer), modifiable, generator)
        self.initialise_head(generator)

    @torch.no_grad()
    def initialise_head(self, generator: torch.Generator) -> None:
        """Give the final norm and the classifier their start."""
        self.norm.reset_parameters()
        if self.init["classifier_init"] == "ones":
            nn.init.ones_(self.classifier.weight)
            nn.init.zeros_(self.classifier.bias)
        else:
            library_(self.classifier, generator)

    def draw_layer(self, layer: DenseLayer, fan: Fan, generator: torch.Generator) -> None:
        """Draw a layer's kernels: fan-in for the bottleneck, ``fan`` for the 3x3 convolution."""
        if layer.bottleneck is not None:
            self.draw(layer.bottleneck, "fan_in", generator)
        self.draw(layer.conv, fan, generator)

    @torch.no_grad()
    def draw(self, conv: nn.Conv2d, fan: Fan, generator: torch.Generator) -> None:
        """Draw a kernel from the network's variance scaling distribution, in place (on the CPU)."""
        distribution = cast(Distribution, self.init["init_distribution"])
        conv.weight.copy_(variance_scaling(conv.weight.shape, fan, distribution, generator))


def _stem(stem: Literal["small", "large"] | str, in_channels: int, filters: int) -> nn.Sequential:
    if stem == "small":
        return nn.Sequential(nn.Conv2d(in_channels, filters, 3, padding=1, bias=False))
    return nn.Sequential(
        nn.Conv2d(in_channels, filters, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(filters),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2, padding=1),
    )


def _check(
    words: dict[str, str], filters: list[list[int]], bottlenecks: list[list[int]] | None, transitions: list[int]
) -> None:
    for key, word in words.items():
        if word not in CHOICES[key]:
            raise UserError(f"densenet {key}: {word!r} is not accepted; use {' or '.join(CHOICES[key])}")
    if not filters or not all(filters) or min(map(min, filters)) < 1:
        raise UserError(
            f"densenet filters: {filters} is not accepted; use positive counts for one or more layers per block"
        )
    if len(transitions) != len(filters) - 1:
        raise UserError(
            f"densenet transitions: {transitions} is not accepted; use one between each two of {len(filters)} blocks"
        )
    if bottlenecks is not None and [len(b) for b in bottlenecks] != [len(f) for f in filters]:
        raise UserError(
            f"densenet bottlenecks: {bottlenecks} is not accepted; use one width for each of filters {filters}"
        )


def uniform_spec(options: dict[str, Any], in_channels: int, num_classes: int) -> dict[str, Any]:
    """The spec of a DenseNet-BC as Huang et al. (2017) built it: one growth rate for all layers.

    Options: ``layers`` (of each block), ``growth_rate``, ``reduction`` (share of the maps that a transition keeps),
    ``dropout``. The stem has two growth rates of filters.

    Raises:
        UserError: for an unknown option or a value outside its range.
    """
    check_options("densenet", options)
    layers, growth = options.get("layers", [6, 6, 6]), options.get("growth_rate", 12)
    reduction = options.get("reduction", 0.5)
    if not layers or not all(_positive(count) for count in layers):
        raise UserError(f"network.layers: {layers} is not accepted; use one or more whole numbers of at least 1")
    if not _positive(growth):
        raise UserError(f"network.growth_rate: {growth!r} is not accepted; use a whole number of at least 1")
    if not 0 < reduction <= 1:
        raise UserError(f"network.reduction: {reduction!r} is not accepted; use a share above 0 and up to 1")
    return {
        "family": "densenet",
        "in_channels": in_channels,
        "classes": num_classes,
        "stem": "small",
        "stem_filters": 2 * growth,
        "filters": [[growth] * count for count in layers],
        "bottlenecks": [[BOTTLENECK * growth] * count for count in layers],
        "transitions": _transitions(layers, growth, reduction),
        "dropout": options.get("dropout", 0.0),
        "init": "standard",
        "classifier_init": "library",
    }


def _transitions(layers: Sequence[int], growth: int, reduction: float) -> list[int]:
    widths, channels = [], 2 * growth
    for count in layers[:-1]:
        channels = max(1, int((channels + count * growth) * reduction))
        widths.append(channels)
    return widths


def _positive(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
