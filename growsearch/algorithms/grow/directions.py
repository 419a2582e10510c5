"""Filters of new channels by singular vectors: GradMax's (arXiv 2201.05125) and TINY's (arXiv 2405.19816).

A new channel is written by layers P and read by layers Q, with weights 0 at first. If only linear functions lie between
them, the gradient of a weight of Q that reads it is a matrix M times its filter in P: M sums, over images and places,
what the filter sees times the gradient at Q's output.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.grad import conv2d_weight

from growsearch.algorithms.budgets import SCORE_BATCH, scored_batches
from growsearch.surgery.channels import Axis, ChannelGroup
from growsearch.surgery.tensors import lookup
from growsearch.training import Engine, Network

ENTRIES = 2**24
"""Numbers of a batch's patches that are held at a time."""

MOST_INPUTS = 4096
"""Inputs of the filters that write a channel, over all layers; with more, the decomposition would take minutes."""

SMALLEST = 1e-10
"""Variances, and squared singular values, below this share of the largest count as none."""


@dataclass(frozen=True)
class Directions:
    """Filters of new channels of a group, the best first.

    Attributes:
        gains: [K], squared singular values: the squared norm of the gradient of the weights that read a channel
            (GradMax), or the decrease of the loss by it to first order (TINY).
        filters: by name of each weight that writes the group, [K, fan in]; with those of all of them the norm is 1.
    """

    gains: Tensor
    filters: dict[str, Tensor]


@dataclass(frozen=True)
class Seen:
    """A layer in a forward pass: its turn among those that are watched, its input and its output."""

    turn: int
    input: Tensor
    output: Tensor


Passes = Callable[[], Iterator[tuple[dict[str, Seen], dict[str, Tensor]]]]
"""Goes through the images; gives what each layer saw, and the gradient of the batch's summed loss at its output."""


