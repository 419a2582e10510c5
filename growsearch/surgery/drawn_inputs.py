"""Inputs that are drawn for a stand-in, of the shapes and kinds of a network's example."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from growsearch.surgery.interface import as_arguments, own


def draw_inputs(
    example: Tensor | tuple[Any, ...], device: torch.device, rows: Mapping[int, int], random: np.random.Generator
) -> list[Any]:
    """Inputs in double precision, of which one after another is tried: each tells more, but not every network takes it.

    First come whole numbers that tell samples apart, where those of the example do not, up to the last row of their
    tables or up to 1; then noise beside the example's numbers; then the example's own masks, and noise above zero.

    Args:
        example: an input, or a tuple of positional inputs.
        device: where they are to be.
        rows: place of an input -> fewest rows of the tables in which its entries are looked up.
        random: draws them.
    """

    def noise(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
            return leaf
        return torch.from_numpy(random.standard_normal(tuple(leaf.shape))).to(leaf.device)

    inputs = pytree.tree_map(noise, as_arguments(example, device, torch.float64))
    leaves, spec = pytree.tree_flatten(inputs)
    alike = [place for place in rows if _alike(leaves[place])]
    found = []
    for highest in (None, 2) if alike else ():
        drawn = list(leaves)
        for place in alike:
            numbers = random.integers(0, min(rows[place], highest or rows[place]), tuple(leaves[place].shape))
            drawn[place] = torch.from_numpy(numbers).to(leaves[place])
        found.append(pytree.tree_unflatten(drawn, spec))
    found.append(inputs)
    given = as_arguments(example, device, torch.float64)
    if any(map(_is_mask, pytree.tree_leaves(given))):
        found.append(pytree.tree_map(lambda noise, leaf: leaf if _is_mask(leaf) else noise, inputs, given))
    if any(map(_is_positive, pytree.tree_leaves(given))):
        found.append(pytree.tree_map(lambda noise, leaf: noise.abs() if _is_positive(leaf) else noise, inputs, given))
    return found


def samples_of(inputs: Any) -> int:
    """The number of samples."""
    tensors = [leaf for leaf in pytree.tree_leaves(inputs) if isinstance(leaf, Tensor) and leaf.dim()]
    return tensors[0].shape[0] if tensors else 1


def copy_of(inputs: Any, place: int | None) -> Any:
    """A run's own inputs, of all samples or of the one at a place."""
    batch = samples_of(inputs)

    def taken(leaf: Any) -> Any:
        if place is not None and isinstance(leaf, Tensor) and leaf.dim() and leaf.shape[0] == batch:
            leaf = leaf[place : place + 1]
        return leaf.clone() if isinstance(leaf, Tensor) else own(leaf)

    return pytree.tree_map(taken, inputs)


def _is_positive(leaf: Any) -> bool:
    """Whether an input of real numbers has none below zero, and some above."""
    return isinstance(leaf, Tensor) and leaf.is_floating_point() and bool((leaf >= 0).all() & (leaf > 0).any())


def _is_mask(leaf: Any) -> bool:
    """Whether an input of real numbers has ones, and else zeros."""
    return (
        isinstance(leaf, Tensor) and leaf.is_floating_point() and bool(((leaf == 0) | (leaf == 1)).all() & leaf.any())
    )


def _alike(numbers: Tensor) -> bool:
    """Whether some samples are the same, or the entries of one."""
    rows = numbers.reshape(len(numbers) if numbers.dim() else 1, -1)
    same = (rows == rows[:, :1]).all(1).any() if rows.shape[1] > 1 else False
    return bool(same) or len(rows.unique(dim=0)) < len(rows)
