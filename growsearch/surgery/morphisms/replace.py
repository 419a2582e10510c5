"""Putting a new tensor where an old one was, the only way in which an edit changes weights."""

import torch
from torch import Tensor, nn


def replace_tensor(module: nn.Module, name: str, value: Tensor) -> None:
    """Replace a module's parameter or buffer; the old tensor stays as it is, so that an edit can be undone.

    The new one has the old one's type and device, and wants a gradient if that did.
    """
    old: Tensor = getattr(module, name)
    value = value.detach().to(device=old.device, dtype=old.dtype)
    if isinstance(old, nn.Parameter):
        setattr(module, name, nn.Parameter(value, requires_grad=old.requires_grad))
    else:
        module._buffers[name] = value


def exact(first: Tensor, *others: Tensor | None) -> list[Tensor]:
    """Detach and widen to float64, where sums of products are taken before weights are stored; None becomes 0."""
    zero = torch.zeros((), dtype=torch.float64, device=first.device)
    return [zero if tensor is None else tensor.detach().double() for tensor in (first, *others)]
