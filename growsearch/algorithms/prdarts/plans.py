"""From options to what the search works with."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from growsearch.actions import Facts
from growsearch.algorithms.caps import exceeded, require, search_epochs
from growsearch.algorithms.prdarts.alternate import BatchGrowth
from growsearch.algorithms.prdarts.config import PrdartsConfig
from growsearch.algorithms.prdarts.decisions import CellPools, CycleEnd, genotype
from growsearch.algorithms.prdarts.morphisms import SETTINGS, MorphLimits, reachable
from growsearch.data.augment import Augmentation
from growsearch.errors import UserError
from growsearch.networks.darts.candidate import Candidate
from growsearch.networks.darts.genotype import Genotype
from growsearch.networks.darts.pools import initial_pool
from growsearch.networks.darts.search import CELL_KINDS
from growsearch.networks.darts.search_cell import num_edges
from growsearch.training import OptimizerConfig, Recipe
from growsearch.training.schedules import Cosine
from growsearch.training.settings import TrainingSettings
from growsearch.training.unrolled import UnrolledRecipe

MOST_ROUNDS = 10
"""Rounds of morphs whose candidates are counted."""

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
    return replace(named, kernel=(least, most), pointwise_dilation=pointwise, **changes)


def cycle_end_of(config: PrdartsConfig, cycle: Cycle, last: bool) -> CycleEnd:
    """Plan for the pools at the end of a cycle; in the last one every edge keeps its best."""
    none_last = last and not config.none_in_genotype
    if last:
        return CycleEnd(1, 0, False, none_last, limits_of(config))
    return CycleEnd(cycle.keep, cycle.morphs, True, none_last, limits_of(config), config.wasted_draws)


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
    recipe = Recipe(
        batch_size=config.batch_size, augmentation=augmentation_of(config), clip=config.clip or None, optimizer=role
    )
    if role == "weights" or not config.unrolled:
        return recipe
    return UnrolledRecipe(
        recipe.batch_size, recipe.augmentation, recipe.clip, optimizer=role, inner=recipe_of(config, "weights")
    )


def augmentation_of(config: PrdartsConfig) -> Augmentation:
    """Augmentation of images in the search."""
    return Augmentation(config.crop_padding, config.flip, config.cutout)


def rate_of(config: PrdartsConfig, cycle: Cycle, epoch: int) -> float:
    """Learning rate of the weights: a cosine per cycle."""
    return Cosine(config.lr, config.lr_min).rate(epoch, cycle.epochs)


def parted_at(config: PrdartsConfig, images: int) -> int:
    """Training images, from the front, that train weights in search; the others train architecture weights.

    The validation split proper stays out of search: what architecture weights are fitted to cannot judge them.

    Raises:
        UserError: if one of the two parts has less than a batch.
    """
    count, least = int(config.train_portion * images), config.batch_multiple
    if min(count, images - count) < least:
        raise UserError(
            f"data.train_size: {images} images are too few; each of two parts "
            f"(algo.train_portion={config.train_portion}) needs {least} or more (algo.batch_multiple)"
        )
    return count


def growth_of(config: PrdartsConfig, facts: Facts) -> BatchGrowth:
    """Growth of the search's batch: as far as the smaller part of the images holds it."""
    grows = facts.hardware.batch_autoscaling and not config.batch_sizes
    largest = min(config.batch_max, largest_batch(config, facts)) if grows else 0
    return BatchGrowth(config.batch_multiple, largest, config.batch_interval, facts.hardware.memory_fraction)


def first_batch(config: PrdartsConfig, facts: Facts, cycle: int) -> int:
    """Images of a cycle's first batch, as far as both parts of the images hold it."""
    wanted = config.batch_sizes[cycle] if config.batch_sizes else config.batch_size
    return min(wanted, largest_batch(config, facts))


def largest_batch(config: PrdartsConfig, facts: Facts) -> int:
    """The largest batch of the search that both parts of the images hold."""
    count = parted_at(config, facts.train)
    images = min(count, facts.train - count)
    return images - images % config.batch_multiple


def evaluation_growth(config: PrdartsConfig, facts: Facts) -> BatchGrowth:
    """Growth of the batch of the found cells' training; none on a CPU, whose memory is not gauged."""
    evaluation, multiple = config.evaluation, config.evaluation.batch_multiple
    growing = facts.hardware.batch_autoscaling and facts.device != "cpu"
    largest = min(evaluation.batch_max, facts.train - facts.train % multiple) if growing else 0
    return BatchGrowth(multiple, largest, evaluation.batch_interval, facts.hardware.memory_fraction)


