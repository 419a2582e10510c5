"""From options to the seed network (DensEMANN sections 3.1, 4), the blocks behind it (3.1.3), and what caps allow."""

import copy
from collections.abc import Sequence
from typing import Any, NamedTuple

from growsearch.actions import Facts
from growsearch.algorithms.caps import exceeded
from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.machine import GrowthMemory, Room
from growsearch.data.augment import Augmentation
from growsearch.training import OptimizerConfig

Spec = dict[str, Any]

LARGE = 48
"""Images with a longer side than this many pixels get the large stem."""


def seed_spec(config: DensemannConfig, data: Facts) -> Spec:
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


class BlockPlan(NamedTuple):
    """Sizes of a transition and the block behind it."""

    transition: int
    filters: list[int]
    bottlenecks: list[int] | None

    def fields(self) -> tuple[int, tuple[int, ...], tuple[int, ...] | None]:
        """The same, hashable."""
        return self.transition, tuple(self.filters), None if self.bottlenecks is None else tuple(self.bottlenecks)


def output_channels(spec: Spec) -> int:
    """Channels behind a DenseNet's last block."""
    last_input = spec["transitions"][-1] if spec["transitions"] else spec["stem_filters"]
    return last_input + sum(spec["filters"][-1])


def transition_filters(spec: Spec, config: DensemannConfig) -> int:
    """Filters of a transition behind the last block: its channels times theta, truncated, and at least one."""
    compression = config.compression
    if compression is None:
        compression = 0.5 if config.bottleneck else 1.0
    return max(1, int(output_channels(spec) * compression))


def copied_block(spec: Spec, config: DensemannConfig) -> BlockPlan:
    """A copy of block 1 behind the last block; ``from_filters`` repeats the code's width of its first layer."""
    filters, widths = list(spec["filters"][0]), spec["bottlenecks"]
    if widths is None:
        return BlockPlan(transition_filters(spec, config), filters, None)
    bottlenecks = list(widths[0])
    if config.replica_bottleneck == "from_filters":
        newborn = config.bottleneck_factor * config.growth_rate
        bottlenecks = [config.bottleneck_factor * filters[0]] + [newborn] * (len(filters) - 1)
    return BlockPlan(transition_filters(spec, config), filters, bottlenecks)


def seed_block(spec: Spec, config: DensemannConfig) -> BlockPlan:
    """A block of one newborn layer behind the last block, to be grown in its turn."""
    width = [config.bottleneck_factor * config.growth_rate] if config.bottleneck else None
    return BlockPlan(transition_filters(spec, config), [config.growth_rate], width)


def replicated(spec: Spec, config: DensemannConfig) -> Spec:
    """The final network's spec, should the blocks that ``spec`` has be all that are grown."""
    while len(spec["filters"]) < config.block_count:
        spec = with_block(spec, copied_block(spec, config))
    return spec


def with_block(spec: Spec, plan: BlockPlan) -> Spec:
    """The spec with one more block."""
    spec = copy.deepcopy(spec)
    spec["transitions"].append(plan.transition)
    spec["filters"].append(plan.filters)
    if plan.bottlenecks is not None:
        spec["bottlenecks"].append(plan.bottlenecks)
    return spec


def with_more(spec: Spec, config: DensemannConfig, *, filters: int = 0, layer: int = 0) -> Spec:
    """The spec with more filters in its last layer, or with one more layer of that many filters."""
    spec = copy.deepcopy(spec)
    spec["filters"][-1][-1] += filters
    if layer:
        spec["filters"][-1].append(layer)
        if spec["bottlenecks"] is not None:
            spec["bottlenecks"][-1].append(config.bottleneck_factor * layer)
    return spec


def room(spec: Spec, memory: GrowthMemory, config: DensemannConfig, image_shape: Sequence[int]) -> Room:
    """Whether the last layer may get more filters and its block another layer.

    ``max_params`` and ``max_macs`` hold for the final network, so each choice is judged by what it would come to with
    all blocks.
    """
    more, newborn = config.expansion_rate, memory.filters if config.update_growth_rate else config.growth_rate
    filters = not config.max_filters or memory.filters + more <= config.max_filters
    layer = not config.max_layers or memory.layers < config.max_layers

    def fits(larger: Spec) -> bool:
        return not exceeded(config, replicated(larger, config), image_shape)

    return Room(
        filters=filters and fits(with_more(spec, config, filters=more)),
        layer=layer and fits(with_more(spec, config, layer=newborn)),
    )


def growth_epochs(config: DensemannConfig) -> int | None:
    """Epochs that growth may take under ``max_epochs``, the final training's set aside (at least one is left)."""
    if not config.max_epochs:
        return None
    return max(1, config.max_epochs - reserved_epochs(config))


def reserved_epochs(config: DensemannConfig) -> int:
    """Epochs of all final training after growth."""
    phases = {"from_scratch": 0, "incremental_copy": config.block_count - 1}.get(config.new_block_mode, 1)
    if config.block_count == 1:
        phases = 0
    return phases * (config.final_epochs + config.late_start)


def training_epochs(config: DensemannConfig, epochs_so_far: int) -> int:
    """Length of the next final training: ``final_epochs``, or what ``max_epochs`` leaves of it."""
    wanted = config.final_epochs + config.late_start
    if not config.max_epochs:
        return wanted
    return max(0, min(wanted, config.max_epochs - epochs_so_far))


def later_epochs(config: DensemannConfig, epochs_so_far: int, blocks: int) -> int:
    """Epochs of all training that is still to come, with so many blocks in place."""
    phases = 1 + (config.block_count - blocks if config.new_block_mode == "incremental_copy" else 0)
    wanted = phases * (config.final_epochs + config.late_start)
    return min(wanted, max(0, config.max_epochs - epochs_so_far)) if config.max_epochs else wanted


def expected_epochs(config: DensemannConfig) -> int:
    """A typical search: the caps' layers (seven without), 2.75 patiences each, as in the authors' traces.

    With a schedule of additions the length of growth is known.
    """
    layers = config.max_layers or 7
    growth = sum(ages[-1] for ages in config.additions[: config.max_layers or None])
    growth = growth or int(2.75 * config.patience * layers)
    expected = growth * grown_blocks(config) + reserved_epochs(config)
    return min(expected, config.max_epochs or expected)


def expected_from_here(config: DensemannConfig, epochs: int, grown: int, block: int) -> int:
    """The same once ``epochs`` of growth brought ``grown`` layers, those of the blocks before number ``block`` too.

    Layers that are still to come (one at least) take as long as those that are there did, on average.
    """
    layers = (config.max_layers or 7) * grown_blocks(config)
    missing = max(layers - grown, grown_blocks(config) - block, 1)
    expected = epochs + round(epochs / grown * missing) + reserved_epochs(config)
    return min(expected, config.max_epochs or expected)


def grown_blocks(config: DensemannConfig) -> int:
    """Blocks that are grown and not copied."""
    return config.block_count if config.new_block_mode == "from_scratch" else 1
