"""Sequential classifiers of convolution cells and dense layers: ECToNAS's network space.

``input -> [reshape] -> cells -> flatten -> hidden dense (relu) -> output``, after Table 6 and
appendix C.2 of the paper, with the defaults of Keras where it says nothing.
"""

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.networks.registry import register
from growsearch.surgery.initialise import glorot_uniform

Shape = tuple[int, ...]

PAPER_ORDER = "conv-pool-norm-act"
CODE_ORDER = "conv-pool-act-norm"
ORDERS = (PAPER_ORDER, CODE_ORDER)
POOLS = ("avg", "max", "none")

TOPOLOGIES: dict[str, tuple[list[int], list[int]]] = {
    "small_cnn": ([3, 6, 9], [10]),
    "small_ffnn": ([], [10]),
    "medium_cnn": ([3, 6], [10, 10]),
    "medium_ffnn": ([], [10, 10]),
    "large_cnn": ([3], [100, 50, 10]),
    "large_ffnn": ([], [100, 50, 10]),
}
"""Channels of the cells and units of the hidden layers of Table 6's start topologies."""


def sequential_spec(
    channels: list[int], hidden: list[int], input_shape: Shape, num_classes: int, *, pool: str = "avg"
) -> dict[str, Any]:
    """Describe a network whose cells are alike.

    Args:
        channels: output channels of each cell, from the input on.
        hidden: units of each hidden dense layer.
        input_shape: (C, H, W), or (H, W) for input without a channel axis.
        num_classes: outputs.
        pool: pooling of every cell; ``avg`` in the paper's start topologies.
    """
    cells = [{"channels": count, "pool": pool, "order": PAPER_ORDER} for count in channels]
    return {
        "family": "sequential",
        "input_shape": list(input_shape),
        "num_classes": num_classes,
        "reshape": bool(cells) and len(input_shape) == 2,
        "cells": cells,
        "hidden": list(hidden),
    }


def start_topology(name: str, input_shape: Shape, num_classes: int) -> dict[str, Any]:
    """Spec of one of Table 6's start topologies, fitted to a data set.

    Raises:
        UserError: if there is none of that name.
    """
    if name not in TOPOLOGIES:
        raise UserError(f"start topology: {name!r} is not accepted; use one of {', '.join(TOPOLOGIES)}")
    channels, hidden = TOPOLOGIES[name]
    return sequential_spec(channels, hidden, input_shape, num_classes)


def pooled(size: int) -> int:
    """Height or width after one 2x2 pooling of stride 2 and Keras' ``same`` padding."""
    return (size + 1) // 2


class Cell(nn.Module):
    """Convolution 3x3, pooling 2x2, batch norm and relu; ``order`` says what follows the pooling.

    Odd maps are pooled as if one row or column were missing at their end, and an average is taken
    over what exists (Keras' ``same``). Statistics move by 0.01 a step (Keras' momentum 0.99).
    """

    def __init__(self, in_channels: int, channels: int, pool: str = "avg", order: str = PAPER_ORDER) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.pool = pooling(pool)
        self.norm = nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)
        self.order = order

    def forward(self, x: Tensor) -> Tensor:
        """Map (N, C, H, W) to (N, channels, ceil(H/2), ceil(W/2)), or keep (H, W) without pooling."""
        x = self.pool(self.conv(x))
        return self.norm(x.relu()) if self.order == CODE_ORDER else self.norm(x).relu()

    @property
    def pool_kind(self) -> str:
        """``avg``, ``max`` or ``none``."""
        match self.pool:
            case nn.AvgPool2d():
                return "avg"
            case nn.MaxPool2d():
                return "max"
            case _:
                return "none"

    def spec(self) -> dict[str, Any]:
        """This cell's entry in the network's spec."""
        return {"channels": self.conv.weight.shape[0], "pool": self.pool_kind, "order": self.order}


def pooling(kind: str) -> nn.Module:
    """Layer that pools 2x2 as Keras' ``same`` does: ``avg`` or ``max``, or nothing for ``none``."""
    match kind:
        case "avg":
            return nn.AvgPool2d(2, 2, ceil_mode=True)
        case "max":
            return nn.MaxPool2d(2, 2, ceil_mode=True)
        case _:
            return nn.Identity()