def directions(
    network: Network,
    engine: Engine,
    groups: Mapping[str, ChannelGroup],
    sizes: Mapping[str, int],
    images: int,
    natural: bool,
) -> dict[str, Directions]:
    """The best filters of new channels of groups, without a change of the network.

    GradMax takes the left singular vectors of M. TINY takes those of S^(-1/2) N, times S^(-1/2): S is the second moment
    of what the filters see, and N is M for the part of the wanted change of Q's output (the negative gradient of each
    image) that no change of its present weights makes. S counts every place of a map once.

    Args:
        network: it may have new channels already, whose readers are at zero.
        engine: its training images, as they are.
        groups: handles of all its groups by name.
        sizes: of those that are asked for, without new channels, by name.
        images: how many at most.
        natural: TINY in place of GradMax.

    Returns:
        By group, in float64 on the CPU. A group is left out if none of its pairs P and Q are plain convolutions or
        linear layers with a map between them that keeps its shape, is flattened or is averaged, or if its filters have
        more than :data:`MOST_INPUTS` inputs.
    """
    module = network.module
    ties = [tie for name in sizes if (tie := Tie(module, groups[name], natural)).inputs() <= MOST_INPUTS]
    axes = [axis for tie in ties for axis in (*tie.writers, *tie.readers)]
    layers = {axis.layer: module.get_submodule(axis.layer) for axis in axes}
    new = _new_inputs(groups, sizes)
    largest = max((_fan_in(layers[axis.layer]) for tie in ties for axis in tie.writers), default=1)
    _, height, width = engine.data.image_shape
    batch = max(1, min(SCORE_BATCH, ENTRIES // (largest * height * width)))

    def passes() -> Iterator[tuple[dict[str, Seen], dict[str, Tensor]]]:
        for pictures, labels in scored_batches(network, engine, images, batch):
            with watched(layers, new) as seen:
                loss = F.cross_entropy(module(pictures).float(), labels, reduction="sum")
            once = {name: each[0] for name, each in seen.items() if len(each) == 1}
            slopes = torch.autograd.grad(loss, [each.output for each in once.values()], allow_unused=True)
            yield once, {name: slope for name, slope in zip(once, slopes, strict=True) if slope is not None}

    readers = {axis.layer for tie in ties for axis in tie.readers}
    updates = _updates(layers, readers, passes) if natural else {}
    for seen, slopes in passes():
        wanted = {name: slopes[name] for name in readers & slopes.keys()}
        for name, update in updates.items():
            wanted[name] = _left(update, layers[name], seen[name], slopes[name])
        for tie in ties:
            tie.add(layers, seen, wanted)
    count = min(images, len(engine.data.train))
    found = {tie.group.name: tie.solved(count) for tie in ties}
    return {name: each for name, each in found.items() if each is not None}


class Tie:
    """Layers that write and read a group, and the moments between what the former see and what the latter want."""

    def __init__(self, module: nn.Module, group: ChannelGroup, natural: bool) -> None:
        self.module, self.group, self.natural = module, group, natural
        plain = [axis for axis in group.axes if _is_plain(module, axis)]
        self.writers = [axis for axis in plain if axis.role == "producer" and repeat(group, axis) == 1]
        self.readers = [axis for axis in plain if axis.role == "consumer"]
        self.moments: dict[tuple[str, str], Tensor] = {}
        self.seconds: dict[tuple[str, str], Tensor] = {}

    def inputs(self) -> int:
        """Inputs of the filters that write a channel."""
        return sum(_fan_in(self.module.get_submodule(axis.layer)) for axis in self.writers)

    def add(self, layers: Mapping[str, nn.Module], seen: Mapping[str, Seen], wanted: Mapping[str, Tensor]) -> None:
        """Add a batch."""
        features = {a.name: _patches(layers[a.layer], seen[a.layer]) for a in self.writers if a.layer in seen}
        for writer, reader in product(self.writers, self.readers):
            if not {writer.layer, reader.layer} <= seen.keys() or reader.layer not in wanted:
                continue
            there = seen[reader.layer]
            if seen[writer.layer].turn < there.turn:
                times = repeat(self.group, reader)
                part = _moment(features[writer.name], layers[reader.layer], times, there.input, wanted[reader.layer])
                if part is not None:
                    _add(self.moments, (writer.name, reader.name), part)
        if self.natural:
            for first, second in product(dict.fromkeys(writer for writer, _ in self.moments), repeat=2):
                if features[first].shape[2:] == features[second].shape[2:]:
                    part = torch.einsum("nfhw,nghw->fg", features[first], features[second])
                    _add(self.seconds, (first, second), part)

    def solved(self, count: int) -> Directions | None:
        """The filters, from the sums over so many images; None without finite ones."""
        if not self.moments or not all(
            part.isfinite().all() for part in (*self.moments.values(), *self.seconds.values())
        ):
            return None
        rows = {writer: part.shape[0] for (writer, _), part in self.moments.items()}
        columns = {reader: part.shape[1] for (_, reader), part in self.moments.items()}
        matrix = _assembled(self.moments, rows, columns) / count
        whitening = _inverse_root(_assembled(self.seconds, rows, rows) / count) if self.natural else None
        matrix = matrix if whitening is None else whitening @ matrix
        gains, left = (found.flip(-1) for found in torch.linalg.eigh(matrix @ matrix.T))
        left, gains = left[:, gains > SMALLEST * gains.max()], gains[gains > SMALLEST * gains.max()]
        if whitening is not None:
            left = F.normalize(whitening @ left, dim=0)
        signs = left.gather(0, left.abs().argmax(0, keepdim=True)).sign()
        parts = (left * signs).T.split(list(rows.values()), 1)
        return Directions(gains, dict(zip(rows, parts, strict=True)))


@contextmanager
def watched(layers: Mapping[str, nn.Module], new: Mapping[str, Sequence[int]]) -> Iterator[dict[str, list[Seen]]]:
    """Note what layers see in the passes to come, with zeros for their new inputs."""
    seen: dict[str, list[Seen]] = {name: [] for name in layers}

    def look(name: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def hook(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            there = inputs[0].detach().clone()
            if there.dim() == lookup(layers[name], "weight").dim():
                there[:, list(new.get(name, ()))] = 0
                seen[name].append(Seen(sum(map(len, seen.values())), there, output))
            return output.clone()  # the next layer may write into it

        return hook

    handles = [layer.register_forward_hook(look(name)) for name, layer in layers.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _is_plain(module: nn.Module, axis: Axis) -> bool:
    layer = module.get_submodule(axis.layer)
    if type(layer) is nn.Conv2d:
        return layer.groups == 1 and layer.padding_mode == "zeros" and not isinstance(layer.padding, str)
    return type(layer) is nn.Linear


def _fan_in(layer: nn.Module) -> int:
    return lookup(layer, "weight")[0].numel()


def _new_inputs(groups: Mapping[str, ChannelGroup], sizes: Mapping[str, int]) -> dict[str, list[int]]:
    """Inputs of each layer that are new channels of any group."""
    found: dict[str, list[int]] = {}
    for group, size in ((groups[name], size) for name, size in sizes.items()):
        for axis in group.axes:
            if axis.role == "consumer":
                places = [place for channel in range(size, group.size) for place in group.positions(axis, channel)]
                found.setdefault(axis.layer, []).extend(places)
    return found


def repeat(group: ChannelGroup, axis: Axis) -> int:
    """Entries of a dimension that each channel has."""
    return len(group.positions(axis, 0))


def _patches(layer: nn.Module, seen: Seen) -> Tensor:
    """What a layer's filters see: [N, fan in, H, W] for a map of H x W places, one place for a linear layer."""
    if isinstance(layer, nn.Conv2d):
        assert not isinstance(layer.padding, str)
        columns = F.unfold(seen.input, layer.kernel_size, layer.dilation, layer.padding, layer.stride)
        return columns.unflatten(2, seen.output.shape[2:])
    return seen.input.flatten(1)[:, :, None, None]


def _moment(features: Tensor, reader: nn.Module, repeat: int, there: Tensor, wanted: Tensor) -> Tensor | None:
    """[F, columns]: the sum over images and places of features times what is wanted at a reader's output."""
    if isinstance(reader, nn.Conv2d):
        if features.shape[2:] != there.shape[2:]:
            return None
        shape = (wanted.shape[1], features.shape[1], *reader.kernel_size)
        how = (reader.stride, reader.padding, reader.dilation)
        return conv2d_weight(features, shape, wanted, *how).movedim(1, 0).flatten(1)
    flat = features.flatten(2)
    if repeat == 1:
        flat = flat.mean(2, keepdim=True)
    elif flat.shape[2] != repeat:
        return None
    return torch.einsum("nfr,no->for", flat, wanted).flatten(1)


def _updates(layers: Mapping[str, nn.Module], readers: set[str], passes: Passes) -> dict[str, Tensor]:
    """For each reader the change of its weights and bias whose outputs come closest to the negative gradient."""
    seconds: dict[str, Tensor] = {}
    crosses: dict[str, Tensor] = {}
    for seen, slopes in passes():
        for name in readers & slopes.keys():
            inputs, wanted = _inputs(layers[name], seen[name]), -_places(slopes[name])
            _add(seconds, name, torch.einsum("nfl,ngl->fg", inputs, inputs))
            _add(crosses, name, torch.einsum("nol,nfl->of", wanted, inputs))
    finite = {name: second for name, second in seconds.items() if second.isfinite().all()}
    return {name: crosses[name] @ torch.linalg.pinv(second, hermitian=True) for name, second in finite.items()}


def _left(update: Tensor, layer: nn.Module, seen: Seen, slope: Tensor) -> Tensor:
    """The negative gradient at a reader's output without what a change of its weights makes of it."""
    made = update.to(slope) @ _inputs(layer, seen)
    return -slope - made.reshape(slope.shape)


def _inputs(layer: nn.Module, seen: Seen) -> Tensor:
    """[N, fan in, L] that a layer sees at L places; with ones if it has a bias."""
    inputs = _patches(layer, seen).flatten(2)
    return inputs if layer.bias is None else torch.cat([inputs, torch.ones_like(inputs[:, :1])], 1)


def _places(outputs: Tensor) -> Tensor:
    return outputs[:, :, None] if outputs.dim() == 2 else outputs.flatten(2)


def _add(sums: dict[Any, Tensor], key: Any, part: Tensor) -> None:
    part = part.detach().to("cpu", torch.float64)
    sums[key] = sums[key] + part if key in sums else part


def _assembled(parts: Mapping[tuple[str, str], Tensor], rows: Mapping[str, int], columns: Mapping[str, int]) -> Tensor:
    """A matrix of blocks; those that are missing are zero."""
    whole = torch.zeros(sum(rows.values()), sum(columns.values()), dtype=torch.float64)
    for blocks, row in zip(whole.split(list(rows.values())), rows, strict=True):
        for block, column in zip(blocks.split(list(columns.values()), 1), columns, strict=True):
            if (row, column) in parts:
                block.copy_(parts[row, column])
    return whole


def _inverse_root(second: Tensor) -> Tensor:
    """The inverse square root of a matrix of second moments, on the space where they are not zero."""
    values, vectors = torch.linalg.eigh(second)
    kept = values > SMALLEST * values.max()
    return vectors[:, kept] / values[kept].sqrt() @ vectors[:, kept].T
