"""Limits on the size of a network that a spec may ask for, as a file of a few bytes can name a billion layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks

from growsearch.errors import UserError
from growsearch.memory import require_memory

MOST_MODULES = 30_000
"""Several times what the largest supernet of a search has."""

MODULES_A_TENSOR, MODULES_WITHOUT = 20, 500
"""Modules for each tensor of the weights, and beside them: most have tensors, and a file without many describes few."""

LARGEST_NUMBER = 1_000_000
LARGEST_SIZE = 2**31
"""Counts (of channels, layers, classes) and sizes of tensors that are listed one by one."""

SIZES = ("layers", "containers", "shapes", "resized")
"""Keys below which there are sizes of tensors."""

MOST_LAYERS = 1000
COUNTS = ("layers", "cells", "depths", "blocks", "nodes")
"""Keys whose numbers say how many parts a network has, which some families lay out before they make one."""

DEEPEST = 32

UNCHECKED_BYTES = 2**20
"""Bytes of further tensors up to which the free memory is not asked for again: the system answers slowly."""


def check_spec(spec: Any) -> None:
    """Refuse anything but a JSON object of numbers within the limits.

    Raises:
        UserError: naming the key.
    """
    if not isinstance(spec, dict):
        raise UserError(f"network: {type(spec).__name__} is not accepted; use an object with family and sizes")
    for key, value in spec.items():
        if isinstance(value, dict):
            largest = LARGEST_SIZE if key in SIZES else LARGEST_NUMBER
        else:
            is_count = key in COUNTS and not any(isinstance(inner, dict) for inner in _items(value))
            largest = MOST_LAYERS if is_count else LARGEST_NUMBER
        _check(value, f"network.{key}", largest, 1)


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _check(value: Any, where: str, largest: int, depth: int) -> None:
    if depth > DEEPEST:
        raise UserError(f"{where}: it has more than {DEEPEST} levels")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, where, largest, depth + 1)
    elif isinstance(value, int | float) and not abs(value) <= largest:
        raise UserError(f"{where}: {value} is too large; use at most {largest:,}")


@contextmanager
def bounded(num_tensors: int | None = None) -> Iterator[None]:
    """Stop the making of a module once it has too many parts, or parameters for which there is no memory.

    Args:
        num_tensors: how many its weights have, where they are there.

    Raises:
        UserError: before memory is asked for, where the module is made on the meta device.
    """
    modules = num_bytes = checked = 0
    most = MOST_MODULES if num_tensors is None else MODULES_WITHOUT + MODULES_A_TENSOR * num_tensors

    def count_module(parent: nn.Module, name: str, child: nn.Module | None) -> None:
        nonlocal modules
        modules += 1
        if modules > most:
            raise UserError(f"network: it has more than {most:,} layers; use a smaller one")

    def count_bytes(parent: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal num_bytes, checked
        if tensor is not None:
            num_bytes += tensor.numel() * tensor.element_size()
            if num_bytes >= checked + UNCHECKED_BYTES:
                require_memory(num_bytes, "network", "use a smaller one")
                checked = num_bytes

    handles = (
        hooks.register_module_module_registration_hook(count_module),
        hooks.register_module_parameter_registration_hook(count_bytes),
        hooks.register_module_buffer_registration_hook(count_bytes),
    )
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
