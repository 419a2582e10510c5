"""When a search ends before its last iteration."""

from collections.abc import Sequence

from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.state import StagewiseState
from growsearch.networks.staged import StagedNetwork


def epochs_done(state: StagewiseState) -> int:
    """Epochs over all networks."""
    return sum(trial.fit.epoch for trial in state.trials)


def out_of_time(config: StagewiseConfig, state: StagewiseState) -> bool:
    """Whether training has taken ``max_seconds``."""
    return 0 < config.max_seconds <= sum(trial.seconds for trial in state.trials)


def size_cap(config: StagewiseConfig, network: StagedNetwork) -> str:
    """The cap that a network exceeds, in words; empty if none."""
    params = sum(parameter.numel() for parameter in network.parameters())
    for cap, found in {"max_params": params, "max_layers": network.depth_conv}.items():
        if 0 < getattr(config, cap) < found:
            return f"depths {network.depths} come to {found}, more than algo.{cap}={getattr(config, cap)}"
    return ""


def reason_to_stop(
    config: StagewiseConfig, state: StagewiseState, present: Sequence[int], temporary: StagedNetwork
) -> str:
    """Why no iteration from depths ``present`` with the network T may follow; empty if one may."""
    if out_of_time(config, state):
        return f"training took algo.max_seconds={config.max_seconds}"
    left = config.max_epochs - epochs_done(state)
    if config.max_epochs and left < 2 * config.protocol.epochs:
        return f"another iteration would exceed algo.max_epochs={config.max_epochs}"
    if temporary.depths == list(present):
        return f"no stage of the donor is deeper than {list(present)}"
    return size_cap(config, temporary)
