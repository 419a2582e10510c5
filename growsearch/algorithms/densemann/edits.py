"""DensEMANN's edits of layers, filters and the head that reads them (section 3.1).

Every function replaces tensors and never writes into one. The head is the final norm and the classifier, the only
readers of the last layer's channels; like the layer's own kernel, its tensors lose their momentum in an edit.
"""

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from growsearch.actions import Change, Draws
from growsearch.networks import build
from growsearch.networks.densenet import DenseBlock, DenseLayer, DenseNet, Transition
from growsearch.probes.kcs import kcs
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.complement import complementary_filters
from growsearch.surgery.discovery import channel_groups
from growsearch.surgery.initialise import Distribution, library_, variance_scaling
from growsearch.surgery.remap import remap
from growsearch.surgery.replace import replace
from growsearch.training import Network, restore_weights

EXAMPLE_SIDE = 16
"""Side of the image that channels are traced with: stems leave something of it, and transitions stop at one pixel."""

Start = Literal["library", "variance_scaling", "zeros"]


@dataclass(frozen=True)
class Head:
    """Effect of an edit on the head: start it anew, or only its running statistics, or nothing."""

    renew: bool
    reset: bool


@dataclass(frozen=True)
class HeadChange(Change):
    """An edit of the growing network, after which the head is treated as configured."""

    head: Head

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Change the layers, then the head."""
        self.change(network, draws)
        module = cast(DenseNet, network.module)
        if self.head.renew:
            renew_head(module, draws())
        if self.head.reset:
            reset_head_statistics(module)

    def change(self, network: Network, draws: Draws) -> None:
        """Change the layers."""
        raise NotImplementedError


@dataclass(frozen=True)
class AddFilters(HeadChange):
    """``count`` filters behind the last layer's: complementary ones, or drawn at random (section 3.1.2)."""

    op = "add_filters"
    count: int
    complementary: bool
    distribution: str

    def change(self, network: Network, draws: Draws) -> None:
        """Draw them and let the head read them."""
        module, draw, distribution = cast(DenseNet, network.module), draws(), cast(Distribution, self.distribution)
        weight = module.last_layer.conv.weight
        if self.complementary:
            new = complementary_filters(weight, kcs(weight), self.count, draw, distribution=distribution)
        else:
            shape = (self.count, *weight.shape[1:])
            new = variance_scaling(shape, "fan_none", distribution, draw).to(weight.device)
        append_filters(module, new, network.optimizer(), draw)


@dataclass(frozen=True)
class Prune(HeadChange):
    """Delete filters of the last layer."""

    op = "prune"
    filters: tuple[int, ...]

    def change(self, network: Network, draws: Draws) -> None:
        """Keep all others."""
        module = cast(DenseNet, network.module)
        kept = [i for i in range(module.last_layer.conv.out_channels) if i not in self.filters]
        keep_filters(module, kept, network.optimizer())


@dataclass(frozen=True)
class AddLayer(HeadChange):
    """A newborn layer behind the last one; ``bottleneck`` is the width of its 1x1 convolution."""

    op = "add_layer"
    filters: int
    bottleneck: int | None

    def change(self, network: Network, draws: Draws) -> None:
        """Append it to the last block."""
        append_layer(cast(DenseNet, network.module), self.filters, self.bottleneck, draws())


@dataclass(frozen=True)
class AddBlock(HeadChange):
    """A transition and a block behind the last one; see :func:`append_block`."""

    op = "add_block"
    transition: int
    filters: tuple[int, ...]
    bottlenecks: tuple[int, ...] | None
    start: str

    def change(self, network: Network, draws: Draws) -> None:
        """Append both."""
        widths, start = None if self.bottlenecks is None else list(self.bottlenecks), cast(Start, self.start)
        append_block(cast(DenseNet, network.module), self.transition, list(self.filters), widths, start, draws())


@dataclass(frozen=True)
class Redraw(HeadChange):
    """Draw the whole network anew, by the standard initialisation."""

    op = "redraw"

    def change(self, network: Network, draws: Draws) -> None:
        """Build another of the same sizes."""
        network.module = build({**network.spec(), "init": "standard"}, draws()).to(network.device)
        network.settle(keep_state=False)


@dataclass(frozen=True)
class GoBack(Change):
    """Become an earlier network, the source. Momentum of tensors that no edit touched since stays (section 5).

    Attributes:
        op: what is undone.
        momentum: ``clear`` to drop all momentum.
    """

    op: str
    momentum: str

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Take over the source's module."""
        earlier = cast(DenseNet, sources[0].module)
        kept = {} if self.momentum == "clear" else surviving_momentum(network, earlier)
        network.module = earlier
        network.settle(keep_state=False)
        network.load_optimizer_tensors({"weights": kept})


