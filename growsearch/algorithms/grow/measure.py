"""What growth measures of a network: its groups, what new channels would gain, and which growth fits a budget."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from growsearch.algorithms.budgets import Shape, gradients, groups_of, left_alone, spent, without_memory
from growsearch.algorithms.config import Quantity
from growsearch.algorithms.grow.decisions import additions, grown, largest_count, weights_of
from growsearch.algorithms.grow.directions import directions
from growsearch.algorithms.grow.edits import DIRECTED, MOST, add_blocks, aim, grow_groups, growable
from growsearch.errors import UserError
from growsearch.networks.residual import ResidualNetwork
from growsearch.randomness import generator
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.scores import channel_sums, group_weights
from growsearch.surgery.tensors import copied
from growsearch.training import Engine, Network


def growable_groups(network: Network, image_shape: Shape, leave: Sequence[str], prove: bool) -> list[str]:
    """Names of the groups that may be widened without a change of the function.

    Raises:
        UserError: if a pattern names no layer, or no group may be widened.
    """
    groups = groups_of(network.module, image_shape, prove)
    left = left_alone(groups, leave)
    free = [name for name, group in groups.items() if growable(group) and name not in left]
    if not free:
        reasons = dict.fromkeys(group.frozen for group in groups.values() if group.frozen is not None)
        raise UserError(f"network: none of its channels may be added to ({'; '.join(reasons)}); use another network")
    return free


def deepened(network: Network, image_shape: Shape, quantity: Quantity, count: int) -> float:
    """A quantity of a residual network with so many blocks more in each stage."""
    twin = copied(network.module, Tensor.clone)
    assert isinstance(twin, ResidualNetwork)
    add_blocks(twin, count, torch.Generator().manual_seed(0))
    return spent(twin, image_shape, quantity)


def plan_growth(
    network: Network,
    engine: Engine,
    names: Sequence[str],
    where: str,
    start: str,
    images: int,
    quantity: Quantity,
    goal: float,
    counter: int,
) -> dict[str, Any]:
    """The most channels that a budget has room for.

    Args:
        network: left as it is.
        engine: its training images.
        names: of the groups that may grow.
        where: as in the option.
        start: as in the option.
        images: training images for ``gradient`` and ``tiny``.
        quantity: what the budget counts.
        goal: the budget.
        counter: names draws.

    Returns:
        ``sizes`` of the groups that grow, ``before`` theirs now, and ``left``, the quantity after it.
    """
    shape, module = engine.data.image_shape, network.module
    groups = {name: group for name, group in groups_of(module, shape).items() if name in names}
    sizes = {name: group.size for name, group in groups.items()}
    if where in ("gradient", "tiny"):
        weights = weights_of(gains(network, engine, groups, where, start, images))
    elif where == "random":
        draws = torch.rand(len(groups), generator=generator(engine.seed, "grow", "where", counter)).tolist()
        weights = dict(zip(groups, draws, strict=True))
    else:
        weights = dict.fromkeys(groups, 1.0)
    order = additions(sizes, weights, MOST)
    make = grown_copy(module, groups, without_memory)

    def cost_of(count: int) -> float:
        return spent(make(grown(sizes, order, count), "zero"), shape, quantity)

    count = largest_count(len(order), lambda number: cost_of(number) <= goal)
    after = grown(sizes, order, count)
    more = {name: size for name, size in after.items() if size > sizes[name]}
    return {"sizes": more, "before": {name: sizes[name] for name in more}, "left": cost_of(count)}


def gains(
    network: Network, engine: Engine, groups: Mapping[str, ChannelGroup], where: str, start: str, images: int
) -> dict[str, float]:
    """What a new channel of each group would gain in the mean over a quarter more of them.

    ``gradient`` is the squared gradient of the weights that would read it, at zero: to first order, what a step of
    gradient descent at rate 1 gains by it (GradMax, section 2). ``tiny`` is TINY's decrease of the loss; a group whose
    layers :func:`directions` cannot judge gets the mean of the others.
    """
    more = {name: max(1, group.size // 4) for name, group in groups.items()}
    now = {name: group.size for name, group in groups.items()}
    if where == "tiny":
        known = {
            name: each.gains[: more[name]].sum().item() / more[name]
            for name, each in directions(network, engine, groups, now, images, natural=True).items()
        }
        mean = sum(known.values()) / max(len(known), 1)
        return {name: known.get(name, mean) for name in groups}
    sizes = {name: now[name] + more[name] for name in groups}
    twin = grown_copy(network.module, groups, Tensor.clone)(sizes, start if start == "orthogonal" else "zero")
    shadow = Network(network.id, twin)
    handles = groups_of(twin, engine.data.image_shape)
    if start in DIRECTED:
        aim(twin, handles, now, directions(shadow, engine, handles, now, images, start == "tiny"))
    slopes = gradients(shadow, engine, images, squared=False)
    found = {}
    for name, old in now.items():
        parts = [
            channel_sums(handles[name], axis, slopes[axis.name].square())[old:]
            for axis, _ in group_weights(twin, handles[name], ("consumer",))
            if axis.name in slopes
        ]
        found[name] = torch.stack(parts).sum(0).mean().item() if parts else 0.0
    return found


def grown_copy(
    module: nn.Module, groups: Mapping[str, ChannelGroup], convert: Callable[[Tensor], Tensor]
) -> Callable[[Mapping[str, int], str], nn.Module]:
    """Makes copies of a network with wider groups."""

    def make(sizes: Mapping[str, int], start: str) -> nn.Module:
        twin = copied(module, convert)
        twin_map = next(iter(groups.values())).map.on(twin)
        handles = {name: group.on(twin_map) for name, group in groups.items()}
        grow_groups(twin, handles, sizes, start, 0.0, torch.Generator().manual_seed(0))
        return twin

    return make
