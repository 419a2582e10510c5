"""Net2Wider: more channels, the same function."""

import math
import sys
from itertools import chain
from typing import Literal

import numpy as np
import torch
from torch import nn

from growsearch.errors import UserError
from growsearch.surgery.arguments import channel_numbers, require_group, require_room
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.momentum import Optimizers, as_list
from growsearch.surgery.remap import remap
from growsearch.surgery.replace import replace
from growsearch.surgery.silent import add_silent
from growsearch.surgery.surroundings import undisturbed
from growsearch.surgery.tensors import lookup
from growsearch.surgery.transaction import transaction


@undisturbed
def widen(
    model: nn.Module,
    group: ChannelGroup,
    size: int,
    *,
    generator: torch.Generator | None = None,
    noise_std: float = 0.0,
    momentum: Literal["follow", "drop"] = "follow",
    optimizer: Optimizers = None,
) -> list[int]:
    """Widen a group to ``size`` channels by copying channels drawn uniformly (Net2Net, eqs. 4 and 5).

    The weights that read a copied channel are divided by its number of copies. The function stays
    the same in eval and in train mode, for copies share their batch statistics. No channel is copied
    twice before all are copied once, so up to double size every division is by two and loses no bit:
    pruning the copies then gives back identical tensors. Where only multiples of the present size are exact
    (:attr:`ChannelGroup.step`), all channels are copied equally often; where no copies are exact, new channels are
    added that change nothing at first (:mod:`growsearch.surgery.silent`).

    Args:
        model: the network that ``group`` was traced on.
        group: a handle.
        size: the new number of channels, at least the present one.
        generator: draws the copied channels and the noise; None means seed 0.
        noise_std: standard deviation of Gaussian noise added to the weights that write the copies, so
            that gradients part them; 0 keeps the function exactly. Channels that are no copies get none.
        momentum: see :func:`growsearch.surgery.remap`.
        optimizer: see :func:`growsearch.surgery.remap`.

    Returns:
        The sources: new channel i is a copy of old channel ``sources[i]``, or of none if that is -1.

    Raises:
        UserError: if ``size`` is smaller than the group or not one that it takes, or the group is frozen or stale.
    """
    require_group(group)
    if generator is not None and not (isinstance(generator, torch.Generator) and generator.device.type == "cpu"):
        raise UserError(f"generator: {generator!r} is not accepted; use a torch.Generator of the CPU")
    old = group.size
    size = int(channel_numbers([size], f"size of {group.name}", old, sys.maxsize)[0])
    if not isinstance(noise_std, int | float) or not 0 <= noise_std < math.inf:
        raise UserError(f"noise_std: {noise_std!r} is not accepted; use a number of at least 0")
    if noise_std and not (group.producers or group.layers("depthwise")):
        raise UserError(f"noise_std: {noise_std} is not accepted for {group.name}, whose weights are computed; use 0")
    silent = group.map.silent.get(group.number)
    copies = silent is None or (group.map.frozen[group.number] is None and size % old == 0)
    group.map.check(model, group.number, group.name, None if copies else np.arange(old), not copies)
    if size % group.step:
        why = group.map.even[group.number] or group.map.frozen[group.number]
        raise UserError(
            f"size of {group.name}: {size} is not accepted, as all channels must be copied equally often ({why}); "
            f"use a multiple of {group.step}"
        )
    require_room(model, group, size)
    optimizer = as_list(optimizer)
    generator = generator if generator is not None else torch.Generator("cpu").manual_seed(0)
    passes = [torch.randperm(old, generator=generator, device="cpu").tolist() for _ in range(-(-(size - old) // old))]
    sources = [*range(old), *chain.from_iterable(passes)][:size]
    with transaction(model, optimizer, group.map.owners(model, group.number)):
        if silent is not None and not copies:
            return add_silent(model, group, size, silent, generator, momentum, optimizer)
        remap(model, group, sources, momentum=momentum, optimizer=optimizer)
        if noise_std and size > old:
            _add_noise(model, group, range(old, size), noise_std, generator, optimizer)
        return sources


def _add_noise(
    model: nn.Module,
    group: ChannelGroup,
    channels: range,
    noise_std: float,
    generator: torch.Generator,
    optimizer: Optimizers,
) -> None:
    for axis in group.axes:
        if axis.role not in ("producer", "depthwise"):
            continue
        weight = lookup(model, axis.name).detach()
        entries = [place for channel in channels for place in group.positions(axis, channel)]
        where = torch.tensor(entries, device=weight.device)
        copies = weight.index_select(axis.dim, where)
        noise = torch.randn(copies.shape, generator=generator, dtype=torch.float64, device="cpu") * noise_std
        value = weight.index_copy(axis.dim, where, copies + noise.to(weight))
        replace(model, axis.name, value, optimizer=optimizer, carry=lambda state, *_: state)
