"""Watching a network's operators one by one."""

from collections.abc import Callable, Sequence
from functools import cache, lru_cache
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode


class DispatchMode(TorchDispatchMode):
    """A mode whose ``__torch_dispatch__`` runs without torch's compiler being imported.

    torch hides it from the compiler, for which it imports it: about as long as torch itself takes.
    """

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


def carry_out(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor] | None = None) -> Any:
    """Call an operator of torch; without values, on the meta device, the results of common ones are made directly.

    torch works their shapes out in Python, which takes most of the time, and imports its compiler for some.

    Args:
        func: the operator.
        args: its arguments.
        kwargs: those that have names.
        tensors: the tensors among its arguments, if the caller knows them.
    """
    rule = _rule_of(func)
    tensors = tensors_among(*args) if tensors is None else tensors
    if rule is not None and kwargs.keys() <= _FORMAT and _are_alike(args, tensors):
        made = rule(func, *args, **kwargs)
        if made is not None:
            return made
    if func is torch.ops.aten.empty.memory_format and kwargs.keys() <= _KINDS:
        return torch.empty(*args, **kwargs)  # a batch norm makes one each time, which takes longer by its schema
    return func(*args, **kwargs)


@cache
def _rule_of(func: Any) -> Callable[..., Any] | None:
    return _RULES.get(str(func.overloadpacket))


def _are_alike(args: tuple[Any, ...], tensors: list[Tensor]) -> bool:
    """Whether the tensors among arguments have no values and one type of real numbers, and no other is complex."""
    kind = tensors[0].dtype if tensors else torch.long
    return (
        kind.is_floating_point
        and complex not in map(type, args)
        and all(each.is_meta and each.dtype is kind for each in tensors)
    )


def tensors_among(*values: Any) -> list[Tensor]:
    """The tensors among an operator's arguments or results; they lie in lists at most one deep."""
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, (list, tuple)) and value and type(value[0]) is not int:  # as sizes are
            found += [each for each in value if isinstance(each, Tensor)]
    return found


