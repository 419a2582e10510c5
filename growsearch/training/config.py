"""What a run computes on."""

from dataclasses import dataclass

from growsearch.errors import UserError

MOST_THREADS = 1024


@dataclass
class HardwareConfig:
    """Device, threads, precision and layout.

    Attributes:
        device: ``auto`` (the first CUDA GPU, else the CPU), ``cpu``, ``cuda`` or ``cuda:<n>``.
        threads: CPU threads of an operator; 0 measures one against all on the first steps.
        precision: ``float32``, or ``bf16`` for autocast (recorded in the result).
        layout: memory layout of images and kernels: ``contiguous``, ``channels_last``, or ``auto``: on a CPU
            channels_last for convolutional networks where that is sound.
        step: how a step is taken. ``eager``: operation by operation. ``captured`` (GPU): recorded once as a CUDA
            graph and replayed, until the network changes; the same numbers. ``compiled``: torch.compile makes the
            network's kernels anew after each change, which takes from seconds to minutes and rounds differently;
            for training that changes nothing. ``auto``: captured on a GPU, else eager.
        eval_batch: images of an evaluation batch.
        heartbeat: steps between two looks of the host at the device (CUDA only).
        batch_autoscaling: let methods that ask for it grow the batch into the GPU's memory.
        memory_fraction: share of the GPU's memory that autoscaling may fill.
        out_of_memory: when memory runs out, ``stop``, saved; go on with a ``smaller_batch`` (half the images,
            at the same learning rate, which changes the result); or ``skip`` the candidate network, where the
            method has candidates.
    """

    device: str = "auto"
    threads: int = 0
    precision: str = "float32"
    layout: str = "contiguous"
    step: str = "auto"
    eval_batch: int = 512
    heartbeat: int = 50
    batch_autoscaling: bool = True
    memory_fraction: float = 0.95
    out_of_memory: str = "stop"

    def __post_init__(self) -> None:
        _one_of("hardware.precision", self.precision, ("float32", "bf16"))
        _one_of("hardware.layout", self.layout, ("contiguous", "channels_last", "auto"))
        _one_of("hardware.step", self.step, ("auto", "eager", "captured", "compiled"))
        _one_of("hardware.out_of_memory", self.out_of_memory, ("stop", "smaller_batch", "skip"))
        if not (self.device in ("auto", "cpu") or self.device.split(":")[0] == "cuda"):
            raise UserError(f"hardware.device: {self.device!r} found, auto, cpu, cuda or cuda:<n> expected")
        for name in ("eval_batch", "heartbeat"):
            if getattr(self, name) < 1:
                raise UserError(f"hardware.{name}: {getattr(self, name)} found, 1 or more expected")
        if not 0 <= self.threads <= MOST_THREADS:
            raise UserError(f"hardware.threads: {self.threads} found, 0 (measure) to {MOST_THREADS} expected")
        if not 0 < self.memory_fraction <= 1:
            raise UserError(f"hardware.memory_fraction: {self.memory_fraction} found, a share in (0, 1] expected")


def _one_of(option: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise UserError(f"{option}: {value!r} found, one of {', '.join(choices)} expected")
