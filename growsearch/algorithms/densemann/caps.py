"""What the caps still allow, as a pure function of the network's spec and the run's counters."""

from growsearch.algorithms.densemann.config import DensemannConfig
from growsearch.algorithms.densemann.machine import GrowthMemory, Room
from growsearch.algorithms.densemann.replication import Spec, parameter_count, replicated, with_more


def room(spec: Spec, memory: GrowthMemory, config: DensemannConfig) -> Room:
    """Whether the last layer may get more filters and its block another layer.

    ``max_params`` holds for the final network, so each choice is judged by what it would come to with all blocks.
    """
    more, newborn = config.expansion_rate, memory.filters if config.update_growth_rate else config.growth_rate
    filters = not config.max_filters or memory.filters + more <= config.max_filters
    layer = not config.max_layers or memory.layers < config.max_layers
    if config.max_params:
        filters = filters and _fits(with_more(spec, config, filters=more), config)
        layer = layer and _fits(with_more(spec, config, layer=newborn), config)
    return Room(filters=filters, layer=layer)


def _fits(spec: Spec, config: DensemannConfig) -> bool:
    return parameter_count(replicated(spec, config)) <= config.max_params


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
