"""Stage importance: the mean score of the features that a stage ends with (section III).

Shapes: N images, P features of a stage.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.networks.staged import FeaturePoint, StagedNetwork
from growsearch.probes import il_fs, inf_fs, vip
from growsearch.probes.vip import PlsMoments, one_hot
from growsearch.randomness import generator
from growsearch.training import Engine, Network

WIDEST_GRAM = 4096
"""Features up to which X'X is summed; wider stages keep their features instead."""


@dataclass(frozen=True)
class Criterion:
    """Settings of a stage's score, out of :class:`StagewiseConfig`.

    Attributes:
        name: ``pls``, ``inf_fs`` or ``il_fs``.
        options: of that criterion.
        point: where features are read.
        pool: side and stride of the average pooling that makes features of a map.
        samples: training images to score with; 0 for all.
    """

    name: str
    options: dict[str, Any]
    point: FeaturePoint
    pool: int
    samples: int

    @classmethod
    def of(cls, config: StagewiseConfig) -> "Criterion":
        """The one that a configuration names."""
        name, point = config.criterion, cast(FeaturePoint, config.feature_point)
        return cls(name, vars(getattr(config, name)), point, config.feature_pool, config.score_samples)


def stage_importance(network: Network, engine: Engine, criterion: Criterion) -> list[float | None]:
    """Score every stage of a network on training images; None where the criterion gives no number."""
    batches = scoring_batches(engine, criterion.samples, network.layout)
    return stage_scores(cast(StagedNetwork, network.module), batches, engine.data.num_classes, criterion)


def scoring_batches(
    engine: Engine, count: int = 0, layout: torch.memory_format = torch.contiguous_format
) -> Iterator[tuple[Tensor, Tensor]]:
    """Training images (N, C, H, W), normalised and not augmented, and their classes (N,), on the device.

    Args:
        engine: its data and seed.
        count: images, the same ones for every network of a run; 0 or too many for all.
        layout: of the images.
    """
    split = engine.data.train
    rows = torch.arange(len(split))
    if 0 < count < len(split):
        rows = torch.randperm(len(split), generator=generator(engine.seed, "score samples"))[:count].sort().values
    for chunk in rows.to(split.images.device).split(engine.hardware.eval_batch):
        batch = split.take(chunk)
        images = engine.data.normalisation(batch.images)
        yield images.contiguous(memory_format=layout), batch.labels


def stage_scores(
    network: StagedNetwork, batches: Iterable[tuple[Tensor, Tensor]], num_classes: int, criterion: Criterion
) -> list[float | None]:
    """Score every stage on labelled images; None where the criterion gives no number.

    Args:
        network: read in evaluation mode and left as it was.
        batches: images (N, C, H, W) and class numbers (N,), on the network's device.
        num_classes: columns of the one-hot labels.
        criterion: how to score.
    """
    was_training = network.training
    network.eval()
    scorers: list[_Scorer] = []
    with torch.no_grad():
        for images, labels in batches:
            outputs = network.stage_outputs(images, criterion.point)
            scorers = scorers or [_Scorer(criterion, num_classes) for _ in outputs]
            for scorer, maps in zip(scorers, outputs, strict=True):
                scorer.add(pooled_features(maps, criterion.pool), labels)
    network.train(was_training)
    return [scorer.score() for scorer in scorers]


def pooled_features(maps: Tensor, window: int = 8) -> Tensor:
    """Average pooling of side and stride ``window`` (at most the map's own), flattened: (N, C, H, W) to (N, P)."""
    height, width = maps.shape[2:]
    return F.avg_pool2d(maps.float(), (min(window, height), min(window, width))).flatten(1)


class _Scorer:
    """Takes in one stage's features batch by batch: as sums where the criterion allows, else whole."""

    def __init__(self, criterion: Criterion, num_classes: int) -> None:
        self.criterion, self.num_classes = criterion, num_classes
        self.moments: PlsMoments | None = None
        self.features: list[Tensor] = []
        self.labels: list[Tensor] = []

    def add(self, features: Tensor, labels: Tensor) -> None:
        """One batch: (N, P) and (N,)."""
        name, options = self.criterion.name, self.criterion.options
        exact = name == "pls" and options["backend"] == "svd"
        if exact and features.shape[1] <= WIDEST_GRAM:
            self.moments = self.moments or PlsMoments(gram=options["n_components"] > 1)
            self.moments.add(features, one_hot(labels, self.num_classes))
        else:
            self.features.append(features)
            self.labels.append(labels)

    def score(self) -> float | None:
        """Mean score of the features; None if it is not a number."""
        score = float(self._scores().mean())
        return None if score != score else score

    def _scores(self) -> Tensor:
        name, options = self.criterion.name, self.criterion.options
        if self.moments is not None:
            return self.moments.vip(options["n_components"])
        x, y = torch.cat(self.features), torch.cat(self.labels)
        if name == "pls":
            return vip(x, one_hot(y, self.num_classes), **options)
        return inf_fs(x, **options) if name == "inf_fs" else il_fs(x, y, **options)
