"""NASNet-A for CIFAR from a depth vector (Stage-Wise NAS section IV)."""

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from growsearch.networks.nasnet_cells import NormalCell, ReductionCell, Separable, norm
from growsearch.networks.registry import register
from growsearch.networks.staged import FeaturePoint, StagedNetwork, set_norm_momentum
from growsearch.surgery.initialise import glorot_uniform, he_normal_truncated


@register("nasnet")
class NASNet(StagedNetwork):
    """3x3 stem and norm, stages of normal cells with a reduction cell between, ReLU, pooling, classifier.

    Cells read the two outputs before them. Behind a reduction the older one is the reduction's own input, still
    twice as large.

    Args:
        depths: normal cells per stage; three stages on CIFAR.
        width: channels of the stem and filters of stage 0's cells, doubled at each further stage.
        classes: K.
        in_channels: channels of an image.
        norm_momentum: weight of a batch in the running statistics of norms.
    """

    family = "nasnet"

    def __init__(
        self,
        depths: Sequence[int],
        width: int = 32,
        classes: int = 10,
        in_channels: int = 3,
        norm_momentum: float = 0.1,
    ) -> None:
        sizes = {"width": width, "classes": classes, "in_channels": in_channels}
        super().__init__(depths, None, **sizes, norm_momentum=norm_momentum)
        stem = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, norm(width))
        self.reductions = nn.ModuleList()
        x = p = width
        halve = False
        for index, depth in enumerate(depths):
            filters = width * 2**index
            if index > 0:
                self.reductions.append(ReductionCell(x, p, filters, halve))
                x, p, halve = ReductionCell.outputs * filters, x, True
            stage = nn.Sequential()
            for _ in range(depth):
                stage.append(NormalCell(x, p, filters, halve))
                x, p, halve = NormalCell.outputs * filters, x, False
            self.stages.append(stage)
        self.classifier = nn.Linear(x, classes)
        set_norm_momentum(self, norm_momentum)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) images to (N, K) logits."""
        return self.classifier(F.relu(self.stage_outputs(x)[-1]).mean((2, 3)))

    def stage_outputs(self, x: Tensor, point: FeaturePoint = "add") -> list[Tensor]:
        """The last normal cell's joined maps in each stage (``add``), or their positive part (``relu``)."""
        x = p = self.stem(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            if index > 0:
                x, p = self.reductions[index - 1](x, p), x
            for cell in cast(nn.Sequential, stage):
                x, p = cell(x, p), x
            outputs.append(x if point == "add" else F.relu(x))
        return outputs

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Keras' Glorot uniform for separable convolutions and classifier, He normal for the others."""
        separable = {conv for module in self.modules() if isinstance(module, Separable) for conv in module.children()}
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d):
                draw = glorot_uniform if layer in separable else he_normal_truncated
                layer.weight.copy_(draw(layer.weight.shape, generator))
            elif isinstance(layer, nn.Linear):
                layer.weight.copy_(glorot_uniform(layer.weight.shape, generator))
                nn.init.zeros_(layer.bias)
            elif isinstance(layer, nn.BatchNorm2d):
                layer.reset_parameters()
