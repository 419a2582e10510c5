"""Batch sizes that grow into the device's memory (PR-DARTS III-C)."""

import math


def next_batch_size(size: int, usage: float, multiple: int, largest: int, threshold: float = 0.95) -> int:
    """Batch size after one look at the memory gauge.

    Memory is taken to be proportional to the batch; one look at most doubles it and never shrinks it.

    Args:
        size: images a batch has now.
        usage: fraction of the device's memory in use at its peak.
        multiple: new sizes are multiples of this.
        largest: no batch is larger.
        threshold: fraction of the memory that may be used.
    """
    if usage <= 0:
        return size
    fitting = math.floor(threshold * size / usage)
    return max(size, min(fitting - fitting % multiple, largest, 2 * size))


def steps_per_epoch(images: int, size: int, multiple: int) -> int:
    """Steps of an epoch at a constant batch size; pieces of ``multiple`` images that make no whole batch are left."""
    return math.ceil(images / multiple) // (size // multiple)
