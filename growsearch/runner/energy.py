"""Energy of the device that computes, where the hardware counts it: all that it uses, whoever uses it.

Own code, for the packages that measure energy bring trackers, files and services of their own for two counters.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

POWERCAP = Path("/sys/class/powercap")
"""Where Linux shows the counters of processors; on many machines to the superuser alone."""

JOULES_PER_KWH = 3.6e6


@dataclass(frozen=True)
class Counter:
    """A counter that grows until it starts anew.

    Attributes:
        read: its joules.
        capacity: joules at which it starts at zero again; infinite if it never does.
    """

    read: Callable[[], float]
    capacity: float = float("inf")


class Meter:
    """Joules of several counters between one look and the next, which must come before any counter is through twice.

    Args:
        counters: by name; none where nothing is counted.
    """

    def __init__(self, counters: Mapping[str, Counter]) -> None:
        self.counters = counters
        self.seen = self._read()

    def joules(self) -> float | None:
        """Energy used since the last look; None where it is not known."""
        before, self.seen = self.seen, self._read()
        if not before or not self.seen:
            return None
        grown = {name: now - before[name] for name, now in self.seen.items()}
        return sum(by if by >= 0 else by + self.counters[name].capacity for name, by in grown.items())

    def _read(self) -> dict[str, float]:
        try:
            return {name: counter.read() for name, counter in self.counters.items()}
        except Exception:  # files of the kernel, or the driver's library: whatever they raise, nothing is known
            return {}


def meter(device: torch.device) -> Meter:
    """The meter of a GPU, or of all processors of the machine."""
    return Meter(graphics_card(device) if device.type == "cuda" else processors(POWERCAP))


def processors(folder: Path) -> dict[str, Counter]:
    """Counters of the processors as Linux' powercap files tell them."""
    zones = [zone for zone in sorted(folder.glob("*-rapl:*")) if zone.name.count(":") == 1]  # others are parts of these
    try:
        packages = [zone for zone in zones if (zone / "name").read_text().startswith("package")]
        return {
            zone.name: Counter(partial(_joules, zone / "energy_uj"), _joules(zone / "max_energy_range_uj"))
            for zone in packages
        }
    except (OSError, ValueError):
        return {}


def _joules(file: Path) -> float:
    return int(file.read_text()) / 1e6


def graphics_card(device: torch.device) -> dict[str, Counter]:
    """The counter of an NVIDIA GPU, by way of the package nvidia-ml-py."""
    try:
        import pynvml

        pynvml.nvmlInit()
        handle = pynvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    except Exception:  # not installed, no driver, part of a card
        return {}
    return {"gpu": Counter(partial(_card_joules, pynvml, handle))}


def _card_joules(pynvml: Any, handle: Any) -> float:
    return pynvml.nvmlDeviceGetTotalEnergyConsumption(handle) / 1e3
