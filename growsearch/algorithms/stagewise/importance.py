"""Stage importance: the mean score of the features that a stage ends with (section III).

Shapes: N images, P features of a stage.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor

from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.networks.staged import FeaturePoint, StagedNetwork
from growsearch.probes import il_fs, inf_fs, vip
from growsearch.probes.vip import PlsMoments, one_hot

WIDEST_GRAM = 4096
"""Features up to which X'X is summed; wider stages keep their features instead."""


def stage_scores(
    network: StagedNetwork, batches: Iterable[tuple[Tensor, Tensor]], num_classes: int, config: StagewiseConfig
) -> list[float | None]:
    """Score every stage on labelled images; None where the criterion gives no number.

    Args:
        network: read in evaluation mode and left as it was.
        batches: images (N, C, H, W) and class numbers (N,), on the network's device.
        num_classes: columns of the one-hot labels.
        config: the criterion, its options, and where features are read.
    """
    was_training = network.training
    network.eval()
    scorers: list[_Scorer] = []
    with torch.no_grad():
        for images, labels in batches:
            outputs = network.stage_outputs(images, _point(config))
            scorers = scorers or [_Scorer(config, num_classes) for _ in outputs]
            for scorer, maps in zip(scorers, outputs, strict=True):
                scorer.add(pooled_features(maps, config.feature_pool), labels)
    network.train(was_training)
    return [scorer.score() for scorer in scorers]


def pooled_features(maps: Tensor, window: int = 8) -> Tensor:
    """Average pooling of side and stride ``window`` (at most the map's own), flattened: (N, C, H, W) to (N, P)."""
    height, width = maps.shape[2:]
    return F.avg_pool2d(maps.float(), (min(window, height), min(window, width))).flatten(1)


def _point(config: StagewiseConfig) -> FeaturePoint:
    return "add" if config.feature_point == "add" else "relu"


class _Scorer:
    """Takes in one stage's features batch by batch: as sums where the criterion allows, else whole."""

    def __init__(self, config: StagewiseConfig, num_classes: int) -> None:
        self.config, self.num_classes = config, num_classes
        self.moments: PlsMoments | None = None
        self.features: list[Tensor] = []
        self.labels: list[Tensor] = []

    def add(self, features: Tensor, labels: Tensor) -> None:
        """One batch: (N, P) and (N,)."""
        exact = self.config.criterion == "pls" and self.config.pls.backend == "svd"
        if exact and features.shape[1] <= WIDEST_GRAM:
            self.moments = self.moments or PlsMoments(gram=self.config.pls.n_components > 1)
            self.moments.add(features, one_hot(labels, self.num_classes))
        else:
            self.features.append(features)
            self.labels.append(labels)

    def score(self) -> float | None:
        """Mean score of the features; None if it is not a number."""
        score = float(self._scores().mean())
        return None if score != score else score

    def _scores(self) -> Tensor:
        config = self.config
        if self.moments is not None:
            return self.moments.vip(config.pls.n_components)
        x, y = torch.cat(self.features), torch.cat(self.labels)
        if config.criterion == "pls":
            return vip(x, one_hot(y, self.num_classes), config.pls.n_components, backend=config.pls.backend)
        if config.criterion == "inf_fs":
            return inf_fs(x, **vars(config.inf_fs))
        return il_fs(x, y, **vars(config.il_fs))