@register("sequential")
class Sequential(nn.Module):
    """A stack of cells, then hidden dense layers, then the output layer, which gives logits.

    Attributes:
        input_shape: (C, H, W), or (H, W) for input without a channel axis.
        reshape: whether the adapter that adds the channel axis is there; it stays when all cells go.
        cells: the convolution cells.
        hidden: the hidden dense layers, each followed by a relu.
        output: the last dense layer.
    """

    auxiliary = False

    def __init__(self, spec: dict[str, Any]) -> None:
        super().__init__()
        _check(spec)
        self.input_shape: Shape = tuple(spec["input_shape"])
        self.reshape = bool(spec["reshape"])
        channels = self.input_shape[0] if len(self.input_shape) == 3 else 1
        self.cells = nn.ModuleList()
        for cell in spec["cells"]:
            self.cells.append(Cell(channels, cell["channels"], cell["pool"], cell["order"]))
            channels = cell["channels"]
        sizes = [channels * self.flat_size[0] * self.flat_size[1], *spec["hidden"]]
        self.hidden = nn.ModuleList(nn.Linear(n, m) for n, m in pairwise(sizes))
        self.output = nn.Linear(sizes[-1], spec["num_classes"])

    @classmethod
    def from_spec(cls, spec: dict[str, Any]) -> "Sequential":
        """Build from :meth:`spec`'s description.

        Raises:
            UserError: if the description cannot be built.
        """
        return cls(spec)

    @classmethod
    def spec_from_options(cls, options: dict[str, Any], image_shape: Shape, num_classes: int) -> dict[str, Any]:
        """Spec of a start ``topology`` of Table 6, or of one with the given ``cells`` and ``hidden`` units.

        Raises:
            UserError: if neither or both are given, or an option is unknown.
        """
        names = set(options)
        if names == {"topology"}:
            return start_topology(options["topology"], image_shape, num_classes)
        if not names or names - {"cells", "hidden", "pool"}:
            found = ", ".join(sorted(names)) or "nothing"
            raise UserError(f"network: {found} is not accepted; use either topology or some of cells, hidden, pool")
        cells, hidden = options.get("cells", []), options.get("hidden", [])
        return sequential_spec(cells, hidden, image_shape, num_classes, pool=options.get("pool", "avg"))

    @property
    def flat_size(self) -> tuple[int, int]:
        """Height and width of the maps that are flattened for the first dense layer."""
        height, width = self.input_shape[-2:]
        for cell in self.conv_cells():
            if cell.pool_kind != "none":
                height, width = pooled(height), pooled(width)
        return height, width

    def channels_before(self, cell: int) -> int:
        """Input channels of cell number ``cell``; of the flattened maps if there is no such cell."""
        if cell:
            return self.conv_cells()[cell - 1].conv.weight.shape[0]
        return self.input_shape[0] if len(self.input_shape) == 3 else 1

    def conv_cells(self) -> list[Cell]:
        """The cells, from the input on."""
        return cast(list[Cell], list(self.cells))

    def dense_layers(self) -> list[nn.Linear]:
        """Hidden layers and output layer, from the flattened maps on."""
        return cast(list[nn.Linear], [*self.hidden, self.output])

    def forward(self, x: Tensor) -> Tensor:
        """Map images (N, C, H, W), or (N, H, W) where there is one channel, to logits (N, classes)."""
        if self.cells and x.dim() == 3:
            x = x.unsqueeze(1)
        for cell in self.cells:
            x = cell(x)
        x = x.flatten(1)
        for layer in self.hidden:
            x = layer(x).relu()
        return self.output(x)

    def spec(self) -> dict[str, Any]:
        """Describe the network as it is now, read off its tensors."""
        return {
            "family": "sequential",
            "input_shape": list(self.input_shape),
            "num_classes": self.output.weight.shape[0],
            "reshape": self.reshape,
            "cells": [cell.spec() for cell in self.conv_cells()],
            "hidden": [layer.weight.shape[0] for layer in self.dense_layers()[:-1]],
        }

    def initialise(self, generator: torch.Generator) -> None:
        """Glorot uniform weights and zero biases (Keras' defaults), drawn in the order of the layers."""
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    layer.weight.copy_(glorot_uniform(layer.weight.shape, generator))
                    layer.bias.zero_()  # type: ignore[union-attr]
                elif isinstance(layer, nn.BatchNorm2d):
                    layer.reset_parameters()


def _check(spec: dict[str, Any]) -> None:
    """Refuse a spec that cannot be built, naming what is wrong with it."""
    shape = spec["input_shape"]
    if len(shape) not in (2, 3) or min(shape) < 1:
        raise UserError(f"sequential network: input_shape {shape} is not accepted; use (C, H, W) or (H, W)")
    if spec["cells"] and len(shape) == 2 and not spec["reshape"]:
        raise UserError("sequential network: cells need a channel axis, which the input lacks; use reshape=true")
    for cell in spec["cells"]:
        if cell["pool"] not in POOLS or cell["order"] not in ORDERS:
            found = f"pool {cell['pool']!r}, order {cell['order']!r}"
            valid = f"one of {', '.join(POOLS)} and of {', '.join(ORDERS)}"
            raise UserError(f"sequential network: a cell with {found} is not accepted; use {valid}")
    sizes = [cell["channels"] for cell in spec["cells"]] + list(spec["hidden"]) + [spec["num_classes"]]
    if min(sizes) < 1:
        raise UserError(f"sequential network: a layer has {min(sizes)} outputs; it needs at least 1")
