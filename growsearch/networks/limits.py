"""How large a network a spec may ask for: specs come out of files, and a few bytes can name a billion layers."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.nn.modules import module as hooks

from growsearch.errors import UserError
from growsearch.memory import require_memory

MOST_MODULES = 100_000
"""Several times what the largest supernet of a search has."""

LARGEST_NUMBER = 1_000_000
LARGEST_SIZE = 2**31
"""Counts (of channels, layers, classes) and sizes of tensors that are listed one by one."""

SIZES = ("layers", "containers", "shapes", "resized")
"""Keys below which there are sizes of tensors."""

DEEPEST = 32


def check_spec(spec: Any) -> None:
    """Refuse what is no JSON object of bearable numbers.

    Raises:
        UserError: naming the key.
    """
    if not isinstance(spec, dict):
        raise UserError(f"network: {type(spec).__name__} found, an object with family and sizes expected")
    for key, value in spec.items():
        is_size = key in SIZES and isinstance(value, dict)
        _check(value, f"network.{key}", LARGEST_SIZE if is_size else LARGEST_NUMBER, 1)


def _check(value: Any, where: str, largest: int, depth: int) -> None:
    if depth > DEEPEST:
        raise UserError(f"{where}: more than {DEEPEST} levels found")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check(inner, where, largest, depth + 1)
    elif isinstance(value, int | float) and not abs(value) <= largest:
        raise UserError(f"{where}: {value} found, at most {largest:,} expected")


@contextmanager
def bounded() -> Iterator[None]:
    """Stop the making of a module once it has too many parts, or parameters for which there is no memory.

    Raises:
        UserError: before memory is asked for, where the module is made on the meta device.
    """
    modules = num_bytes = 0

    def count_module(parent: nn.Module, name: str, child: nn.Module | None) -> None:
        nonlocal modules
        modules += 1
        if modules > MOST_MODULES:
            raise UserError(f"network: more than {MOST_MODULES:,} layers found, a smaller one expected")

    def count_bytes(parent: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal num_bytes
        if tensor is not None:
            num_bytes += tensor.numel() * tensor.element_size()
            require_memory(num_bytes, "network", "a smaller one expected")

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
