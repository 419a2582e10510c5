"""Putting a new tensor where a layer's old one was, the only way in which an edit changes weights."""

import torch
from torch import Tensor, nn

from growsearch.surgery.replace import put


def replace_tensor(layer: nn.Module, name: str, value: Tensor) -> None:
    """Replace a layer's own parameter or buffer by one of the old one's type, device and ``requires_grad``.

    The old tensor stays as it is, so that the edit can be undone. Where a network's optimizer and ties matter,
    :func:`growsearch.surgery.replace` sees to them too.
    """
    old: Tensor = getattr(layer, name)
    put(layer, [name], value.detach().to(device=old.device, dtype=old.dtype))


def exact(first: Tensor, *others: Tensor | None) -> list[Tensor]:
    """Detach and widen to float64, where sums of products are taken before weights are stored; None becomes 0."""
    zero = torch.zeros((), dtype=torch.float64, device=first.device)
    return [zero if tensor is None else tensor.detach().double() for tensor in (first, *others)]
