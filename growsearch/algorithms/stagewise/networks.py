"""The networks of a search: what they are, and how they are trained (section IV)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import torch
from torch import nn

from growsearch.actions import Facts
from growsearch.algorithms.caps import exceeded
from growsearch.algorithms.stagewise.config import StagewiseConfig
from growsearch.algorithms.stagewise.families import FAMILIES
from growsearch.algorithms.stagewise.importance import pooled_features
from growsearch.data.augment import Augmentation
from growsearch.errors import LackOfMemory, UserError
from growsearch.networks.nasnet_cells import Separable
from growsearch.networks.registry import skeleton
from growsearch.networks.staged import FeaturePoint, StagedNetwork
from growsearch.training import FitPlan, OptimizerConfig
from growsearch.training.plan import optimizer_of, recipe_of, schedule_of
from growsearch.training.schedules import Schedule


def started_from(config: StagewiseConfig, spec: dict[str, Any]) -> StagewiseConfig:
    """The options with ``m0`` and ``width`` of a network that was found before (its weights are not used).

    Raises:
        UserError: if the network is of another family.
    """
    expected = FAMILIES[config.modules].network
    if spec.get("family") != expected:
        raise UserError(
            f"network: family {spec.get('family')} is not accepted with algo.modules={config.modules}; use {expected}"
        )
    return replace(config, m0=list(spec["depths"]), width=spec["width"])


def network_spec(config: StagewiseConfig, facts: Facts, depths: Sequence[int]) -> dict[str, Any]:
    """Spec of the search's network with ``depths``, for the run's data."""
    usual = FAMILIES[config.modules]
    momentum = {} if config.norm_momentum is None else {"norm_momentum": config.norm_momentum}
    return {
        "family": usual.network,
        "depths": list(depths),
        "width": config.width or usual.width,
        "classes": facts.num_classes,
        "in_channels": facts.image_shape[0],
        **momentum,
    }


def outline(spec: dict[str, Any]) -> StagedNetwork:
    """The network of a spec without values, to be counted.

    Raises:
        UserError: if it is larger than any network may be.
    """
    return cast(StagedNetwork, skeleton(spec))


def check_sizes(config: StagewiseConfig, facts: Facts, depths: Sequence[int], deeper: Sequence[int]) -> None:
    """Refuse to start with a network, or to grow by a step, that is larger than any network may be.

    Args:
        config: the options.
        facts: of the data.
        depths: of the first network.
        deeper: of the network that the first iteration trains beside it.

    Raises:
        UserError: naming what is too large.
    """
    first = outline(network_spec(config, facts, depths))
    if config.criterion == "pls":
        check_components(config, first, facts.image_shape)
    try:
        outline(network_spec(config, facts, deeper))
    except UserError as error:
        raise UserError(f"algo.delta: {config.delta} is too large for depths {list(depths)} ({error})") from None


def check_components(config: StagewiseConfig, network: StagedNetwork, image_shape: Sequence[int]) -> None:
    """Refuse more components than the stage of fewest features has, before anything is trained."""
    with torch.device("meta"), torch.no_grad():
        maps = network.eval().stage_outputs(torch.empty(1, *image_shape), cast(FeaturePoint, config.feature_point))
        fewest = min(pooled_features(each, config.feature_pool).shape[1] for each in maps)
    if config.pls.n_components > fewest:
        raise UserError(
            f"algo.pls.n_components: {config.pls.n_components} is not accepted; use 1 to {fewest}, the features of the"
            " stage that has fewest"
        )


def exceeded_cap(config: StagewiseConfig, facts: Facts, depths: Sequence[int]) -> str:
    """The cap of size, or the limit of any network, that a network of these depths exceeds, in words; empty if none."""
    spec = network_spec(config, facts, depths)
    try:
        layers = outline(spec).depth_conv
    except LackOfMemory:  # differs from machine to machine: no reason for a search to end as if it were done
        raise
    except UserError as error:
        return f"more than any network may have ({error})"
    found = exceeded(config, spec, facts.image_shape)
    if not found and 0 < config.max_layers < layers:
        return f"{layers} convolution layers, more than algo.max_layers={config.max_layers}"
    return found


@dataclass(frozen=True)
class Held:
    """A schedule of ``length`` epochs whose last rate holds for all further ones."""

    inner: Schedule
    length: int

    def rate(self, epoch: int, epochs: int) -> float:
        """The rate of an epoch, however many there are."""
        return self.inner.rate(min(epoch, self.length - 1), self.length)


def fit_plan(config: StagewiseConfig, epochs: int, phase: str) -> FitPlan:
    """Training for ``epochs`` in all; those beyond the protocol's go on at its final rate."""
    protocol = config.protocol
    settings = protocol.settings(config.modules)
    augmentation = Augmentation(protocol.crop_padding, protocol.flip, pad_value="mean")
    recipe = replace(recipe_of(settings), augmentation=augmentation, copies=protocol.augment_copies)
    schedule = Held(schedule_of(settings), protocol.epochs)
    return FitPlan(epochs, recipe, schedule, phase=phase, time_decay=protocol.time_decay)


def optimizer(config: StagewiseConfig, spec: dict[str, Any]) -> OptimizerConfig:
    """SGD, with weight decay on what the published models penalise in the network of a spec."""
    usual = optimizer_of(config.protocol.settings(config.modules))
    if config.modules != "cell":
        return usual
    return replace(usual, decay="named", decaying=penalised(outline(spec)))


def penalised(module: nn.Module) -> tuple[str, ...]:
    """Names of the parameters that decay in a network of cells: plain convolutions and the classifier's matrix.

    Separable convolutions do not, as Keras ignored their penalty without a word.
    """
    separable = {conv for part in module.modules() if isinstance(part, Separable) for conv in part.children()}
    kernels = {name: part for name, part in module.named_modules() if isinstance(part, nn.Conv2d | nn.Linear)}
    return tuple(f"{name}.weight" for name, part in kernels.items() if part not in separable)
