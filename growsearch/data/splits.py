"""Training, validation and test splits: seeded, disjoint, by count or by fraction."""

from __future__ import annotations

import torch
from torch import Tensor

from growsearch.errors import UserError
from growsearch.randomness import generator

Size = int | float | None
DEFAULT_TEST_FRACTION = 0.2


def count_of(option: str, size: Size, available: int, default: int) -> int:
    """Turn a size into a number of images.

    Args:
        option: name for the error message.
        size: a count, a fraction of ``available`` (a float of at most 1), or None.
        available: images there are.
        default: what None means.

    Raises:
        UserError: if the size is negative or more than there is.
    """
    if size is None:
        return default
    fraction = isinstance(size, float) and size <= 1.0
    count = round(size * available) if fraction else int(size)
    if not fraction and count != size:
        raise UserError(f"{option}: {size} is not accepted; use a count, or a fraction of at most 1.0")
    if count < 0:
        raise UserError(f"{option}: {size} is not accepted; use 0 or more")
    if count > available:
        raise UserError(
            f"{option}: {size} is more than the {available} images there are; use fewer, a fraction or null"
        )
    return count


def split_pool(
    count: int, train_size: Size, val_size: Size, *, split: str, seed: int, val_available: bool = True
) -> tuple[Tensor, Tensor]:
    """Indices of the training and of the validation images, disjoint.

    One permutation of the pool (or, for ``halves``, its file order): training takes the front,
    validation the back (DensEMANN spec 9; PR-DARTS halves the file order).

    Args:
        count: images in the pool.
        train_size: None for all that validation leaves.
        val_size: None for all that training leaves, none if training takes what is left too.
        split: "random" or "halves".
        seed: of the permutation.
        val_available: False where validation images come from elsewhere.

    Raises:
        UserError: if both do not fit in the pool or nothing is left to train on.
    """
    if not val_available:
        val_size = 0
    num_val = count_of("data.val_size", val_size, count, default=0)
    num_train = count_of("data.train_size", train_size, count, default=count - num_val)
    if val_size is None and train_size is not None:
        num_val = count - num_train
    if num_train + num_val > count:
        raise UserError(
            f"data.train_size, data.val_size: {num_train} + {num_val} is more than the {count} images there are; "
            "use fewer, or fractions"
        )
    if num_train == 0:
        raise UserError("data.train_size: no training images are left; leave at least one")
    order = torch.randperm(count, generator=generator(seed, "split")) if split == "random" else torch.arange(count)
    return order[:num_train], order[count - num_val :]


def carve_test(count: int, test_size: Size, *, seed: int) -> tuple[Tensor, Tensor]:
    """Indices of what is left (in file order) and of a seeded random test set, where there is no official one.

    None takes a fifth.

    Raises:
        UserError: if the test set is empty or takes everything.
    """
    num_test = count_of("data.test_size", test_size, count, default=round(DEFAULT_TEST_FRACTION * count))
    if num_test in (0, count):
        raise UserError(_unusable_test_size(count, test_size, num_test))
    order = torch.randperm(count, generator=generator(seed, "test"))
    return order[num_test:].sort().values, order[:num_test].sort().values


def _unusable_test_size(count: int, test_size: Size, num_test: int) -> str:
    """Why a test set cannot have this size: it would be empty, or leave nothing to train on."""
    if count < 2:
        return f"data.test_size: there is {count} image, too few for a test set; use at least 2"
    asked = "a fifth, the default," if test_size is None else f"{test_size}"
    most = count - 1
    return f"data.test_size: {asked} makes {num_test} of {count} images; use 1{f' to {most}' if most > 1 else ''}"


def subset(count: int, size: Size, option: str, *, seed: int) -> Tensor:
    """Indices, in file order, of a seeded random subset; all of them if ``size`` is None.

    Raises:
        UserError: if the subset is empty or larger than what there is.
    """
    kept = count_of(option, size, count, default=count)
    if kept == count:
        return torch.arange(count)
    if kept == 0:
        raise UserError(f"{option}: {size} leaves no image; use at least one")
    return torch.randperm(count, generator=generator(seed, "test"))[:kept].sort().values