def expected_epochs(config: PrdartsConfig) -> int:
    """Epochs of all cycles, or their share of the cap, and of the evaluation."""
    search = most_epochs(config)
    return search + final_training(config, search).epochs


def most_epochs(config: PrdartsConfig) -> int:
    """Epochs that the search may take."""
    return search_epochs(config, sum(config.epochs), config.evaluation.training.epochs)


def final_training(config: PrdartsConfig, searched: int) -> TrainingSettings:
    """Training of the found cells after so many epochs of search: what ``max_epochs`` leaves of it."""
    training, most = config.evaluation.training, config.max_epochs
    return replace(training, epochs=min(training.epochs, max(0, most - searched))) if most else training


def search_sizes(config: PrdartsConfig, cycle: int) -> tuple[int, int]:
    """Width and number of cells of a cycle's search network; both may grow from cycle to cycle (authors' code)."""
    width, layers = (more[min(cycle, len(more) - 1)] for more in (config.add_width, config.add_layers))
    return config.channels + width, config.layers + layers


def search_spec(config: PrdartsConfig, facts: Facts, pools: Mapping[str, CellPools], cycle: int) -> dict[str, Any]:
    """Spec of the search network of these pools."""
    channels, layers = search_sizes(config, cycle)
    return {
        "family": "darts_search",
        "pools": {kind: pools[kind].spec() for kind in CELL_KINDS},
        "channels": channels,
        "layers": layers,
        "nodes": config.nodes,
        "classes": facts.num_classes,
        "in_channels": facts.image_shape[0],
        "output": config.output,
        "skip_dropout": any(config.skip_dropout),
        "mask_absent": config.mask_absent,
    }


def evaluation_spec(config: PrdartsConfig, facts: Facts, cells: Genotype) -> dict[str, Any]:
    """Spec of the network that trains the found cells from fresh weights."""
    channels, height, width = facts.image_shape
    return {
        "family": "darts",
        "genotype": cells.to_json(),
        "channels": config.evaluation.channels,
        "layers": config.evaluation.layers,
        "classes": facts.num_classes,
        "in_channels": channels,
        "auxiliary": config.evaluation.auxiliary,
        "image_size": min(height, width),
        "output": config.output,
    }


def least_spec(config: PrdartsConfig, facts: Facts) -> dict[str, Any]:
    """The smallest network that found cells can be trained in: one channel, and operations without parameters."""
    pooling = [Candidate("pool", 3, kind="max")] * num_edges(config.nodes)
    scores = dict.fromkeys(CELL_KINDS, [1.0] * len(pooling))
    cells = genotype(dict.fromkeys(CELL_KINDS, pooling), scores, config.nodes)
    return {**evaluation_spec(config, facts, cells), "channels": 1}


def fitting_spec(config: PrdartsConfig, facts: Facts, cells: Genotype) -> dict[str, Any]:
    """Spec of the network of the found cells with as many channels, of those asked for, as the caps allow.

    Raises:
        UserError: if they allow not even one.
    """
    spec, found = evaluation_spec(config, facts, cells), ""
    for channels in range(spec["channels"], 0, -1):
        narrower = {**spec, "channels": channels}
        if not (found := exceeded(config, narrower, facts.image_shape)):
            return narrower
    require(found, "the network of the found cells")
    return spec


def discoverable(config: PrdartsConfig) -> dict[str, int] | None:
    """Candidates that a search can reach, the initial ones included; None for too many rounds to count them.

    ``by_rules`` follows the morphisms' rules; ``with_pointwise_dilation`` also counts 1 x 1 windows
    with dilation, as the totals printed in Table II do.
    """
    rounds = sum(morphs > 0 for morphs in config.morphs)
    if rounds > MOST_ROUNDS:
        return None
    start, limits = initial_pool(config.pool), limits_of(config)
    counts = {}
    for name, allowed in (("by_rules", limits.pointwise_dilation), ("with_pointwise_dilation", True)):
        rules = replace(limits, pointwise_dilation=allowed)
        found = {c for first in start if first.is_conv for c in reachable(first, rules, rounds)[-1]}
        counts[name] = len(found | set(start))
    return counts
