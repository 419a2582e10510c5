"""The networks of a search, from depth vectors."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, cast

import torch
from torch import nn

from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.donor import transfer_weights
from growsearch.algorithms.stagewise.families import family
from growsearch.algorithms.stagewise.morph import deepen
from growsearch.algorithms.stagewise.state import Trial
from growsearch.errors import UserError
from growsearch.networks import build
from growsearch.networks.registry import family_class
from growsearch.networks.residual import ResidualNetwork
from growsearch.networks.staged import StagedNetwork
from growsearch.randomness import generator
from growsearch.training import Engine, Network
from growsearch.training.plan import optimizer_of


def started_from(config: StagewiseConfig, network: nn.Module) -> StagewiseConfig:
    """The options with ``m0`` and ``width`` of a network that was found before (its weights are not used).

    Raises:
        UserError: if the network is of another family.
    """
    expected = family(config.modules).network
    if not isinstance(network, StagedNetwork) or network.family != expected:
        found = getattr(network, "family", type(network).__name__)
        raise UserError(f"network: family {found} found, {expected} expected with algo.modules={config.modules}")
    return replace(config, m0=network.depths, width=network.settings["width"])


def network_spec(config: StagewiseConfig, engine: Engine, depths: Sequence[int]) -> dict[str, Any]:
    """Spec of the search's network with ``depths``, for the engine's data."""
    usual = family(config.modules)
    momentum = {} if config.norm_momentum is None else {"norm_momentum": config.norm_momentum}
    return {
        "family": usual.network,
        "depths": list(depths),
        "width": config.width or usual.width,
        "classes": engine.data.num_classes,
        "in_channels": engine.data.image_shape[0],
        **momentum,
    }


def outline(config: StagewiseConfig, engine: Engine, depths: Sequence[int]) -> StagedNetwork:
    """That network without values, to be counted."""
    spec = network_spec(config, engine, depths)
    with torch.device("meta"):
        return family_class(spec["family"]).from_spec(spec)  # type: ignore[attr-defined]


def make_network(
    config: StagewiseConfig, engine: Engine, trial: Trial, donor: nn.Module | None, parent: Network | None
) -> Network:
    """The network of ``trial`` before its training: anew, from a donor's modules, or deepened from ``parent``."""
    if parent is not None:
        module = cast(ResidualNetwork, parent.copy(trial.id).module)
        deepen(module, trial.depths, engine.seed, trial.id)
    else:
        spec = network_spec(config, engine, trial.depths)
        module = cast(ResidualNetwork, build(spec, generator(engine.seed, "initialise", trial.id)))
    if donor is not None:
        transfer_weights(module, donor, config.donor_pick)
    network = Network(trial.id, module, weights=optimizer_of(config.protocol.settings(config.modules)))
    engine.place(network)
    return network
