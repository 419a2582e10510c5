"""Refuse what would not fit in memory before memory is asked for."""

from __future__ import annotations

import psutil

from growsearch.errors import LackOfMemory

GIB = 1024**3


def available_bytes() -> int:
    """Memory that can be had without swapping."""
    return psutil.virtual_memory().available


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Check that ``needed`` bytes can be had.

    Raises:
        LackOfMemory: naming ``what`` needs them and the ``remedy``.
    """
    available = available_bytes()
    if needed > available:
        raise LackOfMemory(
            f"{what}: it takes {needed / GIB:.1f} GiB, {available / GIB:.1f} GiB of memory are free; {remedy}"
        )
