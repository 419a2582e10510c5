"""Running statistics of a module, kept so that a step that fails can be undone."""

import torch
from torch import Tensor, nn


class Statistics:
    """The floating-point buffers of a module (running means and variances) and a copy of each.

    Attributes:
        buffers: the live tensors.
    """

    def __init__(self, module: nn.Module) -> None:
        self.buffers = [b for b in module.buffers() if b.is_floating_point() and b.dim()]
        self._copies = [torch.empty_like(b) for b in self.buffers]
        self._kinds: dict[torch.dtype, list[int]] = {}
        for index, buffer in enumerate(self.buffers):
            self._kinds.setdefault(buffer.dtype, []).append(index)

    def remember(self) -> None:
        """Copy all buffers."""
        if self.buffers:
            torch._foreach_copy_(self._copies, self.buffers)

    def keep_if(self, good: Tensor) -> None:
        """Put the copies back unless ``good``, a boolean scalar on the device, holds.

        All of one type are joined first: a few large operations in place of several for each norm.
        """
        for indices in self._kinds.values():
            live = [self.buffers[i] for i in indices]
            now = torch.cat([b.flatten() for b in live])
            before = torch.cat([self._copies[i].flatten() for i in indices])
            kept = torch.where(good, now, before).split([b.numel() for b in live])
            torch._foreach_copy_(live, [piece.view(b.shape) for piece, b in zip(kept, live, strict=True)])
