"""Caps of a search: sizes are counted on a spec before a network is made, epochs shared out before it begins."""

from collections.abc import Sequence
from typing import Any

from growsearch.actions import Clock, Script
from growsearch.algorithms.config import AlgoConfig
from growsearch.errors import UserError
from growsearch.networks import parameter_count
from growsearch.networks.registry import skeleton
from growsearch.probes import cost
from growsearch.training import Network


def exceeded(config: AlgoConfig, spec: dict[str, Any], image_shape: Sequence[int]) -> str:
    """The cap of size that the network of a spec is beyond, in words; empty if it keeps them."""
    params = parameter_count(spec) if config.max_params else 0
    return beyond(config, params, mac_count(spec, image_shape) if config.max_macs else 0)


def beyond(config: AlgoConfig, params: int, macs: int) -> str:
    """The same for a network of known parameters and multiply-accumulates."""
    if 0 < config.max_params < params:
        return f"{params:,} parameters, more than algo.max_params={config.max_params}"
    if 0 < config.max_macs < macs:
        return f"{macs:,} multiply-accumulates, more than algo.max_macs={config.max_macs}"
    return ""


def mac_count(spec: dict[str, Any], image_shape: Sequence[int]) -> int:
    """Multiply-accumulates of the network of a spec for one image (C, H, W); nothing is allocated."""
    return cost(skeleton(spec), image_shape).macs


def macs_of(network: Network, image_shape: Sequence[int]) -> int:
    """Multiply-accumulates of a live network for one image."""
    return cost(network.module, image_shape).macs


def require(found: str, what: str = "the first network") -> None:
    """Refuse a network that is beyond a cap of size.

    Args:
        found: see :func:`exceeded`.
        what: the network, in words.

    Raises:
        UserError: naming the cap, what the network comes to and what to do.
    """
    if found:
        size, _, cap = found.partition(", more than ")
        name, _, value = cap.partition("=")
        raise UserError(f"{name}: {value} is too small; {what} has {size}; use a larger cap or a smaller network")


def time_is_up(config: AlgoConfig) -> Script:
    """Whether ``max_seconds`` are over, so that no further epoch may begin."""
    return bool(config.max_seconds) and (yield Clock()) >= config.max_seconds


def last_epochs(config: AlgoConfig, before: int, last: int) -> int:
    """Epochs of the last training under ``max_epochs``, behind phases of a given length.

    Raises:
        UserError: if those alone take more.
    """
    if not config.max_epochs:
        return last
    if config.max_epochs < before:
        raise UserError(
            f"algo.max_epochs: {config.max_epochs} is too small; {before} epochs come before the last training"
        )
    return min(last, config.max_epochs - before)


def search_epochs(config: AlgoConfig, search: int, final: int) -> int:
    """Epochs that a search may take under ``max_epochs``, where a final training follows: its share, at least one.

    Args:
        config: holds the cap, for both together.
        search: epochs of the whole search.
        final: epochs of the final training.
    """
    if not config.max_epochs or search + final <= config.max_epochs:
        return search
    return max(1, config.max_epochs * search // (search + final))
