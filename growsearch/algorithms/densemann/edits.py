"""What the decisions do to the network: layers, filters and the head that reads them (DensEMANN section 3.1).

Every function replaces tensors and never writes into one. The head is the final norm and the classifier, the only
readers of the last layer's channels; like the layer's own kernel, its tensors lose their momentum in an edit.
"""

from typing import Literal, cast

import torch
from torch import Generator, Tensor, nn
from torch.optim import Optimizer

from growsearch.networks.densenet import DenseBlock, DenseLayer, DenseNet, Transition
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.discovery import channel_groups
from growsearch.surgery.initialise import library_
from growsearch.surgery.remap import remap
from growsearch.surgery.replace import replace

EXAMPLE_SIDE = 16
"""Side of the image that channels are traced with: stems leave something of it, and transitions stop at one pixel."""

Start = Literal["library", "variance_scaling", "zeros"]


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
