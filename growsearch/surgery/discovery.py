"""Find the channel groups of a network and prove them."""

from collections.abc import Callable, Collection
from typing import Any

from torch import Tensor, nn

from growsearch.surgery.arguments import require_groups
from growsearch.surgery.channels import Axis, ChannelGroup, ChannelMap
from growsearch.surgery.garbage import quick_collections
from growsearch.surgery.hooks import without_global_hooks
from growsearch.surgery.remap import COMPUTED
from growsearch.surgery.surroundings import undisturbed
from growsearch.surgery.verify import prove_groups

WEIGHT = f"{COMPUTED}weight."
"""Part of the name of a tensor that a layer's weight is computed from."""
READ = " (input)"
"""End of the name of a group that no layer writes."""


@undisturbed
def channel_groups(
    model: nn.Module, example: Tensor | tuple[Any, ...], *, prove: bool = True, heads: bool = False
) -> list[ChannelGroup]:
    """Find the groups of channels of a network by one trace.

    Args:
        model: any module; its weights, statistics and mode are not touched, its hooks are not run.
        example: an input, or a tuple of positional inputs; only shapes and types matter. A proof runs it often: short
            sequences and small pictures take less time.
        prove: edit every group in float64 stand-ins of the network and freeze those that change its output, see
            :func:`growsearch.surgery.verify.prove_groups`. Leave it on for networks that are not of growsearch:
            no trace sees a view with written-down sizes or a branch on a number of channels.
        heads: what a channel of an attention is, where its code holds both the number of heads and their size:
            False for a place in every head, so that heads get another size; True for a whole head, so that there
            are more or fewer. Edits of both kinds take turns, each with a trace of its own.

    Returns:
        Handles in the order of the network's parameters, among them frozen ones (``frozen``: no exact
        widening) and unprunable ones (``unprunable``: no cut either).

    Raises:
        UserError: if the network cannot be traced: lazy layers, TorchScript, weights computed by hooks, no
            parameters, an empty batch, control flow that depends on values, an output in an unknown container.

    Example:
        >>> groups = channel_groups(model, torch.zeros(1, 3, 32, 32))
        >>> free = [group for group in groups if group.frozen is None]
        >>> widen(model, free[0], free[0].size + 4)
    """
    with quick_collections(), without_global_hooks():
        handles = _handles(model, ChannelMap(model, example, heads))
        if prove and not _proven(model, example, handles) and handles[0].map.other:
            others = _handles(model, ChannelMap(model, example, heads, held=True))
            _proven(model, example, others)
            handles = max(handles, others, key=prunable_share)
    return handles


def _proven(model: nn.Module, example: Tensor | tuple[Any, ...], handles: list[ChannelGroup]) -> bool:
    """Prove groups; whether all of those that may be cut may be cut still."""
    some = [handle for handle in handles if handle.unprunable is None]
    prove_groups(model, example, some)
    return all(handle.unprunable is None for handle in some)


def _handles(model: nn.Module, channel_map: ChannelMap) -> list[ChannelGroup]:
    """Every group that a layer writes or reads, with a name of its own."""
    handles: list[ChannelGroup] = []
    taken: set[str] = set()
    for number, axes in enumerate(channel_map.axes):
        base = _name(axes, channel_map.shared)
        if base is None and channel_map.sizes[number] > 1:  # a norm of weights is spread over dimensions of one entry
            base = _computed(model, axes)
        elif base is not None and (COMPUTED in base or base.endswith(READ)):
            writer = _computed(model, axes)
            base = base if writer is None or writer.endswith(READ) else writer
        if base is None:
            continue
        name = base
        while name in taken:
            name = f"{base} ({len([t for t in taken if t.startswith(base)]) + 1})"
        taken.add(name)
        handles.append(ChannelGroup(name, channel_map, number))
    return handles


def _name(axes: list[Axis], shared: Collection[tuple[str, int]]) -> str | None:
    """The first layer that writes the channels, or that reads them; None for a dimension of no layer."""
    writers = [axis.layer for axis in axes if axis.role == "producer"]
    if writers:
        return writers[0]
    others = [each.layer for each in axes if each.role in ("consumer", "depthwise") or (each.name, each.dim) in shared]
    return f"{others[0]}{READ}" if others else None


def _computed(model: nn.Module, axes: list[Axis]) -> str | None:
    """The first layer whose computed weight has the channels among its outputs, or else among its inputs."""
    layers = [(axis.name.partition(WEIGHT)[0], axis.dim) for axis in axes if WEIGHT in axis.name and axis.dim < 2]
    for layer, dim in layers:
        transposed = isinstance(model.get_submodule(layer), nn.modules.conv._ConvTransposeNd)
        if dim == (1 if transposed else 0):
            return layer
    return f"{layers[0][0]}{READ}" if layers else None


def editable_share(groups: list[ChannelGroup]) -> float:
    """Output channels in groups that may be widened exactly over all outputs of convolutions and linear layers.

    The network's own outputs are not counted.
    """
    return _share(groups, lambda group: group.frozen is None)


def prunable_share(groups: list[ChannelGroup]) -> float:
    """Output channels in groups that may be cut over all outputs of convolutions and linear layers.

    The network's own outputs are not counted. A group of one channel cannot be cut.
    """
    return _share(groups, lambda group: group.unprunable is None and group.size > 1)


def _share(groups: list[ChannelGroup], counts: Callable[[ChannelGroup], bool]) -> float:
    require_groups(groups)
    some = total = 0
    for group in groups:
        for axis in group.axes:
            if axis.role not in ("producer", "depthwise") or "network output" in (group.frozen, group.unprunable):
                continue
            count = sum(group.map.length(s) for s in axis.segments if s.group == group.number)
            total += count
            some += count if counts(group) else 0
    return some / total if total else 0.0
