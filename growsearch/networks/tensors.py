"""A module's parameters and buffers by name, tied ones once."""

import torch
from torch import Tensor, nn

from growsearch.errors import UserError


def portable(tensor: Tensor) -> Tensor:
    """A contiguous copy on the CPU, for a file."""
    return tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format)


def allocate(module: nn.Module, device: torch.device | str = "cpu") -> nn.Module:
    """Give a module on the meta device memory with undefined values, in place.

    As ``module.to_empty``, which lets torch import its symbolic shapes: a quarter of the start of a short run.
    """
    return module._apply(lambda like: torch.empty_strided(like.size(), like.stride(), dtype=like.dtype, device=device))


def module_tensors(module: nn.Module) -> dict[str, Tensor]:
    """Parameters and persistent buffers (references), tied ones under their first name only."""
    seen: set[int] = set()
    tensors = {}
    for name, tensor in module.state_dict(keep_vars=True).items():
        if id(tensor) not in seen:
            seen.add(id(tensor))
            tensors[name] = tensor.detach()
    return tensors


def load_module_tensors(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy :func:`module_tensors` of an equal module into this one.

    Raises:
        UserError: if names or shapes differ.
    """
    require_fitting(module, tensors)
    with torch.no_grad():
        for name, tensor in module_tensors(module).items():
            tensor.copy_(tensors[name])


def require_fitting(module: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Compare names and shapes with those of a module, which may be on the meta device.

    Raises:
        UserError: if they differ.
    """
    own = module_tensors(module)
    wrong = sorted(set(own) ^ set(tensors)) or [n for n in own if own[n].shape != tensors[n].shape]
    if wrong:
        raise UserError(f"weights: tensor {wrong[0]!r} does not fit the architecture")
