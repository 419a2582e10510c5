"""Choices of the old channel that each channel of a wider layer copies, for :func:`growsearch.surgery.remap`."""

import torch

from growsearch.errors import UserError


def random_sources(size: int, new_size: int, generator: torch.Generator) -> list[int]:
    """Keep all channels in their order, then draw each further one's source uniformly (Net2Wider, ECToNAS eq. 4-5).

    Raises:
        UserError: if the new size is below the old one.
    """
    _check(size, new_size)
    return [*range(size), *torch.randint(size, (new_size - size,), generator=generator).tolist()]


def cyclic_sources(size: int, new_size: int) -> list[int]:
    """Keep all channels in their order, then copy each equally often, the first ones once more than the rest.

    All copies of a channel stand together, by ascending channel: what ECToNAS' code does, which joins it with
    ``duplicate="scale_producers"``.

    Raises:
        UserError: if the new size is below the old one.
    """
    _check(size, new_size)
    rounds, rest = divmod(new_size - size, size)
    return [*range(size), *(channel for channel in range(size) for _ in range(rounds + (channel < rest)))]


def _check(size: int, new_size: int) -> None:
    if not 0 < size <= new_size:
        raise UserError(f"widening: {new_size} channels are fewer than the {size} before; use at least as many")
