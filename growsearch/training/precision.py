"""What ``hardware.precision`` means on a device, set rather than left to torch's defaults."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from growsearch.errors import UserError


def check_precision(precision: str, device: torch.device) -> None:
    """Refuse a precision that a device does not have.

    Raises:
        UserError: for ``tf32`` on a CPU.
    """
    if precision == "tf32" and device.type == "cpu":
        raise UserError("hardware.precision: tf32 is not accepted, as only a GPU has it; use float32 or bf16")


def make_repeatable(device: torch.device) -> None:
    """Ask cuDNN and cuBLAS for algorithms that end the same when a run is repeated on the same device.

    To be called before the device's first matrix product: cuBLAS reads its workspace setting when it starts.
    """
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.backends.cudnn.benchmark = False
        torch.backends.cudnn.deterministic = True


def set_precision(precision: str, device: torch.device) -> None:
    """Let a GPU round the factors of products and convolutions to TensorFloat-32 for ``tf32`` alone.

    torch rounds those of convolutions unless it is told not to, so float32 would not be what it says.
    """
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        torch.backends.cudnn.allow_tf32 = precision == "tf32"


@contextmanager
def computing_in(precision: str, usual: str, device: torch.device) -> Iterator[None]:
    """Compute a block in a precision, and in the ``usual`` one afterwards."""
    set_precision(precision, device)
    try:
        with autocast(precision, device, keep_casted=True):
            yield
    finally:
        set_precision(usual, device)


def autocast(precision: str, device: torch.device, keep_casted: bool = False) -> AbstractContextManager[Any]:
    """Automatic mixed precision for ``bf16``, and nothing for others.

    Args:
        precision: one of ``hardware.precision``.
        device: where it is computed.
        keep_casted: keep weights that were cast until the block ends; not for steps that change or capture them.
    """
    if precision != "bf16":
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16, cache_enabled=keep_casted)
