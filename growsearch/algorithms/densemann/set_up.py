"""From options and data to the seed network and how it is trained (DensEMANN sections 3.1 and 4)."""

from typing import Any

from growsearch.actions import Facts
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.data.augment import Augmentation
from growsearch.training import OptimizerConfig

LARGE = 48
"""Images with a longer side than this many pixels get the large stem."""


def seed_spec(config: DensemannConfig, data: Facts) -> dict[str, Any]:
    """One block of one layer of ``growth_rate`` filters."""
    channels, height, width = data.image_shape
    stem = config.stem if config.stem != "auto" else "large" if max(height, width) > LARGE else "small"
    return {
        "family": "densenet",
        "in_channels": channels,
        "classes": data.num_classes,
        "stem": stem,
        "stem_filters": config.stem_filters or 2 * config.growth_rate,
        "filters": [[config.growth_rate]],
        "bottlenecks": [[config.bottleneck_factor * config.growth_rate]] if config.bottleneck else None,
        "transitions": [],
        "dropout": dropout_of(config, data.name),
        "init": "growing",
        "init_distribution": config.init_distribution,
        "stem_init": config.stem_init,
        "classifier_init": config.classifier_init,
    }


def is_cropped(name: str) -> bool:
    """Whether the publication crops and flips this data set's images (its code's names end in "+" then)."""
    return name.startswith("cifar")


def augmentation_of(config: DensemannConfig, name: str) -> Augmentation:
    """Crop and flip on CIFAR, cutout everywhere, unless options say otherwise (section 4)."""
    cropped = is_cropped(name)
    padding = config.crop_padding if config.crop_padding is not None else 4 * cropped
    return Augmentation(padding, cropped if config.flip is None else config.flip, config.cutout)


def dropout_of(config: DensemannConfig, name: str) -> float:
    """0.2 unless images are cropped and flipped (authors' code), or what the option says."""
    if config.dropout is not None:
        return config.dropout
    return 0.0 if is_cropped(name) else 0.2


def optimizer_of(config: DensemannConfig) -> OptimizerConfig:
    """SGD with decay on all parameters."""
    return OptimizerConfig(
        lr=config.lr, momentum=config.momentum, nesterov=config.nesterov, weight_decay=config.weight_decay
    )
