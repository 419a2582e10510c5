"""Sizes that budgets count, and what methods measure to meet them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch import events
from growsearch.actions import Measure, Net, Script, Tell
from growsearch.algorithms.config import Quantity
from growsearch.data.augment import Augmentation
from growsearch.errors import UserError
from growsearch.probes import cost
from growsearch.probes.latency import forward_milliseconds
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.discovery import channel_groups
from growsearch.training import Cursor, Engine, Network

Shape = tuple[int, int, int]

SCORE_BATCH = 64
"""Images of a forward pass for gradients."""


@dataclass(frozen=True)
class Point:
    """A network along the way: its sizes, and validation accuracies before and after fine-tuning (None if unknown)."""

    macs: int
    params: int
    cut_accuracy: float | None
    accuracy: float | None


def example(module: nn.Module, image_shape: Shape) -> Tensor:
    """Images to trace a network with: with two of them, batch norm on maps of one pixel blows rounding errors up."""
    return torch.zeros(8, *image_shape, dtype=next(module.parameters()).dtype)


def groups_of(module: nn.Module, image_shape: Shape, prove: bool = False) -> dict[str, ChannelGroup]:
    """The channel groups of a network by name; ``prove`` as for :func:`growsearch.surgery.channel_groups`."""
    return {group.name: group for group in channel_groups(module, example(module, image_shape), prove=prove)}


def writers(group: ChannelGroup) -> tuple[str, ...]:
    """Layers whose outputs the channels are."""
    return (*group.producers, *group.layers("depthwise"))


def left_alone(groups: Mapping[str, ChannelGroup], leave: Sequence[str]) -> set[str]:
    """Names of the groups that a layer writes whose name is like one of the patterns ``leave``.

    Raises:
        UserError: if a pattern names no layer.
    """
    layers = {name: writers(group) for name, group in groups.items()}
    known = sorted({layer for written in layers.values() for layer in written})
    for pattern in leave:
        if not any(fnmatch(layer, pattern) for layer in known):
            raise UserError(
                f"algo.leave: {pattern!r} names no layer that writes channels; use patterns of names such as"
                f" {', '.join(known[:4])}"
            )
    return {
        name for name, written in layers.items() if any(fnmatch(layer, each) for layer in written for each in leave)
    }


def without_memory(tensor: Tensor) -> Tensor:
    """A tensor of the same shape without values."""
    return tensor.to("meta", copy=True)


def gradients(network: Network, engine: Engine, images: int, squared: bool) -> dict[str, Tensor]:
    """Gradients of the mean loss on the first training images, in evaluation mode; or the mean of their squares.

    Args:
        network: left as it is.
        engine: its training images, as they are.
        images: how many at most.
        squared: square the gradient of each image before the mean: the diagonal of the Fisher matrix.

    Returns:
        By the name of the parameter; zeros for one that the loss does not depend on.
    """
    module = network.module
    named = {name: parameter for name, parameter in module.named_parameters() if parameter.requires_grad}
    total = {name: torch.zeros_like(parameter) for name, parameter in named.items()}
    for pictures, labels in scored_batches(network, engine, images):
        for part, wanted in zip(*((t.split(1) if squared else [t]) for t in (pictures, labels)), strict=True):
            loss = F.cross_entropy(module(part).float(), wanted, reduction="sum")
            found = torch.autograd.grad(loss, list(named.values()), allow_unused=True)
            for name, gradient in zip(named, found, strict=True):
                if gradient is not None:
                    total[name] += gradient.detach().square() if squared else gradient.detach()
    count = min(images, len(engine.data.train))
    return {name: value / count for name, value in total.items()}


def scored_batches(
    network: Network, engine: Engine, images: int, batch: int = SCORE_BATCH
) -> Iterator[tuple[Tensor, Tensor]]:
    """The first training images and their labels, as they are; the network is in evaluation mode meanwhile."""
    module, count = network.module, min(images, len(engine.data.train))
    cursor = Cursor(purpose="importance")
    loader = engine.loader(network, cursor, Augmentation(), shuffle=False)
    was_training = module.training
    module.eval()
    try:
        while cursor.used < count:
            yield loader.take(cursor, min(batch, count - cursor.used))
    finally:
        module.train(was_training)


def spent(module: nn.Module, image_shape: Shape, quantity: Quantity) -> float:
    """MACs of one image, trainable parameters, or milliseconds of a network.

    Other work on the processor only adds to a time: of five medians the least is taken.
    """
    if quantity == "latency":
        return min(forward_milliseconds(module, image_shape, 20) for _ in range(5))
    return getattr(cost(module, image_shape), quantity)


def quantity_of(network: Network, image_shape: Shape, quantity: Quantity) -> float:
    """:func:`spent` of a live network."""
    return spent(network.module, image_shape, quantity)


def reached(
    net: Net, image_shape: Shape, epoch: int, accuracy: float | None, cut_accuracy: float | None = None
) -> Script:
    """Measure and tell where a network stands along the way: its :class:`Point`.

    Args:
        net: the network.
        image_shape: (C, H, W) of one image.
        epoch: of the run.
        accuracy: on validation images, after its training.
        cut_accuracy: the same before it.
    """
    macs = yield Measure(net, quantity_of, (image_shape, "macs"))
    point = Point(macs, net.params, cut_accuracy, accuracy)
    yield Tell(events.Measure(net.id, "point", epoch, point.__dict__))
    return point


def layer_sizes(network: Network) -> dict[str, int]:
    """Outputs of every convolution and linear layer."""
    kinds = (nn.modules.conv._ConvNd, nn.Linear)
    return {
        name: layer.weight.shape[1 if getattr(layer, "transposed", False) else 0]
        for name, layer in network.module.named_modules()
        if isinstance(layer, kinds)
    }
