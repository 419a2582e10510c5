"""Changes of a network before its training: modules of a donor, or modules that change nothing yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from growsearch.actions import Change, Draws
from growsearch.errors import UserError
from growsearch.networks.residual import ResidualNetwork, append_block
from growsearch.networks.staged import StagedNetwork
from growsearch.training import Network

_TORCHVISION = {"conv1": "stem.0", "bn1": "stem.1", "fc": "classifier"} | {
    f"layer{stage + 1}": f"stages.{stage}" for stage in range(4)
}
"""Names of torchvision's residual networks, and ours."""


@dataclass(frozen=True)
class AppendBlock(Change):
    """A residual block more at the end of a stage, that passes on what it is given (our option ``grow: morph``)."""

    op = "append_block"
    stage: int

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Append it."""
        append_block(cast(ResidualNetwork, network.module), self.stage, draws())


@dataclass(frozen=True)
class TransferWeights(Change):
    """Weight transfer: the network starts from the modules of a trained, deeper one (section III)."""

    op = "transfer_weights"
    pick: str

    def apply(self, network: Network, draws: Draws, *sources: Network) -> None:
        """Copy the weights of the donor, the one source."""
        transfer_weights(cast(StagedNetwork, network.module), sources[0], self.pick)


def picked_modules(depth: int, available: int, pick: str) -> list[int]:
    """Indices of the donor's modules of a stage that a stage of ``depth`` modules takes, in order.

    The first module always comes from the first, as it changes the shape.

    Args:
        depth: modules wanted, at least 1.
        available: modules the donor has there, at least as many.
        pick: ``first`` takes a prefix, ``last`` a suffix behind the first, ``even`` an even spread.
    """
    if pick == "first":
        return list(range(depth))
    if pick == "last":
        return [0, *range(available - depth + 1, available)]
    return [round(index * (available - 1) / max(depth - 1, 1)) for index in range(depth)]


def donor_depths(donor: Network) -> list[int]:
    """Modules per stage of a donor: one of our staged networks, or a residual network of torchvision's.

    Raises:
        UserError: if it is neither.
    """
    module = donor.module
    if isinstance(module, StagedNetwork):
        return module.depths
    layers = [getattr(module, f"layer{stage}", None) for stage in range(1, 5)]
    if not all(isinstance(layer, nn.Sequential) for layer in layers):
        raise UserError(f"donor: {type(module).__name__} is not accepted; use a network made of stages")
    return [len(cast(nn.Sequential, layer)) for layer in layers]


@torch.no_grad()
def transfer_weights(network: StagedNetwork, donor: Network, pick: str = "first") -> bool:
    """Copy stem, picked modules of every stage, and head; statistics of norms too.

    A classifier for another number of classes keeps its own start.

    Args:
        network: gets the donor's values, in place; no deeper than it in any stage.
        donor: see :func:`donor_depths`.
        pick: see :func:`picked_modules`.

    Returns:
        Whether the classifier was copied.

    Raises:
        UserError: if the donor has tensors of other shapes.
    """
    picked = [picked_modules(*pair, pick) for pair in zip(network.depths, donor_depths(donor), strict=True)]
    source = {_our_name(name): tensor for name, tensor in donor.module.state_dict().items()}
    head_fits = all(
        name in source and source[name].shape == tensor.shape
        for name, tensor in network.classifier.state_dict(prefix="classifier.").items()
    )
    for name, tensor in network.state_dict().items():
        if head_fits or not name.startswith("classifier."):
            tensor.copy_(_fitting(source, _donor_name(name, picked), tensor))
    return head_fits


def _our_name(name: str) -> str:
    first, _, rest = name.partition(".")
    return f"{_TORCHVISION.get(first, first)}.{rest}"


def _donor_name(name: str, picked: Sequence[Sequence[int]]) -> str:
    parts = name.split(".")
    if parts[0] == "stages":
        parts[2] = str(picked[int(parts[1])][int(parts[2])])
    return ".".join(parts)


def _fitting(source: dict[str, Tensor], name: str, like: Tensor) -> Tensor:
    found = source.get(name)
    if found is None or found.shape != like.shape:
        shape = "nothing" if found is None else f"shape {tuple(found.shape)}"
        raise UserError(f"donor: tensor {name} has {shape}; it needs shape {tuple(like.shape)}")
    return found
