"""A mode in which asking the device for a value is an error, as it would break a captured step."""

from torch.utils._python_dispatch import TorchDispatchMode

from growsearch.training.host_reads import stops_the_host


class NoHostReads(TorchDispatchMode):
    """Raises on every operator whose result's value or shape the host would have to wait for."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        if stops_the_host(func, args, result):
            raise AssertionError(f"host read inside a step: {func}")
        return result
