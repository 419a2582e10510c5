"""A mode in which asking the device for a value is an error, as it would break a captured step."""

import torch
from torch.utils._python_dispatch import TorchDispatchMode

ATEN = torch.ops.aten
READS = {
    ATEN._local_scalar_dense,
    ATEN.nonzero,
    ATEN.masked_select,
    ATEN.is_nonzero,
    ATEN.equal,
    ATEN._unique2,
    ATEN.item,
}


class NoHostReads(TorchDispatchMode):
    """Raises on every operator whose result's value or shape the host would have to wait for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.overloadpacket in READS:
            raise AssertionError(f"host read inside a step: {func}")
        return func(*args, **(kwargs or {}))
