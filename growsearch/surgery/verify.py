"""Prove groups by an edit: what a trace cannot see shows in the output.

A view with written-down sizes, a branch on a number of channels or a constant of channel size looks
like any other to the trace. So each group is widened and permuted in a float64 copy with random
weights: if the output changes or the network fails, the group freezes with that reason.
"""

import contextlib
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from growsearch.errors import UserError, is_lack_of_memory
from growsearch.surgery.channels import ChannelGroup
from growsearch.surgery.remap import remap
from growsearch.surgery.tensors import copied
from growsearch.surgery.trace import as_arguments, describe, without_dropout
from growsearch.surgery.transaction import Snapshot

TOLERANCE = 1e-8
"""Largest change of the output, relative to its largest entry."""


def prove_groups(model: nn.Module, example: Tensor | tuple[Any, ...], groups: list[ChannelGroup]) -> None:
    """Freeze each group whose widening changes what the network computes, in eval or in train mode.

    All groups are tried at once; if that fails, halves are, so a network without surprises costs one try.

    Raises:
        UserError: if the network has no weights (meta device).
    """
    if any(parameter.is_meta for parameter in model.parameters()):
        raise UserError("channel groups: a network on the meta device found, weights or prove=False expected")
    if groups:
        _Prover(model, example, groups).prove(groups)


class _Prover:
    """A copy of the network that is edited and put back, and what it computed before."""

    def __init__(self, model: nn.Module, example: Tensor | tuple[Any, ...], groups: list[ChannelGroup]) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self.twin = copied(model, lambda t: t.to(torch.float64 if t.is_floating_point() else t.dtype, copy=True))
        self.map = groups[0].map.on(self.twin)
        device = next(self.twin.parameters()).device
        self.inputs = pytree.tree_map(self._noise, as_arguments(example, device, torch.float64))
        self._randomise()
        try:
            self.reference = self._outputs()
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            self.reference, self.failure = [], f"cannot be proven: {describe(error)}"

    def prove(self, groups: list[ChannelGroup]) -> None:
        reason = self._try(groups) if self.reference else self.failure
        if reason is None:
            return
        if len(groups) == 1 or not self.reference:
            for group in groups:
                group.map.frozen[group.number] = reason
            return
        middle = len(groups) // 2
        self.prove(groups[:middle])
        self.prove(groups[middle:])

    def _try(self, groups: list[ChannelGroup]) -> str | None:
        """Copy one channel of each group and shuffle all; None if the output stays, else what happens."""
        snapshot = Snapshot(self.twin)
        try:
            for group in groups:
                extra = torch.randint(group.size, (1,), generator=self.generator)
                order = torch.randperm(group.size + 1, generator=self.generator)
                remap(self.twin, group.on(self.map), torch.cat([torch.arange(group.size), extra])[order].tolist())
            outputs = self._outputs()
        except Exception as error:
            if is_lack_of_memory(error):
                raise
            return f"the network fails when it is widened: {describe(error)}"
        finally:
            snapshot.restore()
        for before, after in zip(self.reference, outputs, strict=False):
            if before.shape != after.shape:
                return "its output has another shape when it is widened"
            if not (before - after).abs().max() <= TOLERANCE * before.abs().max():
                return "its output changes when it is widened"
        return None

    @torch.no_grad()
    def _outputs(self) -> list[Tensor]:
        """Every output in eval and in train mode; statistics that train mode updates are put back."""
        outputs = []
        kept = [(buffer, buffer.clone()) for buffer in self.twin.buffers()]
        try:
            with without_dropout(self.twin):
                for training in (False, True):
                    found = pytree.tree_leaves(self.twin.train(training)(*self.inputs))
                    outputs += [leaf.double() for leaf in found if isinstance(leaf, Tensor) and leaf.numel()]
        finally:
            for buffer, value in kept:
                buffer.copy_(value)
        return outputs

    def _noise(self, leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or not leaf.is_floating_point():
            return leaf
        return torch.randn(leaf.shape, generator=self.generator, dtype=torch.float64).to(leaf.device)

    @torch.no_grad()
    def _randomise(self) -> None:
        """Weights at which every channel matters: a zero-initialised norm or a tiny layer scale would hide an error."""
        for name, parameter in self.twin.named_parameters():
            noise = torch.randn(parameter.shape, generator=self.generator, dtype=torch.float64)
            if parameter.dim() > 1:
                noise *= (2 / max(1, parameter[0].numel())) ** 0.5
            else:
                noise = 0.1 * noise if name.endswith("bias") else noise.abs() + 0.5
            parameter.copy_(noise)
        norms = [m for m in self.twin.modules() if isinstance(m, nn.modules.batchnorm._NormBase)]
        for norm in norms:
            norm.momentum = 1.0
        with contextlib.suppress(Exception), without_dropout(self.twin):
            self.twin.train()(*self.inputs)  # take over the statistics of this input
