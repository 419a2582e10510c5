"""The cost of a network, counted on one forward pass of one sample."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from growsearch.dispatch import DispatchMode, carry_out

BYTES_PER_ELEMENT = 4
"""Memory is stated for float32, whatever the network runs in."""

_MOVES = {"clone", "copy_", "_to_copy", "_unsafe_view", "contiguous", "lift_fresh"}
"""Operators that only move or reshape values; counting them would make memory depend on the layout."""


@dataclass(frozen=True)
class Cost:
    """Sizes of a network for one sample.

    Attributes:
        params: Trainable parameters; a tied tensor counts once.
        macs: Multiply-accumulates of convolutions and matrix products in the forward pass.
        memory_bytes: 4 * (all parameters + floating-point buffers + activations).
        activations: Elements of the input and of the output of every operator that computes
            values (in place or not); views and copies are left out.
    """

    params: int
    macs: int
    memory_bytes: int
    activations: int


def _product_macs(args: Any, out: Tensor) -> int:
    """Of a matrix product, batched or not: each output element sums over what the last factor's columns hold."""
    return out.numel() * args[-1].shape[-2]


def _convolution_macs(args: Any, out: Tensor) -> int:
    """Each place of the output (of the input, if transposed) takes the whole kernel of its group."""
    images, kernel, transposed = args[0], args[1], args[6]
    return len(images) * prod((images if transposed else out).shape[2:]) * kernel.numel()


def _attention_macs(args: Any, out: Tensor) -> int:
    """Queries [B, H, L, E] times keys [B, H, S, E], and their weights times values [B, H, S, V]."""
    queries, keys, values = args[:3]
    return prod(queries.shape[:-1]) * keys.shape[-2] * (queries.shape[-1] + values.shape[-1])


def _vector_macs(args: Any, _: Tensor) -> int:
    """Of a matrix [rows, columns] times a vector [columns], to which another may be added, or of two vectors."""
    return max(each.numel() for each in args if isinstance(each, Tensor))


def _bilinear_macs(args: Any, out: Tensor) -> int:
    """Of each sample the whole weight [outputs, first inputs, second inputs]."""
    return out.numel() // args[1].shape[0] * args[1].numel()


def _recurrent_macs(args: Any, _: Tensor) -> int:
    """Of each step of each sample, [..., features], all weights of the layers and directions that one operator runs."""
    weights = args[1] if isinstance(args[1], (list, tuple)) else args[1:3]
    return prod(args[0].shape[:-1]) * sum(weight.numel() for weight in weights if weight.dim() > 1)


def _deformed_macs(args: Any, out: Tensor) -> int:
    """As of a convolution; where its windows take their entries is no product."""
    return len(out) * prod(out.shape[2:]) * args[1].numel()


MACS: dict[str, Callable[[Any, Tensor], int]] = {
    "aten::convolution": _convolution_macs,
    "torchvision::deform_conv2d": _deformed_macs,
    **dict.fromkeys(("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"), _product_macs),
    **dict.fromkeys(("aten::mv", "aten::addmv", "aten::dot"), _vector_macs),
    "aten::_trilinear": _bilinear_macs,
    **dict.fromkeys(("aten::mkldnn_rnn_layer", "aten::_cudnn_rnn"), _recurrent_macs),
    "aten::_scaled_dot_product_flash_attention": _attention_macs,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention_macs,
    "aten::_scaled_dot_product_efficient_attention": _attention_macs,
    "aten::_scaled_dot_product_cudnn_attention": _attention_macs,
}
"""Multiply-accumulates of an operator by its arguments and its first output.

torch.utils.flop_counter lacks recurrent layers and attention on a CPU, and imports triton: half a second of a start.
"""


class _Counter(DispatchMode):
    """Sums the multiply-accumulates and output elements of the operators that run under it.

    Of several outputs the first counts: the others (saved statistics, indices) differ between devices.
    """

    def __init__(self) -> None:
        super().__init__()
        self.elements = 0
        self.macs = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = carry_out(func, args, kwargs or {})
        first = next((leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)), None)
        if func._schema.name in MACS and first is not None:
            self.macs += MACS[func._schema.name](args, first)
        views = any(r.alias_info is not None and not r.alias_info.is_write for r in func._schema.returns)
        computes = any(isinstance(leaf, Tensor) for leaf in tree_leaves(args))
        if computes and not views and func.overloadpacket.__name__ not in _MOVES:
            self.elements += first.numel() if first is not None and first.is_floating_point() else 0
        return out


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    """Put every module in evaluation mode and give each its own mode back."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _unfused_attention() -> Iterator[None]:
    """Let torch's attentions and transformer layers run the operators that they consist of, not a single one."""
    enabled = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(enabled)


def cost(model: nn.Module, input_shape: Sequence[int]) -> Cost:
    """Count parameters, multiply-accumulates and memory of ``model`` for one sample.

    The forward pass runs in evaluation mode without gradients, on copies of the buffers and with the
    default generators put back, so the model and all later draws stay as they were. A model on the
    meta device works too.

    Args:
        model: Any module that takes one tensor.
        input_shape: Shape of one sample, (C, H, W) or (features,); a leading batch dimension of one
            before (C, H, W) is accepted.
    """
    shape = tuple(input_shape)
    if not (len(shape) == 4 and shape[0] == 1):
        shape = (1, *shape)
    like = next((t for t in model.parameters() if t.is_floating_point()), torch.empty(0))
    example = torch.zeros(shape, device=like.device, dtype=like.dtype)
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    counter = _Counter()
    devices = [like.device] if like.device.type == "cuda" else []
    with _evaluating(model), _unfused_attention(), torch.random.fork_rng(devices), torch.no_grad(), counter:
        torch.func.functional_call(model, buffers, (example,))
    stored = [*model.parameters(), *(b for b in model.buffers() if b.is_floating_point())]
    elements = example.numel() + counter.elements
    return Cost(
        params=sum(p.numel() for p in model.parameters() if p.requires_grad),
        macs=counter.macs,
        memory_bytes=BYTES_PER_ELEMENT * (sum(t.numel() for t in stored) + elements),
        activations=elements,
    )
