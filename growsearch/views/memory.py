"""Messages about running out of memory."""

from collections.abc import Sequence

from growsearch.events import Edit
from growsearch.training.out_of_memory import OutOfMemory


def after_edit(lack: OutOfMemory, edits: Sequence[Edit]) -> str:
    """The edit that the network concerned (or else the run) met last, as the end of a sentence."""
    own = [edit for edit in edits if edit.network == lack.network]
    last = (own or list(edits))[-1:]
    return "".join(f", after {edit.op} ({edit.where}) at epoch {edit.epoch}" for edit in last)


def made_smaller(lack: OutOfMemory) -> str:
    """Effect of a smaller batch on the result."""
    assert lack.batch is not None
    change = f"batches of {lack.doing} are halved, to {lack.batch // 2}, from here on"
    if lack.doing == "evaluation":
        return f"{change}, which changes nothing but roundings"
    return f"{change}, at the same learning rate: the result differs from that of whole batches"


def ways_on(policy: str, lack: OutOfMemory) -> str:
    """Advice for the user."""
    smaller = "hardware.out_of_memory=smaller_batch, " if policy != "smaller_batch" and lack.batch is not None else ""
    return f"The same command with {smaller}more memory or hardware.device=cpu goes on from there"
