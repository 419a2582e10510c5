"""Devices, layouts, threads and the memory gauge."""

import time
from collections.abc import Callable

import torch

from growsearch.errors import UserError
from growsearch.training.config import MOST_THREADS

Gauge = Callable[[], float]

REPLAYED, COMPILED = ("captured", "fused"), ("compiled", "fused")
"""Ways of taking steps in which a GPU replays them, and in which a compiler makes the network's kernels."""

WORTH_MORE_THREADS = 0.6
"""More threads are used only if they cut a step's time to this share: on a busy machine they cost far more."""


def resolve_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>`` into a device that is there.

    Raises:
        UserError: if there is no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type != "cuda":
        return device
    if (device.index or 0) >= torch.cuda.device_count():
        raise UserError(
            f"hardware.device: {name!r} is not accepted; this machine has {torch.cuda.device_count()} CUDA devices"
        )
    return torch.device("cuda", device.index or 0)


def resolve_step(name: str, device: torch.device) -> str:
    """Turn ``auto`` into ``captured`` on a GPU and ``eager`` on a CPU; other ways of taking steps stay.

    Raises:
        UserError: for ``captured`` and ``fused`` on a CPU.
    """
    if name in REPLAYED and device.type == "cpu":
        raise UserError(
            f"hardware.step: {name} is not accepted, as only a GPU replays steps; use auto, eager or compiled"
        )
    if name == "auto":
        return "eager" if device.type == "cpu" else "captured"
    return name


def memory_gauge(device: torch.device) -> Gauge:
    """A gauge of the device's memory: its peak use since the last call as a fraction of all.

    A CPU has no such limit to fill and reads 1: nothing grows.
    """
    if device.type != "cuda":
        return lambda: 1.0

    def read() -> float:
        free, total = torch.cuda.mem_get_info(device)
        others = total - free - torch.cuda.memory_reserved(device)
        peak = torch.cuda.max_memory_reserved(device) + others
        torch.cuda.reset_peak_memory_stats(device)
        return peak / total

    return read


def set_threads(count: object) -> None:
    """Compute on as many threads as a run was recorded with.

    Raises:
        ValueError: if that is no number that a machine could have.
    """
    if not isinstance(count, int) or not 1 <= count <= MOST_THREADS:
        raise ValueError(f"threads: {count!r} is not accepted; use 1 to {MOST_THREADS}")
    torch.set_num_threads(count)


def choose_threads(step: Callable[[], None], steps: int = 3) -> int:
    """Measure a step on one thread and on as many as torch would use, and set the better number.

    ``OMP_NUM_THREADS`` bounds what torch would use. Small networks lose tenfold on two threads of a
    busy machine, so more than one must be clearly faster. The number is recorded with the run: bits
    depend on it.
    """
    most = torch.get_num_threads()
    seconds = {}
    for threads in sorted({1, most}):
        torch.set_num_threads(threads)
        step()
        times = []
        for _ in range(steps):
            start = time.perf_counter()
            step()
            times.append(time.perf_counter() - start)
        seconds[threads] = min(times)
    best = most if seconds[most] < WORTH_MORE_THREADS * seconds[1] else 1
    torch.set_num_threads(best)
    return best
