"""Scores of channels as pure functions of tensors: one per channel, higher matters more.

kCS, DensEMANN's mean absolute weight, is :func:`growsearch.probes.kcs`.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from growsearch.errors import UserError
from growsearch.surgery.channels import Axis, ChannelGroup
from growsearch.surgery.tensors import lookup

Entrywise = Callable[[str, Tensor], Tensor]
"""Importance of each entry of a weight, from its name and values."""

LAYERS = ("producer", "consumer", "depthwise")
"""Roles of the weights of convolutions and linear layers, see :class:`growsearch.surgery.channels.Axis`."""


def l1(weight: Tensor, *, dim: int = 0) -> Tensor:
    """Sum of absolute weights per index of ``dim`` (0: a layer's outputs, 1: its inputs)."""
    return _per_channel(weight, dim).abs().sum(1)


def l2(weight: Tensor, *, dim: int = 0) -> Tensor:
    """Euclidean norm of the weights per index of ``dim`` (0: a layer's outputs, 1: its inputs)."""
    return _per_channel(weight, dim).square().sum(1).sqrt()


def gamma_absolute(gamma_C: Tensor) -> Tensor:
    """Batch-norm scale by size: the sensible reading where a scale may be negative."""
    return gamma_C.detach().abs()


def gamma_signed(gamma_C: Tensor) -> Tensor:
    """Batch-norm scale as it is: the order in the code of ECToNAS, negative scales first."""
    return gamma_C.detach().clone()


def random(num_channels: int, generator: torch.Generator) -> Tensor:
    """Uniform scores in [0, 1), the baseline of every other one."""
    return torch.rand(num_channels, generator=generator, device=generator.device)


def weakest(scores_C: Tensor, count: int) -> list[int]:
    """Return the channels of the ``count`` lowest scores, in ascending channel order; ties take the lower channel.

    Raises:
        UserError: if there are not so many channels.
    """
    if not 0 <= count <= len(scores_C):
        raise UserError(f"weakest channels: {count} is not accepted; use 0 to {len(scores_C)}")
    return sorted(torch.argsort(scores_C, stable=True)[:count].tolist())


def group_scores(
    model: nn.Module, group: ChannelGroup, entrywise: Entrywise, roles: tuple[str, ...] = (*LAYERS, "norm")
) -> Tensor | None:
    """Mean over the weights that carry a group of what their entries of each channel add up to (DepGraph, equation 5).

    Args:
        model: the network.
        group: a handle of it.
        entrywise: importance of each entry; :func:`magnitude` of degree 2 gives DepGraph's group norm.
        roles: whose weights count; biases and running statistics never do.

    Returns:
        [group.size] in float64 on the CPU, None if the group has no weight in these roles.
    """
    parts = [
        channel_sums(group, axis, entrywise(axis.name, tensor.detach()))
        for axis, tensor in group_weights(model, group, roles)
    ]
    return torch.stack(parts).mean(0) if parts else None


def group_weights(model: nn.Module, group: ChannelGroup, roles: tuple[str, ...]) -> list[tuple[Axis, Tensor]]:
    """The weights that carry a group in these roles, with the dimension of its channels."""
    axes = [axis for axis in group.axes if axis.role in roles and axis.name.rpartition(".")[2] == "weight"]
    return [(axis, lookup(model, axis.name)) for axis in axes]


def channel_sums(group: ChannelGroup, axis: Axis, entries: Tensor) -> Tensor:
    """Sum of the entries of each channel of a group in one tensor: [group.size] in float64 on the CPU."""
    sums = _per_channel(entries, axis.dim).to("cpu", torch.float64).sum(1)
    total, start = torch.zeros(group.size, dtype=torch.float64, device="cpu"), 0
    for segment in axis.segments:
        length = group.map.length(segment)
        if segment.group == group.number and segment.repeat:
            total += sums[start : start + length].view(group.size, segment.repeat).sum(1)
        start += length
    return total


def magnitude(degree: int) -> Entrywise:
    """Absolute entries to the power of ``degree``."""
    return lambda _, weight: weight.abs() ** degree


def taylor(gradients: dict[str, Tensor]) -> Entrywise:
    """First-order change of the loss by removing an entry, |w dL/dw| (Molchanov et al. 2019)."""
    return lambda name, weight: (weight * gradients[name]).abs()


def obd(curvatures: dict[str, Tensor]) -> Entrywise:
    """Optimal brain damage, w**2 h with the diagonal h of the Hessian or of the Fisher matrix (LeCun et al. 1989)."""
    return lambda name, weight: weight.square() * curvatures[name]


def _per_channel(weight: Tensor, dim: int) -> Tensor:
    return weight.detach().transpose(0, dim).reshape(weight.shape[dim], -1)
