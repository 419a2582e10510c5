"""The topology space of NATS-Bench (NAS-Bench-201): cells of four nodes, five operations on each of six edges."""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.channel_vector import options_to_spec, positive
from growsearch.networks.darts.candidate import pool
from growsearch.networks.darts.operations import pooling
from growsearch.networks.registry import register
from growsearch.networks.resized import give_shapes, with_changes
from growsearch.surgery.initialise import library_

OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES = ((1, 0), (2, 0), (2, 1), (3, 0), (3, 1), (3, 2))
"""Target and source of each edge; node 0 is the cell's input, node 3 its output."""

TEXT = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")
STAGES = 3


def operations_of(architecture: Any) -> list[str]:
    """The operations of the six edges out of NATS-Bench's text, such as ``|nor_conv_3x3~0|+|skip_connect~0|...|``.

    Raises:
        UserError: if the text is of another form, or an operation unknown.
    """
    found = TEXT.fullmatch(str(architecture))
    if found is None or not set(found.groups()) <= set(OPERATIONS):
        raise UserError(
            f"network.architecture: {str(architecture)[:120]!r} is not accepted; use"
            f" |op~0|+|op~0|op~1|+|op~0|op~1|op~2| with operations among {', '.join(OPERATIONS)}"
        )
    return list(found.groups())


def random_architecture(generator: torch.Generator) -> str:
    """One of the 15,625 cells, each equally likely."""
    picks = torch.randint(len(OPERATIONS), (len(EDGES),), generator=generator).tolist()
    return "|{}~0|+|{}~0|{}~1|+|{}~0|{}~1|{}~2|".format(*(OPERATIONS[pick] for pick in picks))


class ReluConvNorm(nn.Module):
    """ReLU, convolution, batch norm."""

    def __init__(self, in_channels: int, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, kernel, stride, kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Apply the three."""
        return self.norm(self.conv(F.relu(x_nchw)))


class NatsCell(nn.Module):
    """Every node sums what its edges make of the nodes before it; ``none`` adds nothing."""

    def __init__(self, operations: list[str], channels: int) -> None:
        super().__init__()
        self.operations = operations
        made: dict[str, Callable[[], nn.Module]] = {
            "skip_connect": nn.Identity,
            "nor_conv_1x1": lambda: ReluConvNorm(channels, channels, 1),
            "nor_conv_3x3": lambda: ReluConvNorm(channels, channels, 3),
            "avg_pool_3x3": lambda: pooling(pool("avg"), 1),
        }
        self.edges = nn.ModuleDict({str(n): made[op]() for n, op in enumerate(operations) if op != "none"})

    def forward(self, x_nchw: Tensor) -> Tensor:
        """The last node, N x C x H x W as the input."""
        nodes = [x_nchw]
        for node in (1, 2, 3):
            into = [(number, source) for number, (target, source) in enumerate(EDGES) if target == node]
            parts = [self.edges[str(n)](nodes[source]) for n, source in into if str(n) in self.edges]
            nodes.append(sum(parts[1:], parts[0]) if parts else x_nchw * 0.0)
        return nodes[-1]


class ReductionBlock(nn.Module):
    """Between stages: two 3x3 convolutions, beside a pooled 1x1 one; half the map, twice the channels."""

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.first = ReluConvNorm(in_channels, channels, 3, 2)
        self.second = ReluConvNorm(channels, channels, 3)
        self.shortcut = nn.Conv2d(in_channels, channels, 1, bias=False)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Branch and shortcut added; an odd map's last row counts in both."""
        pooled = F.avg_pool2d(x_nchw, 2, 2, ceil_mode=True)
        return self.second(self.first(x_nchw)) + self.shortcut(pooled)


@register("nats")
class Nats(nn.Module):
    """3x3 stem, three stages of equal cells with reductions between, norm, ReLU, pooling, classifier."""

    def __init__(self, architecture: str, channels: int, cells: int, classes: int, in_channels: int) -> None:
        super().__init__()
        self.architecture = architecture
        self.width = channels
        self.stem = nn.Sequential(nn.Conv2d(in_channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.cells = nn.ModuleList()
        operations = operations_of(architecture)
        for stage in range(STAGES):
            if stage:
                self.cells.append(ReductionBlock(channels, 2 * channels))
                channels *= 2
            self.cells.extend(NatsCell(operations, channels) for _ in range(cells))
        self.norm = nn.BatchNorm2d(channels)
        self.classifier = nn.Linear(channels, classes)

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Nats":
        """Build from a spec: ``architecture``, ``channels`` (16), ``cells`` a stage (5), ``classes``, ``in_channels``.

        Raises:
            UserError: if the architecture is malformed or a size is not positive.
        """
        sizes = [
            positive(spec, *pair) for pair in (("channels", 16), ("cells", 5), ("classes", 10), ("in_channels", 3))
        ]
        network = cls(spec.get("architecture", ""), *sizes)
        give_shapes(network, spec.get("resized", {}))
        return network

    spec_from_options = staticmethod(partial(options_to_spec, "nats"))

    def spec(self) -> dict[str, Any]:
        """Inverse of ``networks.build``; tensors of other than the usual sizes are listed as ``resized``."""
        spec = {
            "family": "nats",
            "architecture": self.architecture,
            "channels": self.width,
            "cells": (len(self.cells) - STAGES + 1) // STAGES,
            "classes": self.classifier.weight.shape[0],
            "in_channels": self.stem.get_parameter("0.weight").shape[1],
        }
        return with_changes(spec, self)

    def initialise(self, generator: torch.Generator) -> None:
        """PyTorch's default start."""
        library_(self, generator)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """Logits, N x classes."""
        x_nchw = self.stem(x_nchw)
        for cell in self.cells:
            x_nchw = cell(x_nchw)
        return self.classifier(F.relu(self.norm(x_nchw)).mean((2, 3)))
