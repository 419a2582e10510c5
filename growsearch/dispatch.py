"""Watching a network's operators one by one."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class DispatchMode(TorchDispatchMode):
    """A mode whose ``__torch_dispatch__`` runs without torch's compiler being imported.

    torch hides it from the compiler, for which it imports it: about as long as torch itself takes.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def carry_out(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Call an operator of torch; without values, on the meta device, the results of common ones are made directly.

    torch works their shapes out in Python, which takes most of the time, and imports its compiler for some.
    """
    rule = _RULES.get(str(func.overloadpacket))
    if rule is not None and not kwargs and _are_alike(leaf for leaf in tree_leaves(args) if isinstance(leaf, Tensor)):
        made = rule(func, *args)
        if made is not None:
            return made
    return func(*args, **kwargs)


def _are_alike(tensors: Iterable[Tensor]) -> bool:
    """Whether tensors are without values, and of one type for real numbers."""
    kinds = {(each.is_meta, each.dtype) for each in tensors}
    return len(kinds) == 1 and all(meta and dtype.is_floating_point for meta, dtype in kinds)


def _elementwise(func: Any, first: Tensor, *others: Any) -> Tensor | None:
    if any(isinstance(each, Tensor) and each.shape != first.shape for each in others):
        return None
    return first if func._schema.is_mutable else torch.empty_like(first)


def _norm(func: Any, first: Tensor, *others: Any) -> tuple[Tensor, ...]:
    return torch.empty_like(first), *(first.new_empty(first.shape[1]) for _ in func._schema.returns[1:])


def _cat(func: Any, tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    if not first.dim() or any(each.dim() != first.dim() for each in tensors):
        return None
    shapes = [list(each.shape) for each in tensors]
    total = sum(shape.pop(dim) for shape in shapes)
    if any(shape != shapes[0] for shape in shapes):
        return None
    shapes[0].insert(dim % first.dim(), total)
    return first.new_empty(shapes[0])


def _mean(func: Any, first: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False) -> Tensor | None:
    if not dims:
        return None
    gone = {dim % first.dim() for dim in dims}
    return first.new_empty([1 if dim in gone else n for dim, n in enumerate(first.shape) if keepdim or dim not in gone])


def _addmm(func: Any, bias: Tensor, left: Tensor, right: Tensor) -> Tensor:
    return left.new_empty(left.shape[0], right.shape[1])


_NORMS = [
    *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"),
    *("miopen_batch_norm", "_batch_norm_with_update", "_batch_norm_no_update"),
]
_ELEMENTWISE = [
    f"{name}{place}"
    for name in ("relu", "hardtanh", "silu", "hardswish", "hardsigmoid", "gelu", "sigmoid", "tanh", "elu", "add", "mul")
    for place in ("", "_")
]
_RULES: dict[str, Callable[..., Any]] = {
    **{f"aten.{name}": _norm for name in _NORMS},
    **{f"aten.{name}": _elementwise for name in _ELEMENTWISE},
    **{"aten.cat": _cat, "aten.mean": _mean, "aten.addmm": _addmm},
}
"""Makers of results, by operator; None where torch has to do it."""
