"""Training images in two parts: one trains weights, the other architecture weights."""

import dataclasses

from growsearch.data.dataset import Dataset, Split
from growsearch.errors import UserError


def halves(data: Dataset, portion: float, least: int) -> Dataset:
    """The data set with the front of its training images as ``train`` and their rest as ``val`` (views, no copies).

    The validation split proper stays out of search: what architecture weights are fitted to cannot
    judge them.

    Args:
        data: what the run has.
        portion: share of the first part.
        least: images that each part must have.

    Raises:
        UserError: if one has fewer.
    """
    count = int(portion * len(data.train))
    if min(count, len(data.train) - count) < least:
        raise UserError(
            f"data.train_size: {len(data.train)} images found, {least} or more (algo.batch_multiple) expected "
            f"in each of two parts (algo.train_portion={portion})"
        )
    images, labels = data.train.images, data.train.labels
    return dataclasses.replace(
        data, train=Split(images[:count], labels[:count]), val=Split(images[count:], labels[count:])
    )