@dataclass(frozen=True)
class RestoreWeights(Change):
    """Copy the source's parameters and buffers back; optimizer state stays."""

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Copy them in place."""
        restore_weights(network, sources[0].module.state_dict())


def surviving_momentum(network: Network, earlier: DenseNet) -> dict[str, dict[str, Tensor]]:
    """Momentum by name of the tensors that no edit has touched since ``earlier``."""
    shapes = {name: p.shape for name, p in earlier.named_parameters()}
    edited = tuple(f"{name}." for name, m in earlier.named_modules() if m in (earlier.norm, earlier.classifier))
    return {
        name: tensors
        for name, tensors in network.optimizer_tensors()["weights"].items()
        if not name.startswith(edited) and all(t.shape == shapes.get(name) for t in tensors.values())
    }


def append_layer(network: DenseNet, filters: int, bottleneck: int | None, generator: Generator) -> None:
    """Add a layer to the last block: bottleneck drawn by fan-in, 3x3 kernel by window area, head made wider."""
    layer = DenseLayer(network.norm.num_features, filters, bottleneck)
    network.draw_layer(layer, "fan_none", generator)
    cast(DenseBlock, network.blocks[-1]).append(layer.to(network.classifier.weight.device))
    widen_head(network, filters, generator)


def append_block(
    network: DenseNet,
    transition: int,
    filters: list[int],
    bottlenecks: list[int] | None,
    start: Start,
    generator: Generator,
) -> None:
    """Add a transition and a block behind the last one, under a head started anew (section 3.1.3).

    Args:
        network: changed.
        transition: filters of the transition.
        filters: filters of each new layer.
        bottlenecks: widths of their 1x1 convolutions; None for plain DenseNet.
        start: how the transition's kernel and the first layer's are drawn; all later ones as in :func:`append_layer`.
        generator: where from.
    """
    channels = network.norm.num_features
    between, block = Transition(channels, transition), DenseBlock()
    channels = transition
    for position, count in enumerate(filters):
        block.append(DenseLayer(channels, count, bottlenecks[position] if bottlenecks else None))
        channels += count
    first, *others = (cast(DenseLayer, layer) for layer in block)
    match start:
        case "library":
            library_(between, generator)
            library_(first, generator)
        case "variance_scaling":
            network.draw(between.conv, "fan_none", generator)
            network.draw_layer(first, "fan_none", generator)
        case "zeros":
            for conv in (m for m in [*between.modules(), *first.modules()] if isinstance(m, nn.Conv2d)):
                nn.init.zeros_(conv.weight)
    for layer in others:
        network.draw_layer(layer, "fan_none", generator)
    device = network.classifier.weight.device
    network.transitions.append(between.to(device))
    network.blocks.append(block.to(device))
    renew_head(network, generator, channels)


def append_filters(network: DenseNet, new: Tensor, optimizer: Optimizer | None, generator: Generator) -> None:
    """Add filters (n, C, 3, 3) behind those of the last layer, and let the head read them."""
    group = last_filters(network)
    fresh: dict[str, Tensor] = {"producer": new, "consumer": head_columns(network, len(new), generator)}
    sources = [*range(group.size), *[-1] * len(new)]
    remap(network, group, sources, fresh=fresh, momentum="drop", optimizer=optimizer)
    _replace_classifier_bias(network, optimizer)


def keep_filters(network: DenseNet, kept: list[int], optimizer: Optimizer | None = None) -> None:
    """Leave the last layer only these of its filters, and the head their channels."""
    remap(network, last_filters(network), kept, duplicate="none", momentum="drop", optimizer=optimizer)
    _replace_classifier_bias(network, optimizer)


def last_filters(network: DenseNet) -> ChannelGroup:
    """The channels that the last layer writes."""
    conv = network.last_layer.conv
    layer = next(name for name, module in network.named_modules() if module is conv)
    example = torch.zeros(1, network.spec()["in_channels"], EXAMPLE_SIDE, EXAMPLE_SIDE, device=conv.weight.device)
    groups = channel_groups(network, example, prove=False)
    return next(group for group in groups if layer in group.producers)


def widen_head(network: DenseNet, count: int, generator: Generator) -> None:
    """Let the head read ``count`` new last channels: norm 1, 0 and statistics 0, 1; classifier columns as at birth."""
    norm, classifier = network.norm, network.classifier
    columns = head_columns(network, count, generator).to(classifier.weight)
    for name, start in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
        old = getattr(norm, name)
        replace(network, f"norm.{name}", torch.cat([old, old.new_full((count,), start)]))
    replace(network, "classifier.weight", torch.cat([classifier.weight, columns], dim=1))
    _replace_classifier_bias(network, None)


def head_columns(network: DenseNet, count: int, generator: Generator) -> Tensor:
    """Starting values (K, count) of the classifier's weights for new channels."""
    classes, channels = network.classifier.weight.shape
    if network.init["classifier_init"] == "ones":
        return torch.ones(classes, count)
    drawn = nn.Linear(channels + count, classes, bias=False)
    library_(drawn, generator)
    return drawn.weight.detach()[:, :count]


def renew_head(network: DenseNet, generator: Generator, channels: int | None = None) -> None:
    """Start norm and classifier anew, for ``channels`` channels (as many as before if None)."""
    old = network.classifier
    channels = old.in_features if channels is None else channels
    network.norm = nn.BatchNorm2d(channels)
    network.classifier = nn.Linear(channels, old.out_features)
    network.initialise_head(generator)
    network.norm, network.classifier = network.norm.to(old.weight.device), network.classifier.to(old.weight.device)


def reset_head_statistics(network: DenseNet) -> None:
    """Let the final norm's running statistics start anew at 0 and 1, for all channels (authors' code)."""
    norm = network.norm
    norm.running_mean = torch.zeros_like(cast(Tensor, norm.running_mean))
    norm.running_var = torch.ones_like(cast(Tensor, norm.running_var))
    norm.num_batches_tracked = torch.zeros_like(cast(Tensor, norm.num_batches_tracked))


def _replace_classifier_bias(network: DenseNet, optimizer: Optimizer | None) -> None:
    """The whole head is new in the authors' code, so the bias too starts without momentum."""
    replace(network, "classifier.bias", network.classifier.bias.detach().clone(), optimizer=optimizer)
