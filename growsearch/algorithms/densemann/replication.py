"""From one grown block to a network of several: what the copies look like (DensEMANN section 3.1.3)."""

import copy
from typing import Any, NamedTuple

import torch

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.networks.densenet import DenseNet

Spec = dict[str, Any]


class BlockPlan(NamedTuple):
    """Sizes of a transition and the block behind it."""

    transition: int
    filters: list[int]
    bottlenecks: list[int] | None


def output_channels(spec: Spec) -> int:
    """Channels behind a DenseNet's last block."""
    last_input = spec["transitions"][-1] if spec["transitions"] else spec["stem_filters"]
    return last_input + sum(spec["filters"][-1])


def transition_filters(spec: Spec, config: DensemannConfig) -> int:
    """Filters of a transition behind the last block: its channels times theta, truncated."""
    compression = config.compression
    if compression is None:
        compression = 0.5 if config.bottleneck else 1.0
    return int(output_channels(spec) * compression)


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
    spec = copy.deepcopy(spec)
    while len(spec["filters"]) < config.block_count:
        plan = copied_block(spec, config)
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


def parameter_count(spec: Spec) -> int:
    """Trainable parameters of the network that a spec describes; nothing is allocated."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in DenseNet.from_spec(spec).parameters())
