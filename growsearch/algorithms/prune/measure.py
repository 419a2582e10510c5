"""What pruning measures of a network: its groups, the importance of their channels, and which cut fits a budget."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.algorithms.budgets import Shape, gradients, groups_of, left_alone, spent, without_memory, writers
from growsearch.algorithms.config import Quantity
from growsearch.algorithms.prune.decisions import Group, kept, ranked, smallest_count
from growsearch.errors import UserError
from growsearch.probes.kcs import kcs
from growsearch.probes.rank import rank_metrics_of
from growsearch.randomness import generator
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.prune import prune
from growsearch.surgery.scores import (
    LAYERS,
    Entrywise,
    channel_sums,
    group_scores,
    group_weights,
    magnitude,
    obd,
    random,
    taylor,
)
from growsearch.surgery.tensors import copied
from growsearch.training import Engine, Network

Keep = Mapping[str, Sequence[int]]


@dataclass(frozen=True)
class Importance:
    """Settings by which channels are scored and compared.

    Attributes:
        name: as in the option ``importance``.
        ranking: as in the option.
        images: training images for gradients.
        multiple_of: what sizes are multiples of.
    """

    name: str
    ranking: str
    images: int
    multiple_of: int


def prunable_groups(
    network: Network, image_shape: Shape, leave: Sequence[str], min_channels: int, max_share: float, prove: bool
) -> list[dict[str, Any]]:
    """The groups that may be cut, as the fields of :class:`Group`.

    Args:
        network: traced.
        image_shape: (C, H, W) of its images.
        leave: patterns of layers whose outputs are left alone.
        min_channels: that every group keeps.
        max_share: of a group's channels, that may be cut.
        prove: see :func:`growsearch.surgery.channel_groups`; for networks that are not growsearch's.

    Raises:
        UserError: if a pattern names no layer, or no group may be cut.
    """
    groups = groups_of(network.module, image_shape, prove)
    left = left_alone(groups, leave)
    free = [g for g in groups.values() if g.unprunable is None and g.size > 1 and writers(g) and g.name not in left]
    if not free:
        reasons = dict.fromkeys(g.unprunable for g in groups.values() if g.unprunable is not None)
        why = "; ".join(["algo.leave leaves them alone"] * bool(left) + list(reasons)) or "none has two channels"
        raise UserError(f"network: none of its channels may be cut ({why}); use another network")
    return [
        asdict(
            Group(g.name, g.size, structure(network.module, g), least(g.size, max(min_channels, g.least), max_share))
        )
        for g in free
    ]


def least(size: int, min_channels: int, max_share: float) -> int:
    """Channels that a group of so many keeps at least."""
    return min(size, max(1, min_channels, size - int(size * max_share)))


def structure(module: nn.Module, group: ChannelGroup) -> str:
    """Key of isomorphic groups: kind, kernel and role of the layers that hold the channels, in order."""
    parts = []
    for axis in group.axes:
        if axis.role in (*LAYERS, "norm") and axis.name.endswith(".weight"):
            layer = module.get_submodule(axis.layer)
            kernel = getattr(layer, "kernel_size", "")
            parts.append(f"{axis.role} {type(layer).__name__} {kernel}")
    return "; ".join(parts)


def smallest(network: Network, image_shape: Shape, rows: Sequence[dict[str, Any]], quantity: Quantity) -> float:
    """Amount of a quantity that is left if every group keeps its least."""
    keep = {row["name"]: list(range(row["least"])) for row in rows}
    return spent(cut_copy(network.module, image_shape, quantity)(keep), image_shape, quantity)


def plan_cut(
    network: Network,
    engine: Engine,
    rows: Sequence[dict[str, Any]],
    how: Importance,
    quantity: Quantity,
    goal: float,
    counter: int,
) -> dict[str, Any]:
    """The cut of the least important channels that just fits a budget.

    Args:
        network: left as it is.
        engine: its training images.
        rows: the groups that may be cut, see :func:`prunable_groups`, of any earlier size.
        how: importance and ranking.
        quantity: what the budget counts.
        goal: the budget.
        counter: names the draws of ``random``.

    Returns:
        ``keep``, the channels of each group that loses some; ``left``, the quantity after it, and ``reached``.
    """
    shape = engine.data.image_shape
    handles = groups_of(network.module, shape)
    groups = [Group(r["name"], handles[r["name"]].size, r["structure"], r["least"]) for r in rows]
    scores = score(network, engine, [handles[g.name] for g in groups], how, counter)
    order = ranked(groups, scores, how.ranking)
    make = cut_copy(network.module, shape, quantity)
    found: dict[int, float] = {}

    def left(count: int) -> float:
        if count not in found:
            found[count] = spent(make(kept(groups, order, count, how.multiple_of)), shape, quantity)
        return found[count]

    count = smallest_count(len(order), lambda number: left(number) <= goal)
    chosen = len(order) if count is None else count
    keep = kept(groups, order, chosen, how.multiple_of)
    changed = {g.name: keep[g.name] for g in groups if len(keep[g.name]) < g.size}
    return {"keep": changed, "left": left(chosen), "reached": count is not None}


def score(
    network: Network, engine: Engine, groups: Sequence[ChannelGroup], how: Importance, counter: int = 0
) -> dict[str, list[float]]:
    """Importance of every channel by group.

    Raises:
        UserError: if a group has nothing that the importance looks at.
    """
    module = network.module
    if how.name == "random":
        draw = generator(engine.seed, "prune", "random", counter)
        return {g.name: random(g.size, draw).tolist() for g in groups}
    if how.name == "rank":
        return {g.name: _by_rank(module, g).tolist() for g in groups}
    if how.name == "kcs":
        return {g.name: _by_strength(module, g).tolist() for g in groups}
    entrywise, roles = _criterion(network, engine, how)
    found = {}
    for group in groups:
        scores = group_scores(module, group, entrywise, roles)
        if scores is None:
            raise UserError(
                f"algo.importance: {how.name} is not accepted, as {group.name} has no weights that it looks at;"
                " use l2, or leave the layer alone with algo.leave"
            )
        found[group.name] = scores.tolist()
    return found


def _criterion(network: Network, engine: Engine, how: Importance) -> tuple[Entrywise, tuple[str, ...]]:
    if how.name == "taylor":
        return taylor(gradients(network, engine, how.images, squared=False)), LAYERS
    if how.name == "hessian":
        return obd(gradients(network, engine, how.images, squared=True)), LAYERS
    if how.name == "bn":
        return magnitude(1), ("norm",)
    return magnitude(1 if how.name == "l1" else 2), (*LAYERS, "norm")


def _by_rank(module: nn.Module, group: ChannelGroup) -> Tensor:
    """CONet's rank as a score: the group's norms, in the end scaled so that a group of low rank loses more.

    A channel's score is its place among those of its group times the mean rank of the layers that write it and read
    it, so that ``ranking=global`` leaves each group channels in proportion to its rank.
    """
    norms = group_scores(module, group, magnitude(2))
    weights = [
        (axis, tensor) for axis, tensor in group_weights(module, group, ("producer", "consumer")) if tensor.dim() == 4
    ]
    metrics = rank_metrics_of([tensor for _, tensor in weights]) if weights else []
    ranks = [
        one.rank_out if axis.role == "producer" else one.rank_in
        for (axis, _), one in zip(weights, metrics, strict=True)
    ]
    mean = sum(ranks) / len(ranks) if ranks else 1.0
    assert norms is not None
    return (norms.argsort(stable=True).argsort(stable=True) + 0.5) / group.size * max(mean, 1e-6)


def _by_strength(module: nn.Module, group: ChannelGroup) -> Tensor:
    """DensEMANN's connection strength of the filters that write a channel, averaged over its layers."""
    parts = []
    for axis, weight in group_weights(module, group, ("producer", "depthwise")):
        strengths = kcs(weight.transpose(0, axis.dim))
        parts.append(channel_sums(group, axis, strengths[:, None] if axis.dim == 0 else strengths[None]))
    return torch.stack(parts).mean(0)


def cut_copy(module: nn.Module, image_shape: Shape, quantity: Quantity) -> Callable[[Keep], nn.Module]:
    """Makes copies of a network with channels cut; without memory, unless it is to be timed."""
    convert = Tensor.clone if quantity == "latency" else without_memory

    def make(keep: Keep) -> nn.Module:
        twin = copied(module, convert)
        twin_map = next(iter(groups.values())).map.on(twin)
        cut(twin, keep, {name: group.on(twin_map) for name, group in groups.items()})
        return twin

    groups = groups_of(module, image_shape)
    return make


def cut(module: nn.Module, keep: Keep, groups: Mapping[str, ChannelGroup], optimizer: Any = None) -> None:
    """Keep these channels of each group that is named."""
    for name, channels in keep.items():
        if len(channels) < groups[name].size:
            prune(module, groups[name], channels, optimizer=optimizer)
