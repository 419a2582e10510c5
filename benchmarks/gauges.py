"""What is read off a loop and a machine: operators, launches, memory, and the most the machine can do."""

import contextlib
import re
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MIB = 1 << 20
LAUNCHES = ("cudaLaunchKernel", "cuLaunchKernel", "cudaGraphLaunch", "cudaMemcpyAsync", "cudaMemsetAsync")


class Operators(TorchDispatchMode):
    """Counts the operators that compute, and the bytes that they read and write.

    Attributes:
        count: operators; views are left out.
        bytes: of all their tensors, as if nothing stayed in a cache.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if not func.is_view:
            tensors = [leaf for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            self.count += 1
            self.bytes += sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        return out


CLASSES = {
    "convolution": r"conv",
    "batch norm": r"batch_norm",
    "pooling": r"pool",
    "matrix products": r"::(add|b|badd)?b?mm$",
    "copies": r"::(_to_copy|copy_|clone|cat|stack|index|index_select|constant_pad_nd)$",
    "update": r"^Optimizer|_fused_|_foreach_|vector_norm|::(add|mul|addcmul|addcdiv|lerp)_$",
    "overhead": r"^(?!aten::)|view|stride|expand|empty|resize|slice|::(select|t|transpose|detach|unbind|split|to)$",
}
"""What operators of a class are called; an update's in-place sums are those of torch's plain optimizers."""

REST = "elementwise"


def class_of(operator: str) -> str:
    """The first class that a name of the profiler's, such as ``aten::convolution``, fits."""
    return next((name for name, pattern in CLASSES.items() if re.search(pattern, operator)), REST)


def shares(work: Callable[[], None]) -> dict[str, float]:
    """Where the time of ``work`` on a CPU goes, by class of operator.

    Overhead is what autograd and Python do between operators, and the profiler's own part.
    """
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        begun = time.perf_counter()
        work()
        total = time.perf_counter() - begun
    found = dict.fromkeys((*CLASSES, REST), 0.0)
    for row in profiler.key_averages():
        found[class_of(row.key)] += 1e-6 * row.self_cpu_time_total / total
    del found["overhead"]
    return {**found, "overhead": 1 - sum(found.values())}


def launches(work: Callable[[], None]) -> tuple[int, int]:
    """Kernels that a GPU runs for ``work``, and calls of the host that start them (a replayed graph is one)."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as profiler:
        work()
        torch.cuda.synchronize()
    events = profiler.events()
    kernels = sum(event.device_type == torch.autograd.DeviceType.CUDA for event in events)
    return kernels, sum(event.name.startswith(LAUNCHES) for event in events)


@contextlib.contextmanager
def peak_memory(device: torch.device) -> Iterator[Callable[[], float | None]]:
    """MiB that the block needed at most beyond what was in use before it; None where that cannot be read."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        yield lambda: (torch.cuda.max_memory_allocated(device) - before) / MIB
        return
    known = _forget_peak()
    resident = _status("VmRSS") if known else 0
    yield lambda: (_status("VmHWM") - resident) / MIB if known else None


def held_memory(device: torch.device) -> int:
    """Bytes that PyTorch holds on a GPU, or that the process holds on a CPU."""
    return torch.cuda.memory_reserved(device) if device.type == "cuda" else _status("VmRSS")


def _forget_peak() -> bool:
    """Let Linux count this process's peak from here on."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(name))


def ceilings(device: torch.device, tiny: bool) -> dict[str, float]:
    """Measured floating-point operations (float32 matrix product) and bytes (copy) a second."""
    side, megabytes = (256, 4) if tiny else (4096, 512) if device.type == "cuda" else (1024, 64)
    a, b = (torch.randn(side, side, device=device) for _ in range(2))
    source = torch.empty(megabytes * MIB, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    return {
        "flops": 2 * side**3 / _seconds(lambda: torch.mm(a, b), device),
        "bytes": 2 * source.numel() / _seconds(lambda: target.copy_(source), device),
    }


def _seconds(work: Callable[[], Any], device: torch.device, repeats: int = 7) -> float:
    times = []
    for _ in range(repeats + 2):
        begun = clock(device)
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(clock(device) - begun)
    return statistics.median(times[2:])


def clock(device: torch.device) -> float:
    """Seconds of this process on a CPU, where others share the machine; of the wall on a GPU."""
    return time.perf_counter() if device.type == "cuda" else time.process_time()
