"""Refuse what would not fit in memory before memory is asked for."""

from __future__ import annotations

import os
from pathlib import Path

from growsearch.errors import LackOfMemory

GIB = 1024**3


def available_bytes() -> int | None:
    """Memory that can be had without swapping; None where the system does not say."""
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def require_memory(needed: int, what: str, remedy: str) -> None:
    """Check that ``needed`` bytes can be had.

    Raises:
        LackOfMemory: naming ``what`` needs them and the ``remedy``.
    """
    available = available_bytes()
    if available is not None and needed > available:
        raise LackOfMemory(f"{what}: {needed / GIB:.1f} GiB needed, {available / GIB:.1f} GiB of memory free: {remedy}")
