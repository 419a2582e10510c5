"""Running out of memory: what counts as it, what is said of it, and what the user's policy makes of it."""

import resource
import sys
from collections.abc import Sequence
from contextlib import ContextDecorator
from types import TracebackType

import torch

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.events import Edit
from growsearch.training.network import Network

SMALLEST_BATCH = 2
"""Batch norm cannot train on a single image."""


class OutOfMemory(UserError):
    """Memory ran out; carries plain facts only, so that nothing which fills the memory is kept alive.

    Attributes:
        doing: the phase: ``training``, ``evaluation``, or the edit or measurement under way.
        network: id of the network concerned, None where there is no one network.
        params: its parameters.
        batch: images of the batch; None where there was none, and a smaller one cannot help.
        peak: most memory that was in use, in words; it differs from run to run, so no event holds it.
        facts: the rest of it, in words; ``reason`` likewise.
    """

    def __init__(self, doing: str, network: int | None, params: int, batch: int | None, peak: str) -> None:
        self.doing, self.network, self.params, self.batch, self.peak = doing, network, params, batch, peak
        who = "" if network is None else f" of network {network} ({params:,} parameters)"
        images = "" if batch is None else f" in batches of {batch}"
        self.facts = self.reason = f"memory ran out: {doing}{who}{images}"
        super().__init__(f"{self.facts}; peak {peak}")

    def after(self, edits: Sequence[Edit]) -> str:
        """The edit that the network concerned (or else the run) met last, as the end of a sentence."""
        own = [edit for edit in edits if edit.network == self.network]
        last = (own or list(edits))[-1:]
        return "".join(f", after {edit.op} ({edit.where}) at epoch {edit.epoch}" for edit in last)

    def made_smaller(self) -> str:
        """What halving the batch does to the result, in words."""
        assert self.batch is not None
        change = f"batches of {self.doing} are halved, to {self.batch // 2}, from here on"
        if self.doing == "evaluation":
            return f"{change}, which changes nothing but roundings"
        return f"{change}, at the same learning rate: the result differs from that of whole batches"

    def ways_on(self, policy: str) -> str:
        """Advice for the user, whose policy is ``hardware.out_of_memory``."""
        halved = policy != "smaller_batch" and self.batch is not None
        smaller = "hardware.out_of_memory=smaller_batch, " if halved else ""
        return f"The same command with {smaller}more memory or hardware.device=cpu goes on from there"


class attempt(ContextDecorator):
    """Turn whatever says that memory ran out in a block, or in a function, into :class:`OutOfMemory`.

    Args:
        doing: what is done there.
        network: the network concerned.
        batch: images of its batch.
    """

    def __init__(self, doing: str, network: Network | None = None, batch: int | None = None) -> None:
        self.doing, self.network, self.batch = doing, network, batch

    def __enter__(self) -> None:
        """Nothing to prepare."""

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is None or not is_lack_of_memory(error):
            return
        id = None if self.network is None else self.network.id
        params = 0 if self.network is None else self.network.parameter_count()
        raise OutOfMemory(self.doing, id, params, self.batch, peak_memory()) from None


def peak_bytes() -> int:
    """The most memory in use so far: of the GPU's where one is used, else of this process."""
    if torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def peak_memory() -> str:
    """The same in words, beside the GPU's whole memory."""
    whole = f" of {_size(torch.cuda.mem_get_info()[1])}" if torch.cuda.is_initialized() else ""
    return f"{_size(peak_bytes())}{whole}"


def next_divisor(policy: str, lack: OutOfMemory, divisor: int) -> int | None:
    """The divisor of batches from now on; None where the run has to stop.

    Args:
        policy: ``hardware.out_of_memory``.
        lack: what happened.
        divisor: what batches are divided by so far.
    """
    if policy != "smaller_batch" or lack.batch is None or lack.batch // 2 < SMALLEST_BATCH:
        return None
    return 2 * divisor


def divided(batch: int, divisor: int) -> int:
    """Images of a batch made smaller, as far as batch norm allows."""
    return max(batch // divisor, min(batch, SMALLEST_BATCH))


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 2**30:.2f} GiB"
