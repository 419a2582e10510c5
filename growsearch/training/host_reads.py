"""A guard against host reads in captured steps: waits for a value of the device, and copies to or from it."""

from typing import Any

import torch
from torch import Tensor

from growsearch.dispatch import DispatchMode

ATEN = torch.ops.aten
READS = {
    ATEN._local_scalar_dense,
    ATEN.nonzero,
    ATEN.masked_select,
    ATEN.is_nonzero,
    ATEN.equal,
    ATEN._unique2,
    ATEN.unique_consecutive,
    ATEN.item,
}
"""Operators whose result's value or shape the host has to wait for."""


class HostReads(DispatchMode):
    """Notes the first operator that a capture could not hold.

    Attributes:
        found: its name; None as long as there is none.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: str | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operator, and look at what it is."""
        result = func(*args, **(kwargs or {}))
        if self.found is None and stops_the_host(func, args, result):
            self.found = str(func)
        return result


def stops_the_host(func: Any, args: Any, result: Any) -> bool:
    """Whether an operator reads from the device, picks by a mask, or copies between devices."""
    packet = func.overloadpacket
    if packet in READS:
        return True
    if packet in (ATEN.index, ATEN.index_put, ATEN.index_put_):
        return any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in args[1])
    if packet is ATEN.copy_:
        return _apart(args[0], args[1])
    return packet is ATEN._to_copy and _apart(args[0], result)


def _apart(one: Tensor, other: Tensor) -> bool:
    return one.device.type != other.device.type
