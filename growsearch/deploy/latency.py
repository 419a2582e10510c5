"""Latency of a network, measured on this machine."""

import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

from growsearch.format import counted

BATCHES = (1, 32)
LEAST_RUNS, MOST_RUNS, WARM_UP = 10, 1000, 3


@dataclass(frozen=True)
class Latency:
    """Seconds of one forward pass.

    Attributes:
        batch: images at a time.
        median: of all runs.
        slow: nine of ten runs took no longer.
        runs: how many were measured.
        threads: of the CPU.
        device: the processor's name, or the GPU's.
    """

    batch: int
    median: float
    slow: float
    runs: int
    threads: int
    device: str

    def text(self) -> str:
        """One line for people."""
        return f"{_time(self.median)} for {counted(self.batch, 'image')} (9 of 10 runs within {_time(self.slow)})"


@torch.no_grad()
def measure(run: Callable[[Tensor], object], images: Tensor, seconds: float = 0.5) -> Latency:
    """Time ``run(images)`` again and again, after a few runs that do not count.

    Args:
        run: what is measured; its work on a GPU is waited for.
        images: [B, ...], on the device that ``run`` works on.
        seconds: how long to go on, for 10 runs at least and 1000 at most.
    """
    on_gpu = images.device.type == "cuda"
    times: list[float] = []
    for turn in range(WARM_UP + MOST_RUNS):
        begin = time.perf_counter()
        run(images)
        if on_gpu:
            torch.cuda.synchronize(images.device)
        if turn >= WARM_UP:
            times.append(time.perf_counter() - begin)
            if len(times) >= LEAST_RUNS and sum(times) >= seconds:
                break
    times.sort()
    device = torch.cuda.get_device_name(images.device) if on_gpu else processor()
    median, slow = times[len(times) // 2], times[-(-9 * len(times) // 10) - 1]
    return Latency(len(images), median, slow, len(times), torch.get_num_threads(), device)


def measure_network(
    module: nn.Module,
    image_shape: Sequence[int],
    batches: Sequence[int] = BATCHES,
    threads: int | None = None,
    device: str = "cpu",
) -> list[Latency]:
    """Time a network's forward pass in evaluation mode, on random images.

    Args:
        module: the network; it is left on ``device``.
        image_shape: (C, H, W).
        batches: numbers of images at a time.
        threads: of the CPU; as they are if None.
        device: ``cpu``, ``cuda`` or ``cuda:1``.
    """
    module = module.eval().to(device)
    generator = torch.Generator().manual_seed(0)
    with _threads(threads):
        return [measure(module, torch.randn(batch, *image_shape, generator=generator).to(device)) for batch in batches]


@cache
def processor() -> str:
    """The name of this machine's processor, or of its kind where the system does not tell."""
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip() or platform.machine()
    return platform.processor() or platform.machine()


@contextmanager
def _threads(threads: int | None) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(before if threads is None else threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms" if seconds < 1 else f"{seconds:.2f} s"