def _fresh(shape: Sequence[int], like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """As ``like.new_empty(shape)``, which torch carries out in Python on the meta device."""
    return torch.empty(shape, dtype=dtype or like.dtype, device=like.device)


def _empty_like(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """``torch.empty_like``, most often without its Python, which imports SymPy."""
    if tensor.is_contiguous():
        return _fresh(tensor.shape, tensor, dtype)
    strides = tensor.stride() if _is_dense(tensor) else _closed_up(tensor)
    if strides is None:
        return torch.empty_like(tensor, dtype=dtype)
    return torch.empty_strided(tensor.shape, strides, dtype=dtype or tensor.dtype, device=tensor.device)


def _closed_up(tensor: Tensor) -> list[int] | None:
    """The strides of a tensor whose dimensions are in the same order, without gaps; None if that order is not clear."""
    shape, steps = tensor.shape, tensor.stride()
    if 1 in shape or len({0, *steps}) <= len(steps):
        return None
    strides, inside = [0] * len(steps), 1
    for dim in sorted(range(len(steps)), key=steps.__getitem__):
        strides[dim] = inside
        inside *= shape[dim]
    return strides


def _is_dense(tensor: Tensor) -> bool:
    """Whether its entries lie side by side, with the dimensions in any order."""
    inside = 1
    for step, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and step != inside:
            return False
        inside *= max(1, size)
    return True


def _clone(func: Any, first: Tensor, memory_format: torch.memory_format | None = None) -> Tensor | None:
    if memory_format is torch.contiguous_format:
        return _fresh(first.shape, first)
    return _empty_like(first) if memory_format in (None, torch.preserve_format) else None


def _elementwise(func: Any, first: Tensor, *others: Any) -> Tensor | None:
    if all(each.shape == first.shape for each in others if isinstance(each, Tensor)):
        return first if _is_mutable(func) else _empty_like(first)
    return None if _is_mutable(func) else _spread(first, *(each for each in others if isinstance(each, Tensor)))


@cache
def _is_mutable(func: Any) -> bool:
    return bool(func._schema.is_mutable)


def _spread(*tensors: Tensor) -> Tensor | None:
    """The result of a tensor and of others that have one entry in some of its dimensions, as channels' factors have.

    They may lack the first dimensions.
    """
    largest = max(tensors, key=lambda each: (each.dim(), each.numel()))
    whole = largest.shape[::-1]
    fits = all(n in (1, most) for each in tensors for n, most in zip(each.shape[::-1], whole, strict=False))
    return _fresh(largest.shape, largest) if fits and all(map(_is_plain, tensors)) else None


def _norm(func: Any, first: Tensor, *others: Any) -> tuple[Tensor, ...] | None:
    channels = first.shape[1:2]
    if first.dim() < 2 or any(each.shape != channels for each in others if isinstance(each, Tensor)):
        return None
    return _empty_like(first), *[_fresh(channels, first) for _ in range(1, _count_of_results(func))]


@cache
def _count_of_results(func: Any) -> int:
    return len(func._schema.returns)


def _layer_norm(
    func: Any, first: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, ...] | None:
    """Contiguous, whatever the order of the input in memory."""
    axis, shape = first.dim() - len(shape), torch.Size(shape)
    fits = axis >= 0 and len(shape) > 0 and first.shape[axis:] == shape
    if not fits or any(each is not None and each.shape != shape for each in (weight, bias)):
        return None
    if first.dtype not in (torch.float32, torch.float64):  # statistics of shorter types are of another one
        return None
    statistics = (*first.shape[:axis], *[1] * len(shape))
    return _fresh(first.shape, first), _fresh(statistics, first), _fresh(statistics, first)


def _group_norm(
    func: Any, first: Tensor, weight: Tensor | None, bias: Tensor | None, batch: int, channels: int, inside: int,
    groups: int, eps: float,
) -> tuple[Tensor, ...] | None:  # fmt: skip
    fits = 0 < first.numel() == batch * channels * inside and first.shape[:2] == (batch, channels) and _is_plain(first)
    if not fits or any(each is not None and each.shape != (channels,) for each in (weight, bias)):
        return None
    if groups < 1 or channels % groups or first.dtype not in (torch.float32, torch.float64):
        return None
    return _fresh(first.shape, first), *(_fresh((batch, groups), first) for _ in range(2))


def _softmax(func: Any, first: Tensor, dim: int) -> Tensor | None:
    return _fresh(first.shape, first) if _is_plain(first) and _are_dimensions([dim], first) else None


def _contiguous_softmax(func: Any, first: Tensor, dim: int, half_to_float: bool) -> Tensor | None:
    return None if half_to_float or not _are_dimensions([dim], first) else _fresh(first.shape, first)


def _cat(func: Any, tensors: Sequence[Tensor], dim: int = 0) -> Tensor | None:
    first = tensors[0]
    if not _are_dimensions([dim], first) or any(each.dim() != first.dim() for each in tensors):
        return None
    shapes = [list(each.shape) for each in tensors]
    total = sum(shape.pop(dim) for shape in shapes)
    if any(shape != shapes[0] for shape in shapes):
        return None
    shapes[0].insert(dim % first.dim(), total)
    return _fresh(shapes[0], first)


def _mean(func: Any, first: Tensor, dims: Sequence[int] | None = None, keepdim: bool = False) -> Tensor | None:
    if not dims or not _are_dimensions(dims, first):
        return None
    gone = {dim % first.dim() for dim in dims}
    if len(gone) < len(dims) or not first.is_contiguous():
        return None
    shape = [1 if dim in gone else n for dim, n in enumerate(first.shape) if keepdim or dim not in gone]
    return _fresh(shape, first)


def _are_dimensions(dims: Sequence[int], tensor: Tensor) -> bool:
    return all(-tensor.dim() <= dim < tensor.dim() for dim in dims)


def _mm(func: Any, left: Tensor, right: Tensor) -> Tensor | None:
    fits = left.dim() == right.dim() == 2 and left.shape[1] == right.shape[0]
    return _fresh((left.shape[0], right.shape[1]), left) if fits else None


def _bmm(func: Any, left: Tensor, right: Tensor) -> Tensor | None:
    fits = left.dim() == right.dim() == 3 and left.shape[0] == right.shape[0] and left.shape[2] == right.shape[1]
    return _fresh((*left.shape[:2], right.shape[2]), left) if fits else None


def _addmm(func: Any, bias: Tensor, left: Tensor, right: Tensor) -> Tensor | None:
    return _mm(func, left, right) if bias.shape == right.shape[1:] else None


def _convolution(
    func: Any, images: Tensor, weight: Tensor, bias: Tensor | None, stride: Any, padding: Any, dilation: Any,
    transposed: bool, output_padding: Any, groups: int,
) -> Tensor | None:  # fmt: skip
    fits = (
        images.dim() == weight.dim() and images.shape[1] == weight.shape[1] * groups and weight.shape[0] % groups == 0
    )
    fits = fits and (bias is None or bias.shape == weight.shape[:1])
    if transposed or not fits:
        return None
    return _slide(images, weight.shape[0], weight.shape[2:], stride, padding, dilation, weight=weight)


def _avg_pool(
    func: Any, images: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), ceil: bool = False, *_: Any
) -> Tensor | None:
    return _pool(images, kernel, stride, padding, (1,), ceil)


def _max_pool(
    func: Any, images: Tensor, kernel: Any, stride: Any = (), padding: Any = (0,), dilation: Any = (1,),
    ceil: bool = False,
) -> tuple[Tensor, Tensor] | None:  # fmt: skip
    maps = _pool(images, kernel, stride, padding, dilation, ceil)
    return None if maps is None else (maps, _empty_like(maps, torch.long))


def _pool(images: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool) -> Tensor | None:
    if images.dim() != 4 or 2 * max(padding) > min(kernel):
        return None
    return _slide(images, images.shape[1], kernel, stride or kernel, padding, dilation, ceil)


def _slide(
    images: Tensor, channels: int, kernel: Any, stride: Any, padding: Any, dilation: Any, ceil: bool = False,
    weight: Tensor | None = None,
) -> Tensor | None:  # fmt: skip
    """Maps of a window that slides over images (N, C, sizes...); None if there is no room for it."""
    sizes, maps = images.shape[2:], []
    given = [each * len(sizes) if len(each) == 1 else each for each in map(list, (kernel, stride, padding, dilation))]
    fits = sizes and images.numel() and all(len(each) == len(sizes) for each in given)
    if not fits or not all(_is_plain(each) for each in (images, weight) if each is not None):
        return None
    for size, width, pace, pad, step in zip(sizes, *given, strict=True):
        room = size + 2 * pad - step * (width - 1) - 1
        if room < 0 or pace < 1:
            return None
        count = -(-room // pace) if ceil else room // pace
        maps.append(count + (not ceil or count * pace < size + pad))  # a last window begins within the image
    return _fresh((images.shape[0], channels, *maps), images)


def _is_plain(tensor: Tensor) -> bool:
    """Whether it is contiguous, and does not look as if its channels were last."""
    return tensor.stride() == _usual_strides(tensor.shape)


@lru_cache(4096)
def _usual_strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Those of a contiguous tensor."""
    return tuple(prod(max(1, size) for size in shape[dim + 1 :]) for dim in range(len(shape)))


_NORMS = [
    *("native_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training", "cudnn_batch_norm"),
    *("miopen_batch_norm", "_batch_norm_with_update", "_batch_norm_no_update"),
]
_ELEMENTWISE = [
    f"{name}{place}"
    for name in (
        *("relu", "hardtanh", "silu", "hardswish", "hardsigmoid", "gelu", "sigmoid", "tanh", "elu"),
        *("add", "mul", "sub", "rsub", "div"),
    )
    for place in ("", "_")
]
_RULES: dict[str, Callable[..., Any]] = {
    **{f"aten.{name}": _norm for name in _NORMS},
    **{f"aten.{name}": _elementwise for name in _ELEMENTWISE},
    **{
        "aten.native_layer_norm": _layer_norm,
        "aten.native_group_norm": _group_norm,
        "aten._safe_softmax": _softmax,
        "aten._softmax": _contiguous_softmax,
        "aten.cat": _cat,
        "aten.mean": _mean,
        "aten.addmm": _addmm,
        "aten.mm": _mm,
        "aten.bmm": _bmm,
        "aten.clone": _clone,
        "aten.convolution": _convolution,
    },
    **{"aten.avg_pool2d": _avg_pool, "aten.max_pool2d_with_indices": _max_pool},
}
"""Makers of results, by operator; None where torch has to do it."""
_FORMAT = {"memory_format"}
"""Arguments with names that makers take."""
_KINDS = {"dtype", "layout", "device"}
"""Those that an empty tensor is made with."""
