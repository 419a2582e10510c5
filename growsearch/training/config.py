"""Options of the hardware."""

import re
from dataclasses import dataclass
from typing import ClassVar

from growsearch.errors import UserError
from growsearch.options import Options, option

MOST_THREADS = 1024


@dataclass
class HardwareConfig(Options):
    """Device, threads, precision and layout."""

    section: ClassVar[str] = "hardware"

    device: str = option(
        "auto",
        "What computes: auto (the first CUDA GPU, else the CPU), cpu, cuda or cuda:N; the kind of device changes"
        " results, its number does not.",
    )
    threads: int = option(
        1,
        "CPU threads of an operator; 0 measures one against all on the first steps. Results depend on the number.",
        unit="threads",
        low=0,
        high=MOST_THREADS,
    )
    workers: int = option(
        0,
        "Processes that train independent networks of one search side by side on a CPU, the run's own one among them,"
        " with the same numbers; 0 is as many as there are cores once that pays, and 1 in a sweep that runs jobs side"
        " by side.",
        unit="processes",
        low=0,
        high=MOST_THREADS,
        changes_results=False,
    )
    precision: str = option(
        "float32",
        "float32; tf32 (GPU), whose products and convolutions round their factors to 10 bits of fraction; or bf16 for"
        " automatic mixed precision.",
        choices=("float32", "tf32", "bf16"),
    )
    layout: str = option(
        "auto",
        "Memory layout of images and kernels; auto is channels_last for convolutional networks on a CPU where it is"
        " sound and on a GPU with precision=bf16, else contiguous. Numbers differ by rounding.",
        choices=("auto", "contiguous", "channels_last"),
    )
    step: str = option(
        "auto",
        "How a training step is taken: eager, operation by operation; captured (GPU), replayed as a CUDA graph until"
        " network changes, with the same numbers; compiled by torch.compile after each change, in seconds to minutes"
        " and with other rounding; fused (GPU), compiled and captured; auto is captured on a GPU, else eager.",
        choices=("auto", "eager", "captured", "compiled", "fused"),
    )
    eval_batch: int = option(512, "Images of an evaluation batch.", unit="images", low=1)
    heartbeat: int = option(
        50,
        "Steps after which the host looks whether training has diverged (CUDA only).",
        unit="steps",
        low=1,
        changes_results=False,
    )
    batch_autoscaling: bool = option(
        True,
        "Let methods that ask for it grow the batch into the GPU's memory.",
        matters_with="algo=prdarts network=none hardware.device=cuda",
    )
    memory_fraction: float = option(
        0.95,
        "Share of the GPU's memory that autoscaling may fill.",
        unit="share",
        above=0,
        high=1,
        matters_with="algo=prdarts network=none hardware.device=cuda",
    )
    out_of_memory: str = option(
        "stop",
        "When memory runs out: stop, with everything saved; go on with a smaller_batch (half the images, at the same"
        " learning rate); or skip the candidate network, where the method has candidates.",
        choices=("stop", "smaller_batch", "skip"),
        # A run that ran out of memory goes on by the same command with another choice; its record says what was halved.
        changes_results=False,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", self.device):
            raise UserError(f"hardware.device: {self.device!r} is not accepted; use auto, cpu, cuda or cuda:N")
