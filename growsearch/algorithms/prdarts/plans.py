"""From options to what the loop works with."""

import dataclasses
import math
from dataclasses import dataclass

from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.morphisms import SETTINGS, MorphLimits
from growsearch.algorithms.prdarts.pools import CycleEnd
from growsearch.data.augment import Augmentation
from growsearch.training import OptimizerConfig, Recipe
from growsearch.training.schedules import Cosine

WEIGHTS = "(?!alphas)"
ALPHAS = "alphas"


@dataclass(frozen=True)
class Cycle:
    """One row of Table I; see :class:`PrdartsConfig`."""

    epochs: int
    grace: int
    morphs: int
    keep: int
    skip_dropout: float

    def dropout(self, epoch: int) -> float:
        """Rate behind skips: falls in a line during grace, then restarts and falls exponentially (authors' code)."""
        if epoch < self.grace:
            return self.skip_dropout * (self.epochs - epoch - 1) / self.epochs
        return self.skip_dropout * math.exp(-0.2 * (epoch - self.grace))


def cycles_of(config: PrdartsConfig) -> list[Cycle]:
    """All rows of the schedule."""
    dropout = config.skip_dropout * (len(config.epochs) if len(config.skip_dropout) == 1 else 1)
    rows = zip(config.epochs, config.grace_epochs, config.morphs, config.keep, dropout, strict=True)
    return [Cycle(*row) for row in rows]


def limits_of(config: PrdartsConfig) -> MorphLimits:
    """The named setting with single limits replaced."""
    named, own = SETTINGS[config.morph_limits], config.limits
    least = named.kernel[0] if own.kernel_min is None else own.kernel_min
    most = named.kernel[1] if own.kernel_max is None else own.kernel_max
    others = {"dilation": own.dilation_max, "depth": own.depth_max, "width": own.width_max, "total": own.total_max}
    changes = {name: value for name, value in others.items() if value is not None}
    pointwise = own.pointwise_dilation or named.pointwise_dilation
    return dataclasses.replace(named, kernel=(least, most), pointwise_dilation=pointwise, **changes)


def cycle_end_of(config: PrdartsConfig, cycle: Cycle, last: bool) -> CycleEnd:
    """What happens to the pools at the end of a cycle; in the last one every edge keeps its best."""
    none_last = last and not config.none_in_genotype
    if last:
        return CycleEnd(1, 0, False, none_last, limits_of(config))
    return CycleEnd(cycle.keep, cycle.morphs, True, none_last, limits_of(config))


def optimizers_of(config: PrdartsConfig) -> dict[str, OptimizerConfig]:
    """SGD for the weights, Adam for the architecture weights."""
    weights = OptimizerConfig(
        lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay, parameters=WEIGHTS
    )
    alphas = OptimizerConfig(
        kind="adam",
        lr=config.alpha_lr,
        betas=(config.alpha_beta1, config.alpha_beta2),
        weight_decay=config.alpha_weight_decay,
        parameters=ALPHAS,
    )
    return {"weights": weights, "alphas": alphas}


def recipe_of(config: PrdartsConfig, role: str) -> Recipe:
    """A step of one of the two optimizers; the batch size is the loop's."""
    return Recipe(
        batch_size=config.batch_size, augmentation=augmentation_of(config), clip=config.clip or None, optimizer=role
    )


def augmentation_of(config: PrdartsConfig) -> Augmentation:
    """What search does to images."""
    return Augmentation(config.crop_padding, config.flip, config.cutout)


def rate_of(config: PrdartsConfig, cycle: Cycle, epoch: int) -> float:
    """Learning rate of the weights: a cosine per cycle."""
    return Cosine(config.lr, config.lr_min).rate(epoch, cycle.epochs)
